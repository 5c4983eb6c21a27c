"""Random graphs of every layer, for engines that are held against the reference engine.

Weights lie on a dyadic grid, so that sums of spikes are exact in any order and every spike must be the reference's.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator, TwoPhaseIF
from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.errors import ConfigError, ShapeError
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Layer,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Triangle

__all__ = ["Pair", "Sizes", "apart", "images_of", "network_of", "pairs", "sums_are_exact"]

_GRID: Final = 2.0**-8
_SURROGATES: Final = (
    ATan(), FastSigmoid(slope=5.0), StraightThrough(), Triangle(height=0.3), Boxcar(), Sigmoid(slope=4.0),
)  # fmt: skip


class Sizes(NamedTuple):
    """What graphs are drawn of."""

    channels: tuple[int, ...]
    sides: tuple[int, ...]
    features: tuple[int, ...]
    steps: tuple[int, ...]
    images: tuple[int, ...]
    work: float
    """Multiplications of a case by the reference engine, at most."""


class Pair(NamedTuple):
    """A network and its images, for both engines."""

    name: str
    graph: Graph
    images: int
    fill: str
    training: bool
    recorded: frozenset[str]
    """Layers whose steps are compared, too."""
    measured: bool
    frozen: float
    """Share of the parameters that do not learn."""
    given: bool
    """Spikes enter, and their gradient is asked for; else images do."""
    first: int
    """Steps of a first run, from whose state another goes on; 0 for a single run, with gradients."""
    seed: int


def pairs(seed: int, count: int, sizes: Sizes, runs: Callable[[Graph], bool] = lambda _: True) -> Iterator[Pair]:
    """Cases 0 to `count` of a seed, of graphs that the engine runs."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        graph, images = None, 0
        while graph is None or images * graph.steps * _work(graph) > sizes.work or not runs(graph):
            images = rng.choice(sizes.images)
            try:
                graph = _graph(rng, sizes)
                _ = graph.named
            except (ShapeError, ConfigError):  # a window larger than its map; a path that changes the map's size
                graph = None
        yield _pair_of(rng, graph, images, number)


def network_of(case: Pair) -> Network:
    """Its weights, on the grid."""
    network = Network(case.graph, seed=case.seed).train(case.training)
    rng = random.Random(case.seed)
    draws = torch.Generator().manual_seed(case.seed)
    with torch.no_grad():
        for at in case.graph.named:
            for key, value in network.get_submodule(at.name).state_dict(keep_vars=True).items():
                if isinstance(at.layer, BatchNorm):
                    _normalising(key, value, draws)
                elif key in ("weight", "bias", "recurrent"):
                    value.copy_((value * 4 / _GRID).round() * _GRID)
                if value.requires_grad and rng.random() < case.frozen:
                    value.requires_grad_(False)
    return network


