"""A graph as stages of this engine."""

from spikewise.dynamics import ALIF, IF, LIF, LeakyIntegrator
from spikewise.engine.triton.maps import Convolved, Pooled
from spikewise.engine.triton.neurons import Dense, Spiking
from spikewise.engine.triton.stages import Drop, Flat, Plain, TritonStage
from spikewise.graph import AvgPool, Conv2d, Dropout, Flatten, Graph, Linear, MaxPool, NamedLayer, Neuron

__all__ = ["stages"]


def stages(graph: Graph) -> list[TritonStage]:
    """Fresh stages for one run."""
    out: list[TritonStage] = []
    layers = list(enumerate(graph.named))
    while layers:
        position, at = layers.pop(0)
        following = layers[0][1] if layers else None
        match at.layer:
            case Flatten():
                out.append(Flat(at))
            case Dropout():
                out.append(Drop(at, 1 + position))
            case Linear():
                neuron = following if following is not None and walks(following) else None
                if neuron is not None:
                    layers.pop(0)
                out.append(Dense(at, neuron))
            case Conv2d(plain=True):
                behind = [one for _, one in layers[:2]]
                joined = _joined(behind)
                del layers[: len(joined)]
                out.append(Convolved((at, *joined), position) if joined else Plain(at, position))
            case MaxPool() | AvgPool() if without_overlap(at):
                out.append(Pooled(at))
            case Neuron() if walks(at):
                out.append(Spiking(at))
            case _:
                out.append(Plain(at, position))
    return out


def _joined(behind: list[NamedLayer]) -> tuple[NamedLayer, ...]:
    """Of the layers behind a convolution, those that run in one kernel with it."""
    if behind and walks(behind[0]):
        return tuple(behind[:1])
    if len(behind) == 2 and without_overlap(behind[0]) and walks(behind[1]):
        return tuple(behind)
    return ()


def without_overlap(at: NamedLayer) -> bool:
    """Whether a layer is a pooling whose windows meet edge to edge."""
    layer = at.layer
    return isinstance(layer, MaxPool | AvgPool) and layer.plain and layer.strides == layer.window


def walks(at: NamedLayer) -> bool:
    """Whether a layer is neurons that have a kernel."""
    return isinstance(at.layer, Neuron) and isinstance(at.layer.dynamics, IF | LIF | ALIF | LeakyIntegrator)
