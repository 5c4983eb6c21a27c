"""A graph as stages of this engine."""

from collections import Counter

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator, TwoPhaseIF
from spikewise.engine.parameters import charged
from spikewise.engine.triton.convolutions import Convolution
from spikewise.engine.triton.joins import Joined, Normalised
from spikewise.engine.triton.maps import Convolved, Pooled
from spikewise.engine.triton.neurons import Dense, Spiking
from spikewise.engine.triton.stages import Drop, Flat, Means, Plain, TritonStage
from spikewise.graph import (
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SumPool,
)

__all__ = ["stages"]


def stages(graph: Graph, *, training: bool, ends: frozenset[str] = frozenset()) -> list[TritonStage]:
    """Fresh stages for one run.

    Args:
        training: normalise by the batch.
        ends: layers whose output is wanted as it is, so that a stage ends behind each.
    """
    out: list[TritonStage] = []
    position = 0
    while position < len(graph.named):
        stage = _stage(position, _chain(graph, position, ends), training=training)
        out.append(stage)
        position += len(stage.layers)
    return out


def _chain(graph: Graph, position: int, ends: frozenset[str]) -> tuple[NamedLayer, ...]:
    """A layer and those behind it of which each alone reads the one before, and nothing else."""
    readers = Counter(name for at in graph.named for name in at.inputs)
    chain = [graph.named[position]]
    for at in graph.named[position + 1 :]:
        before = chain[-1].name
        if at.inputs != (before,) or readers[before] > 1 or before in ends:
            break
        chain.append(at)
    return tuple(chain)


def _stage(position: int, chain: tuple[NamedLayer, ...], *, training: bool) -> TritonStage:  # noqa: PLR0911  # one line per kind of layer
    """The stage that begins with the first layer of a chain, and takes as many of the others as run with it."""
    at, *behind = chain
    match at.layer:
        case Flatten():
            return Flat(at)
        case Dropout():
            return Drop(at, 1 + position)
        case Linear():
            return Dense(at, behind[0] if behind and walks(behind[0]) else None)
        case Conv2d(plain=True):
            return _convolution(at, behind, training=training)
        case BatchNorm():
            return Normalised(at, by_batch=training)
        case Residual():
            return Joined(at)
        case GlobalAvgPool():
            return Means(at)
        case MaxPool() | AvgPool() | SumPool() if without_overlap(at):
            return Pooled(at)
        case Neuron() if walks(at):
            return Spiking(at)
        case _:
            return Plain(at, position)


def _convolution(at: NamedLayer, behind: list[NamedLayer], *, training: bool) -> TritonStage:
    norm = behind[0] if behind and isinstance(behind[0].layer, BatchNorm) else None
    if norm is not None and training:
        return Convolution(at, norm, by_batch=True)
    norms = [] if norm is None else [norm]
    joined = _joined(behind[len(norms) :])
    return Convolved((at, *norms, *joined)) if joined else Convolution(at, norm, by_batch=False)


def _joined(behind: list[NamedLayer]) -> tuple[NamedLayer, ...]:
    """Of the layers behind a convolution, those that run in one kernel with it."""
    if behind and joins_convolution(behind[0]):
        return tuple(behind[:1])
    # The kernels gather the pixels of a window of four once; of larger windows there would be too many.
    match behind:
        case [NamedLayer(layer=MaxPool(window=(2, 2)) | AvgPool(window=(2, 2))) as pool, neuron, *_]:
            return (pool, neuron) if without_overlap(pool) and joins_convolution(neuron) else ()
    return ()


def without_overlap(at: NamedLayer) -> bool:
    """Whether a layer is a pooling whose windows meet edge to edge."""
    layer = at.layer
    return isinstance(layer, MaxPool | AvgPool | SumPool) and layer.plain and layer.strides == layer.window


def walks(at: NamedLayer) -> bool:
    """Whether a layer is neurons that have a kernel."""
    layer = at.layer
    if not isinstance(layer, Neuron) or (layer.recurrent and (charged(layer) or layer.dynamics.kind == "two_phase_if")):
        return False
    dynamics = layer.dynamics
    late = getattr(dynamics, "reset_delay", False) and getattr(dynamics, "reset", "") == "zero"
    if late and getattr(dynamics, "reset_gradient", False):
        return False
    return isinstance(dynamics, IF | LIF | ALIF | CubaLIF | TwoPhaseIF | Izhikevich | LeakyIntegrator)


def joins_convolution(at: NamedLayer) -> bool:
    """Whether the kernel of convolution and pooling knows the neurons of a layer."""
    layer = at.layer
    return walks(at) and isinstance(layer, Neuron) and isinstance(layer.dynamics, IF | LIF | ALIF | LeakyIntegrator)
