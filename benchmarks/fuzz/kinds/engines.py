"""Random graphs of all sizes at which the native engine cuts its work, beside the reference engine.

Weights lie on a dyadic grid, so that sums are exact in any order and every spike must be the reference's. Gradients are
about as close to float64 as the reference's own.
"""

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.encoders import Latency, Periodic, Rate
from spikewise.engine import EngineName, RunOptions
from spikewise.errors import ShapeError
from spikewise.graph import (
    AvgPool,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    SumPool,
)
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.surrogates import ATan, FastSigmoid, StraightThrough
from spikewise.types import Draw

TOGETHER: Final = 100
"""Cases that may follow each other in one process."""
_GRID: Final = 2.0**-8
_MOST_WORK: Final = 2e8
"""Multiplications of a case by the reference engine."""
_LARGEST: Final = 1e30
"""Gradients through many steps of recurrent layers leave what float32 can say."""
_CHANNELS = (1, 2, 3, 4, 5, 8, 13, 16, 17, 31, 32, 33, 48, 49, 56, 57, 63, 64, 65, 72, 112, 113, 128, 129)
_SIDES = (1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 24, 32, 33, 40)
_FEATURES = (1, 2, 15, 16, 17, 63, 64, 65, 100, 128, 129, 192, 193, 383, 384, 385, 512, 769)
_STEPS = (1, 2, 3, 5, 6, 10, 16, 31, 32, 33, 41, 64, 65, 70)
_IMAGES = (1, 2, 3, 5, 8, 9, 16, 17, 33, 41, 64, 70)


class Pair(NamedTuple):
    """A network and its images, for both engines."""

    name: str
    graph: Graph
    images: int
    fill: str
    training: bool
    recorded: bool
    seed: int


def cases(seed: int, count: int) -> Iterator[Pair]:
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        graph, images = None, 0
        while graph is None or images * graph.steps * _work(graph) > _MOST_WORK:
            images = rng.choice(_IMAGES)
            try:
                graph = _graph(rng)
                _ = graph.named
            except ShapeError:  # a window larger than its map
                graph = None
        fill = rng.choice(("random", "bright", "dark", "white", "black"))
        yield Pair(f"{graph.encoder.kind} {fill}", graph, images, fill, rng.random() < 0.4, rng.random() < 0.3, number)


def run(case: Pair) -> None:
    torch.set_num_threads(1 + case.seed % 2)  # what threads write over is seen where there are two
    network = Network(case.graph, seed=case.seed).train(case.training)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith(("weight", "bias", "recurrent")):
                value.copy_((value * 4 / _GRID).round() * _GRID)
    ours, theirs = (_answers(case, network, engine) for engine in ("native", "reference"))
    for name, wanted in theirs.items():
        if not name.startswith("gradient") and _apart(ours[name], wanted) > (0 if name.endswith("spikes") else 1e-5):
            raise AssertionError(f"{name}: {_apart(ours[name], wanted):.3g}")
    off = [name for name, wanted in theirs.items() if _apart(ours[name], wanted) > 1e-5]
    exact = _answers(case, network.double(), "reference") if off else {}
    for name in off:
        found, own = (_apart(one[name], exact[name]) for one in (ours, theirs))
        if found > max(1e-3, 3 * own) and float(exact[name].abs().max()) < _LARGEST:
            raise AssertionError(f"{name}: {found:.3g} beside float64, the reference {own:.3g}")


def _answers(case: Pair, network: Network, engine: EngineName) -> dict[str, Tensor]:
    """Spikes, outputs and gradients, by name."""
    dtype = next(network.parameters()).dtype
    copy = Network(case.graph, engine_name=engine).to(dtype).train(case.training)
    copy.load_state_dict(network.state_dict())
    images, draw = _images(case), Draw(case.seed, 1, torch.arange(case.images))
    layers = frozenset(at.name for at in case.graph.named if case.recorded and isinstance(at.layer, Neuron | MaxPool))
    given = copy.encode(images, draw).to(dtype).requires_grad_(case.recorded)
    out = copy.run(given, draw, RunOptions(record=layers))
    found, loss = {}, torch.zeros((), dtype=dtype)
    draws = torch.Generator().manual_seed(case.seed)
    for name, (spikes, output) in {"last": out.trajectory, **out.result.traces}.items():
        mask = torch.randn(output.shape, generator=draws).to(dtype)
        found[name] = output.detach()
        loss = loss + (output * mask).sum()
        if spikes is not None:
            found[f"{name} spikes"] = spikes.detach()
            loss = loss + (spikes * mask.flip(0)).sum()
    loss.backward()
    learned = {**dict(copy.named_parameters()), "inputs": given}
    return found | {f"gradient {name}": value.grad for name, value in learned.items() if value.grad is not None}


