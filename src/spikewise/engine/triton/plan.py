"""A graph as stages of this engine, or the reason why it cannot run one."""

from collections.abc import Callable

from spikewise.dynamics import ALIF, IF, LIF, LeakyIntegrator
from spikewise.engine.contract import RunOptions
from spikewise.engine.triton.stages import Dense, Drop, Flat, Plain, Spiking, Stage
from spikewise.graph import Dropout, Flatten, Graph, Linear, NamedLayer, Neuron, SpikingActivation

__all__ = ["stages"]


def stages(graph: Graph) -> list[Stage]:
    """Fresh stages for one run."""
    out: list[Stage] = []
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
            case Neuron() if walks(at):
                out.append(Spiking(at))
            case _:
                out.append(Plain(at, position))
    return out


def walks(at: NamedLayer) -> bool:
    """Whether a layer is neurons that have a kernel."""
    return isinstance(at.layer, Neuron) and isinstance(at.layer.dynamics, IF | LIF | ALIF | LeakyIntegrator)
