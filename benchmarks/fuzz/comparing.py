"""A random graph on an engine beside the reference engine: all that it returns, and the gradient of a loss of it.

Spikes are the reference's bit for bit, and gradients about as close to float64 as the reference's own. Where sums are
not exact, neither is asked if a neuron is so near its threshold that rounding may decide.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from benchmarks.fuzz.graphs import Pair, apart, images_of, network_of, sums_are_exact
from spikewise.engine import RunOptions, reference
from spikewise.engine.contract import EngineResult
from spikewise.engine.parameters import neuron_parameters
from spikewise.graph import Activation, MaxPool, Neuron, SpikingActivation
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["Run", "compare"]

Run = Callable[[Pair, Network, Tensor, Draw, RunOptions], EngineResult]
"""What an engine makes of a case: of a network, of images or of what they are encoded as."""
_Answers = dict[str, Tensor]
_NEAR: Final = 1e-4
"""Of a threshold."""
_LARGEST: Final = 1e30
"""Gradients through many steps of recurrent layers leave what float32 can say."""


def compare(case: Pair, run: Run, *, within: float, device: str = "cpu") -> None:
    """Fails where an engine's answers are not the reference's.

    Args:
        within: error of a value that is not exact, relative to the largest, that the reference's need not have, too.
    Raises:
        AssertionError: naming what differs, and by how much.
    """
    network, exact = network_of(case), sums_are_exact(case.graph, training=case.training)
    ours = _answers(case, network, run, torch.float32, device)
    theirs = _answers(case, network, _reference, torch.float32, device)
    if ours.keys() != theirs.keys():
        raise AssertionError(f"{sorted(ours.keys() ^ theirs.keys())} from one engine alone")
    off = [name for name, wanted in theirs.items() if apart(ours[name], wanted) > (0 if _spikes(name) else 1e-5)]
    if exact and (wrong := [name for name in off if not name.startswith("gradient")]):
        raise AssertionError(", ".join(f"{name}: {apart(ours[name], theirs[name]):.3g}" for name in wrong))
    if not off or (not exact and _is_near_a_jump(case, network, device)):
        return
    true = _answers(case, network, _reference, torch.float64, device)
    largest = max((float(true[name].abs().max()) for name in true if name.startswith("gradient")), default=0.0)
    for name in off:
        found, own = (apart(one[name], true[name]) for one in (ours, theirs))
        # Before a normalisation some gradients are 0, or small: what is left of them is rounding of larger sums.
        small = name.startswith("gradient") and float((ours[name] - true[name]).abs().max()) < 1e-5 * largest
        if not found <= max(within, 3 * own) and not small and largest < _LARGEST:
            raise AssertionError(f"{name}: {found:.3g} beside float64, the reference {own:.3g}")


def _spikes(name: str) -> bool:
    return name.endswith(" spikes")


def _reference(case: Pair, network: Network, inputs: Tensor, draw: Draw, options: RunOptions) -> EngineResult:
    return reference.ReferenceEngine().run(case.graph, network.weights, inputs, draw, options)


def _is_near_a_jump(case: Pair, network: Network, device: str) -> bool:
    """Whether a neuron or a pool may go the other way where sums are rounded otherwise."""
    everything = case._replace(recorded=frozenset(at.name for at in case.graph.named), first=0)
    true, rounded = (
        _answers(everything, network, _reference, dtype, device) for dtype in (torch.float64, torch.float32)
    )
    if any(not torch.equal(true[name], rounded[name].double()) for name in true if _spikes(name)):
        return True
    values = {name: value.detach().double() for name, value in network.weights.items()}
    for at in case.graph.named:
        if isinstance(at.layer, SpikingActivation | MaxPool | Activation):
            return True
        if isinstance(at.layer, Neuron) and at.layer.spikes:
            p, v, z = neuron_parameters(at, values), true[at.name], true[f"{at.name} spikes"]
            if float(at.layer.dynamics.distance(v, z, p).abs().min()) < _NEAR:
                return True
    return False


def _answers(case: Pair, network: Network, run: Run, dtype: torch.dtype, device: str) -> _Answers:
    """Spikes, outputs and gradients, by name."""
    copy = Network(case.graph).to(device, dtype).train(case.training)
    copy.load_state_dict(network.state_dict())
    for mine, given in zip(copy.parameters(), network.parameters(), strict=True):
        mine.requires_grad_(given.requires_grad)
    options = RunOptions(training=case.training, record=case.recorded, measure=case.measured)
    inputs, draw = images_of(case).to(device), Draw(case.seed, 1, torch.arange(3, case.images + 3, device=device))
    if case.given or run is _reference:
        inputs = case.graph.encoder(inputs, draw).to(dtype).contiguous()
    if case.first:
        return _in_two(case, copy, run, inputs, draw, options)
    inputs.requires_grad_(case.given)
    found, loss = _seen(run(case, copy, inputs, draw, options)), torch.zeros((), dtype=dtype, device=device)
    for name, value in found.items():
        draws = torch.Generator().manual_seed(case.seed + len(name))
        if value.requires_grad:
            loss = loss + (value * torch.randn(value.shape, generator=draws).to(value)).sum()
    if loss.requires_grad:
        loss.backward()
    gradients = {
        f"gradient {name}": torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in {**dict(copy.named_parameters()), "inputs": inputs}.items()
        if value.requires_grad
    }
    buffers = {f"buffer {name}": value for name, value in copy.named_buffers()}
    return {name: value.detach().cpu() for name, value in (found | gradients | buffers).items()}


def _in_two(case: Pair, network: Network, run: Run, inputs: Tensor, draw: Draw, options: RunOptions) -> _Answers:
    """A run, and another from where it ended."""
    with torch.no_grad():
        one = run(case, network, inputs[: case.first], draw, options)
        other = run(case, network, inputs[case.first :], draw, options._replace(state=one.state))
    both = {f"first {name}": value for name, value in _seen(one).items()} | _seen(other)
    return {name: value.cpu() for name, value in both.items()}


def _seen(result: EngineResult) -> _Answers:
    """All that a run returns."""
    found: _Answers = {}
    for name, (spikes, output) in {"last": result.trajectory, **result.traces}.items():
        found[name] = output
        if spikes is not None:
            found[f"{name} spikes"] = spikes
    for name, state in result.state.items():
        parts = {"v": state} if isinstance(state, Tensor) else state._asdict()
        found |= {f"state {name} {key}": part.detach() for key, part in parts.items()}
    for kind, values in (("rates", result.rates), ("events", result.input_events), ("active", result.active)):
        found |= {f"{kind} {name}": value.detach() for name, value in values.items()}
    return found
