"""The Triton engine against the reference engine: on a GPU where there is one, else under Triton's interpreter."""

from typing import Any

import torch
from cases import error, weighted

from spikewise.engine import RunOptions, reference
from spikewise.engine.contract import EngineResult
from spikewise.engine.triton import run as engine
from spikewise.engine.triton.job import Operands
from spikewise.network import Network, Output
from spikewise.types import Draw

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.backends.cudnn.allow_tf32 = False  # the reference is of float32, not of ten bits
EXACT = Operands(torch.bfloat16 if DEVICE == "cuda" else torch.float32, 3)
"""Three parts; on the CPU of the same values, but held in float32, for the interpreter's bfloat16 product is wrong."""
PLAIN = Operands(torch.float32, 1)
LOOSE = 3 if DEVICE == "cpu" else 8
"""Times the reference's own error: tensor cores cut their float32 sums where a processor rounds them."""


def draw_of(count: int) -> Draw:
    return Draw(2**33 + 7, 3, torch.arange(10, 10 + count, device=DEVICE))


def run(net: Network, batch: torch.Tensor, operands: Operands, options: RunOptions) -> Output:
    draw = draw_of(len(batch))
    result = engine.run_encoding(net.graph, net.weights, batch.to(DEVICE), draw, options, operands)
    return Output(net.graph.readout(result.trajectory), result)


def run_reference(net: Network, batch: torch.Tensor, options: RunOptions, dtype: torch.dtype) -> Output:
    draw = draw_of(len(batch))
    inputs = net.graph.encoder(batch.to(DEVICE), draw).to(dtype)
    result = reference.ReferenceEngine().run(net.graph, net.weights, inputs, draw, options)
    return Output(net.graph.readout(result.trajectory), result)


def copy_of(net: Network, dtype: torch.dtype = torch.float32) -> Network:
    copy = Network(net.graph)
    copy.load_state_dict(net.state_dict())
    return copy.train(net.training).to(DEVICE, dtype)


def outputs(
    net: Network, batch: torch.Tensor, how: Operands | torch.dtype, **options: Any
) -> tuple[Output, dict[str, torch.Tensor]]:
    """What an engine says, and the gradients of a loss that weighs every output; a dtype is the reference's."""
    asked = RunOptions(training=net.training, **options)
    if isinstance(how, Operands):
        copy = copy_of(net)
        out = run(copy, batch, how, asked)
    else:
        copy = copy_of(net, how)
        out = run_reference(copy, batch, asked, how)
    on_cpu = Output(out.logits.cpu(), _moved(out.result))
    weighted(on_cpu).backward()
    return on_cpu, {name: p.grad.cpu() for name, p in copy.named_parameters() if p.grad is not None}


def _moved(result: EngineResult) -> EngineResult:
    def cpu(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return x.cpu()
        return type(x)(*map(cpu, x)) if isinstance(x, tuple) else {k: cpu(v) for k, v in x.items()} if x else x

    return EngineResult(*map(cpu, result))


def check(net: Network, batch: torch.Tensor, operands: Operands = EXACT, **options: Any) -> Output:
    """Spikes are the reference's; membranes and gradients are about as close to float64's as the reference's are."""
    found, grads = outputs(net, batch, operands, measure=True, **options)
    wanted, own = outputs(net, batch, torch.float32, measure=True, **options)
    exact, true = outputs(net, batch, torch.float64, measure=True, **options)
    if wanted.trajectory.spikes is not None:
        assert torch.equal(found.trajectory.spikes, wanted.trajectory.spikes)
    bound = max(1e-5, LOOSE * error(wanted.trajectory.membrane, exact.trajectory.membrane))
    assert error(found.trajectory.membrane, exact.trajectory.membrane) <= bound
    for ours, theirs in zip(found.result[3:6], wanted.result[3:6], strict=True):
        assert ours.keys() == theirs.keys()
        for name, rate in theirs.items():
            torch.testing.assert_close(ours[name], rate, rtol=1e-6, atol=1e-7, msg=name)
    for name, trace in wanted.result.traces.items():
        assert error(found.result.traces[name].output, trace.output.double()) <= 1e-5, name
    for name, state in wanted.result.state.items():
        # What a spiking activation keeps is the fraction of a sum, which is as exact as the sum is.
        large = max(1.0, wanted.result.rates[name].max().item()) if torch.is_tensor(state) else 1.0
        for ours, theirs, true_state in zip(found.result.state[name], state, exact.result.state[name], strict=True):
            bound = max(1e-5 * large, LOOSE * error(theirs, true_state))
            assert error(ours, true_state) <= bound, f"{name}: {error(ours, true_state)} {error(theirs, true_state)}"
    assert grads.keys() == true.keys()
    largest = max((gradient.abs().max().item() for gradient in true.values()), default=0.0)
    for name, gradient in true.items():
        near = error(grads[name], gradient) <= max(1e-5, LOOSE * error(own[name], gradient))
        # before a normalisation some gradients are 0, or small: what is left of them is rounding of much larger sums
        assert near or (grads[name].double() - gradient).abs().max() <= 1e-6 * largest, name
    return found
