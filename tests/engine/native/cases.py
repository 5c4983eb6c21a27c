"""Networks whose weights lie on a dyadic grid, so that float sums are exact in any order."""

from typing import Any

import torch

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Encoder, Rate
from spikewise.engine import EngineName, RunOptions
from spikewise.graph import Graph, Layer
from spikewise.network import Network, Output
from spikewise.readouts import LastMembrane
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Triangle
from spikewise.types import Draw

GRID = 2.0**-8
SURROGATES = [FastSigmoid(slope=5.0), ATan(), Triangle(height=0.3), Boxcar(), Sigmoid(slope=4.0), StraightThrough()]
RESETS = [
    {"reset": reset, "reset_delay": delay, "reset_gradient": gradient}
    for reset in ("subtract", "zero", "none")
    for delay in (False, True)
    for gradient in (False, True)
    if not (reset == "zero" and delay and gradient)
]
NEURONS = [
    *(LIF(beta=0.875, **reset) for reset in RESETS),
    *(ALIF(beta=0.875, adaptation=0.25, adaptation_decay=0.9375, **reset) for reset in RESETS[::3]),
    ALIF(beta=0.9, relative_surrogate=True),
    ALIF(beta=0.9, threshold_gradient=False, threshold=0.5),
    IF(threshold=2.0),
    LIF(learn=("beta", "threshold"), beta=0.8),
    LIF(learn=("beta", "threshold"), beta=0.8, per="channel", spread=0.2, reset_delay=True),
    LIF(learn=("beta", "threshold"), beta=0.8, reset="zero"),
    ALIF(learn=("beta", "threshold", "adaptation", "adaptation_decay"), per="channel", spread=0.1),
    ALIF(learn=("beta", "threshold", "adaptation", "adaptation_decay")),
    *(CubaLIF(alpha=0.5, beta=0.875, **reset) for reset in RESETS[::2]),
    CubaLIF(learn=("alpha", "beta", "threshold"), per="channel", spread=0.1),
    Izhikevich(),
    Izhikevich(gain=3000.0, surrogate=Triangle(), per="channel", spread=0.2),
    LeakyIntegrator(beta=0.9, learn=("beta",)),
    *(LIF(surrogate=surrogate) for surrogate in SURROGATES),
]
"""One of each kind, reset, surrogate and learned parameter: what every engine is held against the reference with."""


def network(
    *layers: Layer,
    image_shape: tuple[int, int, int] = (1, 7, 9),
    encoder: Encoder = Rate(steps=11),  # noqa: B008  # immutable
    scale: float = 1.0,
    seed: int = 0,
) -> Network:
    """A network of these layers with weights on the grid; `scale` widens them."""
    net = Network(Graph(image_shape=image_shape, encoder=encoder, layers=layers, readout=LastMembrane()), seed=seed)
    for name, parameter in net.named_parameters():
        if name.rsplit(".", 1)[-1] in ("weight", "bias", "recurrent"):
            parameter.data = (parameter.data * 2 * scale / GRID).round() * GRID
    return net


def images(count: int, shape: tuple[int, int, int], seed: int = 0) -> torch.Tensor:
    """Random images with black and white areas."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(-200, 400, (count, *shape), generator=g)
    return x.clamp(0, 255).to(torch.uint8)


def outputs(
    net: Network, batch: torch.Tensor, engine: EngineName, *, double: bool = False, **options: Any
) -> tuple[Output, dict[str, torch.Tensor]]:
    """What an engine says, and the gradients of a loss that weighs every output of every step."""
    copy = Network(net.graph, engine_name=engine)
    copy.load_state_dict(net.state_dict())
    copy.train(net.training)
    draw = Draw(7, 3, torch.arange(10, 10 + len(batch)))
    if double:
        copy = copy.double()
        out = copy.run(copy.encode(batch, draw).double(), draw, RunOptions(**options))
    else:
        out = copy(batch, draw, RunOptions(**options))
    loss = weighted(out)
    loss.backward()
    return out, {name: p.grad for name, p in copy.named_parameters() if p.grad is not None}


def weighted(out: Output) -> torch.Tensor:
    """A loss that every spike and membrane of the last layer and the recorded ones enters with a weight of its own."""
    g = torch.Generator().manual_seed(1)
    loss = torch.zeros((), dtype=out.logits.dtype)
    for spikes, membrane in (out.trajectory, *out.result.traces.values()):
        mask = torch.randn(membrane.shape, generator=g).to(membrane.dtype)
        loss = loss + 0.3 * (membrane * mask).sum()
        if spikes is not None:
            loss = loss + (spikes * mask.flip(0)).sum()
    return loss


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return ((found.double() - wanted).abs().max() / (wanted.abs().max() + 1e-9)).item()


def check(net: Network, batch: torch.Tensor, *, within: float = 1e-5, **options: Any) -> Output:
    """The native engine's spikes are the reference's; its membranes and gradients are as close to float64.

    Args:
        within: error of a gradient, relative to its largest value, that sums in another order may have.
    """
    native_out, native_grads = outputs(net, batch, "native", measure=True, **options)
    reference_out, reference_grads = outputs(net, batch, "reference", measure=True, **options)
    exact_out, exact = outputs(net, batch, "reference", double=True, **options)
    if reference_out.trajectory.spikes is not None:
        assert torch.equal(native_out.trajectory.spikes, reference_out.trajectory.spikes)
    own = error(reference_out.trajectory.membrane, exact_out.trajectory.membrane)
    assert error(native_out.trajectory.membrane, exact_out.trajectory.membrane) <= max(1e-5, 3 * own)
    for found, wanted in zip(native_out.result[3:5], reference_out.result[3:5], strict=True):
        assert found.keys() == wanted.keys()
        for name, rate in wanted.items():
            torch.testing.assert_close(found[name], rate, rtol=1e-6, atol=1e-7, msg=name)
    assert native_grads.keys() == exact.keys()
    for name, wanted in exact.items():
        # float64 may spike elsewhere than float32 where decays are no dyadic numbers; then the reference is off as well
        ours, theirs = error(native_grads[name], wanted), error(reference_grads[name], wanted)
        assert ours <= max(within, 3 * theirs), f"{name}: {ours:.2g}, the reference's {theirs:.2g}"
    return native_out