def images_of(case: Pair) -> Tensor:
    """Its images [B, C, H, W]."""
    draws = torch.Generator().manual_seed(case.seed)
    images = torch.randint(0, 256, (case.images, *case.graph.image_shape), generator=draws)
    filled = {"bright": 255 - images // 6, "dark": images * (images > 230) // 4, "white": images * 0 + 255}
    return filled.get(case.fill, images * (case.fill == "random")).to(torch.uint8)


def apart(found: Tensor, wanted: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    if found.shape != wanted.shape:
        return float("inf")
    if not found.numel():
        return 0.0
    return float((found.double() - wanted.double()).abs().max() / (wanted.double().abs().max() + 1e-9))


def sums_are_exact(graph: Graph, *, training: bool) -> bool:
    """Whether all that reaches neurons is a sum of few dyadic numbers, and so the same in any order."""
    whole = {"": not isinstance(graph.encoder, Direct)}
    met = True
    for at in graph.named:
        arrived = all(whole[name] for name in at.inputs)
        if isinstance(at.layer, Neuron | SpikingActivation):
            met = met and arrived
        whole[at.name] = _stays_whole(at, arrived, training=training)
    return met


def _stays_whole(at: NamedLayer, arrived: bool, *, training: bool) -> bool:
    match at.layer:
        case Neuron(spikes=spikes):
            return spikes
        case SpikingActivation():
            return True
        case QCFS():
            return False
        case BatchNorm():
            arrived = arrived and not training
        case Activation(function=function):
            arrived = arrived and function == "relu"
        case AvgPool() as pool:
            arrived = arrived and _is_power_of_two(pool.window[0] * pool.window[1])
        case GlobalAvgPool():
            arrived = arrived and _is_power_of_two(at.input[1] * at.input[2])
    return arrived


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _normalising(key: str, value: Tensor, draws: torch.Generator) -> None:
    """With epsilon 3 a variance of 1 or 13 has a deviation that is a power of two."""
    drawn = torch.randint(-4, 5, value.shape, generator=draws)
    match key:
        case "running_var":
            value.copy_(torch.where(drawn > 1, 13.0, 1.0))
        case "weight":
            value.copy_(torch.where(drawn == 0, 1.0, drawn / 4))
        case _:
            value.copy_(drawn / 4)


def _pair_of(rng: random.Random, graph: Graph, images: int, number: int) -> Pair:
    fill = rng.choice(("random", "random", "bright", "dark", "white", "black"))
    training = rng.random() < 0.4
    names = [at.name for at in graph.named]
    recorded = frozenset(rng.sample(names, rng.randint(1, len(names))) if rng.random() < 0.3 else ())
    first = rng.randint(1, graph.steps - 1) if graph.steps > 1 and not training and rng.random() < 0.2 else 0
    return Pair(
        f"{graph.encoder.kind} {fill}", graph, images, fill, training, recorded, rng.random() < 0.3,
        rng.choice((0.0, 0.0, 0.0, 0.5)), first > 0 or rng.random() < 0.4, first, number,
    )  # fmt: skip


def _work(graph: Graph) -> float:
    """Multiplications of a frame, and what each neuron of it takes."""
    sums = [float(at.layer.fan_out(at.input).sum()) for at in graph.named if at.layer.weighted]
    return sum(sums) + sum(50.0 * torch.Size(at.output).numel() for at in graph.named)


def _graph(rng: random.Random, sizes: Sizes) -> Graph:
    layers: list[Layer] = []
    for _ in range(rng.choice((0, 1, 2, 3))):
        layers += _block(rng, rng.choice(sizes.channels))
    if layers and rng.random() < 0.15:
        layers.append(GlobalAvgPool())
    else:
        layers.append(Flatten())
    for _ in range(rng.choice((0, 1, 2))):
        layers.append(Linear(features=rng.choice(sizes.features), bias=rng.random() < 0.8))
        layers += _between(rng)
        layers.append(_neurons(rng, recurrent=rng.random() < 0.4))
        if rng.random() < 0.2:
            layers.append(rng.choice((_neurons(rng), Dropout(p=0.5), Residual(main=(_neurons(rng),)))))
    layers += [Linear(features=rng.choice((1, 3, 10, 65))), *_end(rng)]
    shape = (rng.choice((1, 2, 3)), rng.choice(sizes.sides), rng.choice(sizes.sides))
    if len(layers) < 6 and rng.random() < 0.5:  # many inputs
        shape = (1, 1, rng.choice((383, 384, 385, 768, 769, 4097)))
    encoder = _encoder(rng, rng.choice(sizes.steps), shape[0])
    return Graph(image_shape=shape, encoder=encoder, layers=tuple(layers), readout=LastMembrane())


def _encoder(rng: random.Random, steps: int, channels: int) -> Encoder:
    match rng.choice(("rate", "rate", "rate", "latency", "periodic", "delta", "direct")):
        case "latency":
            return Latency(steps=steps, tau=3)
        case "periodic":
            return Periodic(steps=steps)
        case "delta":
            return Delta(steps=steps, amplitude=rng.choice((1, 2, 6)))
        case "direct":
            wide = rng.choice((0, 1, channels))
            return Direct(steps=steps, mean=(0.25,) * wide, deviation=(0.5,) * wide)
    return Rate(steps=steps)


def _end(rng: random.Random) -> list[Layer]:
    """Of the last layer but the matrix."""
    leaky = Neuron(dynamics=LeakyIntegrator(beta=rng.choice((0.5, 0.9)), learn=rng.choice(((), ("beta",)))))
    return rng.choice(([_neurons(rng)], [_neurons(rng, recurrent=True)], [leaky], [leaky], []))


def _between(rng: random.Random) -> list[Layer]:
    """What may stand between a matrix or a convolution and its neurons."""
    if rng.random() < 0.7:
        return []
    kinds = (BatchNorm(epsilon=3.0), BatchNorm(epsilon=3.0), Dropout(p=0.5), Activation(), QCFS(levels=4))
    leaky = Neuron(dynamics=LeakyIntegrator(beta=0.5))
    return [rng.choice((*kinds, leaky, SpikingActivation(dt=0.5), Activation(function="tanh")))]


def _block(rng: random.Random, channels: int) -> list[Layer]:
    """A convolution to neurons, and what may follow."""
    layers: list[Layer] = [_convolution(rng, channels), *_between(rng)]
    if rng.random() < 0.3:
        layers.append(_pool(rng))
    layers.append(_neurons(rng))
    if rng.random() < 0.25:
        layers += _join(rng, channels)
    if rng.random() < 0.3:
        layers.append(rng.choice((_pool(rng), Dropout(p=0.5), BatchNorm(epsilon=3.0))))
    return layers


def _join(rng: random.Random, channels: int) -> list[Layer]:
    """Currents, spikes or membranes that meet."""
    same = Conv2d(channels=channels, kernel=3, padding=1, groups=rng.choice((1, 1, channels)))
    small = Conv2d(channels=channels, kernel=1, bias=False)
    narrow = Conv2d(channels=channels, kernel=3, padding=1, stride=2)
    norm = BatchNorm(epsilon=3.0)
    return rng.choice((
        [Residual(main=(same,)), _neurons(rng)],
        [Residual(main=(same, norm), shortcut=(small, norm)), _neurons(rng)],
        [Residual(main=(narrow,), shortcut=(Conv2d(channels=channels, kernel=1, stride=2),)), _neurons(rng)],
        [Residual(main=(same, _neurons(rng)))],
        [Residual(main=(same, _neurons(rng))), Residual(main=(small, _neurons(rng)))],
        [Residual(main=(Dropout(p=0.5), small, _neurons(rng), Dropout(p=0.5)), shortcut=(Dropout(p=0.5),))],
        [same, Residual(main=(_neurons(rng), same)), _neurons(rng)],
        [same, norm, Residual(main=(_neurons(rng), same, norm)), norm, _neurons(rng)],
    ))  # fmt: skip


def _pair(rng: random.Random, low: int, high: int) -> tuple[int, int]:
    return rng.randint(low, high), rng.randint(low, high)


def _convolution(rng: random.Random, channels: int) -> Conv2d:
    if rng.random() < 0.5:  # square, as most are
        kernel = rng.choice((1, 2, 3, 3, 5))
        return Conv2d(
            channels=channels, kernel=kernel, stride=rng.choice((1, 1, 2, 3)), padding=rng.choice((0, kernel // 2, 2)),
            bias=rng.random() < 0.7,
        )  # fmt: skip
    plain = rng.random() < 0.5
    most = 7 if rng.random() < 0.3 else 3
    return Conv2d(
        channels=channels, kernel=_pair(rng, 1, most), stride=1 if plain else _pair(rng, 1, 3),
        padding=_pair(rng, 0, 3), dilation=1 if plain else _pair(rng, 1, 2), bias=rng.random() < 0.7,
    )  # fmt: skip


def _pool(rng: random.Random) -> MaxPool | AvgPool | SumPool:
    kind = rng.choice((MaxPool, MaxPool, SumPool))
    chance = rng.random()
    if chance < 0.3:
        return AvgPool(size=(2, rng.choice((1, 2, 4))), stride=rng.choice((None, 1)))
    if chance < 0.6:
        return rng.choice((kind, AvgPool))(size=rng.choice((2, 2, 3)))
    return kind(size=_pair(rng, 2, 4), stride=rng.choice((None, _pair(rng, 1, 3))), padding=rng.choice((0, 0, 1)))


def _neurons(rng: random.Random, *, recurrent: bool = False) -> Neuron:
    kind: Any = rng.choice((LIF, LIF, LIF, IF, ALIF, ALIF, CubaLIF, CubaLIF, TwoPhaseIF, Izhikevich))
    per = rng.choice(("layer", "channel"))
    how: dict[str, Any] = {"per": per, "spread": rng.choice((0.0, 0.1)) if per == "channel" else 0.0}
    if kind is Izhikevich:
        how |= {"gain": rng.choice((100.0, 3000.0)), "surrogate": rng.choice((Triangle(), FastSigmoid(slope=0.1)))}
        return Neuron(dynamics=Izhikevich(**how), recurrent=recurrent)
    how |= {"threshold": rng.choice((0.5, 1.0, 2.0)), "surrogate": rng.choice(_SURROGATES)}
    names = ["threshold"]
    if kind is TwoPhaseIF:
        how |= {"listens_from": rng.choice((0, 1)), "fires_from": rng.choice((0, 1, 2)), "phase": rng.choice((2, 9))}
    else:
        how |= {"reset": rng.choice(("subtract", "subtract", "zero", "none")), "reset_delay": rng.random() < 0.4,
                "reset_gradient": rng.random() < 0.3}  # fmt: skip
    if kind in (LIF, ALIF, CubaLIF):
        how["beta"] = rng.choice((0.0, 0.5, 0.875, 0.9, 1.0))
        names.append("beta")
    if kind is ALIF:
        names += ["adaptation", "adaptation_decay"]
        how |= {"threshold_gradient": rng.random() < 0.8, "relative_surrogate": rng.random() < 0.3}
    if kind is CubaLIF:
        names.append("alpha")
    if kind in (IF, LIF, TwoPhaseIF):
        how["initial"] = rng.choice((0.0, 0.0, 0.0, 0.5, -0.25))
    how["learn"] = tuple(name for name in names if rng.random() < 0.4)
    return Neuron(dynamics=kind(**how), recurrent=recurrent, self_connections=recurrent and rng.random() < 0.5)