def _apart(found: Tensor, wanted: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((found.double() - wanted.double()).abs().max() / (wanted.double().abs().max() + 1e-9))


def _images(case: Pair) -> Tensor:
    draws = torch.Generator().manual_seed(case.seed)
    images = torch.randint(0, 256, (case.images, *case.graph.image_shape), generator=draws)
    filled = {"bright": 255 - images // 6, "dark": images * (images > 230) // 4, "white": images * 0 + 255}
    return filled.get(case.fill, images * (case.fill == "random")).to(torch.uint8)


def _work(graph: Graph) -> float:
    """Multiplications of a frame, and what each neuron of it takes."""
    sums = [float(at.layer.fan_out(at.input).sum()) for at in graph.named if at.layer.weighted]
    return sum(sums) + sum(50.0 * torch.Size(at.output).numel() for at in graph.named)


def _graph(rng: random.Random) -> Graph:
    steps = rng.choice(_STEPS)
    encoder = rng.choice((Rate(steps=steps), Rate(steps=steps), Latency(steps=steps, tau=3), Periodic(steps=steps)))
    layers: list[Layer] = []
    for _ in range(rng.choice((0, 1, 2, 3))):
        channels = rng.choice(_CHANNELS)
        layers.append(_convolution(rng, channels))
        if rng.random() < 0.3:
            layers.append(_pool(rng))
        layers.append(_neurons(rng))
        if rng.random() < 0.2:
            same = Conv2d(channels=channels, kernel=3, padding=1, groups=rng.choice((1, channels)))
            layers += [Residual(main=(same,)), _neurons(rng)]
        if rng.random() < 0.3:
            layers.append(rng.choice((_pool(rng), Dropout(p=0.5))))
    layers.append(Flatten())
    for _ in range(rng.choice((0, 1, 2))):
        layers += [Linear(features=rng.choice(_FEATURES)), _neurons(rng, recurrent=rng.random() < 0.4)]
    layers += [Linear(features=rng.choice((1, 3, 10, 65))), rng.choice((_neurons(rng), _leaky(rng)))]
    shape = (rng.choice((1, 2, 3)), rng.choice(_SIDES), rng.choice(_SIDES))
    if len(layers) < 6 and rng.random() < 0.5:  # many inputs
        shape = (1, 1, rng.choice((383, 384, 385, 768, 769, 4097)))
    return Graph(image_shape=shape, encoder=encoder, layers=tuple(layers), readout=LastMembrane())


def _pair(rng: random.Random, low: int, high: int) -> tuple[int, int]:
    return rng.randint(low, high), rng.randint(low, high)


def _convolution(rng: random.Random, channels: int) -> Conv2d:
    plain = rng.random() < 0.5
    most = 7 if rng.random() < 0.3 else 3
    return Conv2d(
        channels=channels, kernel=_pair(rng, 1, most), stride=1 if plain else _pair(rng, 1, 3),
        padding=_pair(rng, 0, 3), dilation=1 if plain else _pair(rng, 1, 2), bias=rng.random() < 0.7,
    )  # fmt: skip


def _pool(rng: random.Random) -> MaxPool | AvgPool | SumPool:
    kind = rng.choice((MaxPool, MaxPool, SumPool))
    if rng.random() < 0.3:
        return AvgPool(size=(2, rng.choice((1, 2, 4))), stride=rng.choice((None, 1)))
    return kind(size=_pair(rng, 2, 4), stride=rng.choice((None, _pair(rng, 1, 3))), padding=rng.choice((0, 0, 1)))


def _neurons(rng: random.Random, *, recurrent: bool = False) -> Neuron:
    how = {
        "reset": rng.choice(("subtract", "zero", "none")),
        "reset_delay": rng.random() < 0.4,
        "threshold": rng.choice((0.5, 1.0, 2.0)),
        "per": rng.choice(("layer", "channel")),
        "surrogate": rng.choice((ATan(), FastSigmoid(slope=5.0), StraightThrough())),
        "learn": rng.choice(((), ("threshold",))),
    }
    if (kind := rng.choice((LIF, LIF, IF, ALIF, CubaLIF))) is not IF:
        how["beta"] = rng.choice((0.0, 0.5, 0.875, 0.9, 1.0))
    return Neuron(dynamics=kind(**how), recurrent=recurrent)


def _leaky(rng: random.Random) -> Neuron:
    return Neuron(dynamics=LeakyIntegrator(beta=rng.choice((0.5, 0.9)), learn=rng.choice(((), ("beta",)))))
