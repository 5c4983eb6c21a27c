"""A graph cut into the stages of the native engine (`refusals.py` says which cannot be).

A stage is one weighted operation (or none), then pooling, then neurons; each may be missing.
"""

from typing import NamedTuple

from spikewise.graph import (
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Shape,
)

__all__ = ["Stage", "as_map", "stages_of"]


class Stage(NamedTuple):
    """The layers of a graph that run together."""

    layers: tuple[NamedLayer, ...] = ()
    flattened: Shape | None = None
    """The map [channels, height, width] whose features a linear layer reads, in the order of the graph."""
    dropped: float = 0.0
    """Share of the inputs that dropout silences in training; the weights make up for it."""
    stream: int = 0
    """Of the random numbers of its dropout."""

    @property
    def operation(self) -> NamedLayer | None:
        """The linear layer or convolution that the stage begins with."""
        return self.layers[0] if isinstance(self.layers[0].layer, Linear | Conv2d) else None

    @property
    def pool(self) -> NamedLayer | None:
        """What pools its currents."""
        return next((at for at in self.layers if isinstance(at.layer, MaxPool | AvgPool)), None)

    @property
    def neuron(self) -> NamedLayer | None:
        """The stage's neuron layer."""
        return next((at for at in self.layers if isinstance(at.layer, Neuron)), None)

    @property
    def norm(self) -> NamedLayer | None:
        """The batch normalisation behind the stage's weights."""
        return next((at for at in self.layers if isinstance(at.layer, BatchNorm)), None)

    @property
    def dropout(self) -> Dropout | None:
        """What silences the stage's spikes in training."""
        return next((at.layer for at in self.layers if isinstance(at.layer, Dropout)), None)

    @property
    def input(self) -> Shape:
        """Shape of what it reads."""
        return self.flattened or self.layers[0].input

    @property
    def made(self) -> Shape:
        """Shape of what its operation makes, before pooling."""
        return self.operation.output if self.operation else self.layers[0].input

    @property
    def output(self) -> Shape:
        """Shape of what it sends on."""
        return self.pool.output if self.pool else self.made

    def joined(self, at: NamedLayer) -> "Stage":
        """With one layer more."""
        return self._replace(layers=(*self.layers, at))

    def takes_pool(self) -> bool:
        """Whether a pool may follow what it has."""
        linear = self.operation is not None and isinstance(self.operation.layer, Linear)
        return not linear and self.pool is None and self.neuron is None

    def takes_neurons(self, at: NamedLayer) -> bool:
        """Whether these neurons may follow what it has; not if a flatten layer stands between."""
        return self.neuron is None and as_map(at.input) == as_map(self.output)


def as_map(shape: Shape) -> tuple[int, int, int]:
    """A flat shape is a map of one pixel."""
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def stages_of(graph: Graph) -> tuple[Stage, ...]:
    """The layers that run together, in order; of a graph whose layers the engine knows."""
    stages: list[Stage] = []
    flattened: Shape | None = None
    dropped = 0.0
    for position, at in enumerate(graph.named):
        match at.layer:
            case Flatten():
                if stages and len(at.input) == 3:  # the first stage reads the image in its own order
                    flattened = at.input
            case Linear() | Conv2d():
                stages.append(Stage((at,), flattened, dropped))
                flattened, dropped = None, 0.0
            case BatchNorm():
                stages[-1] = stages[-1].joined(at)
            case Dropout(p=p):
                stages[-1] = stages[-1].joined(at)._replace(stream=1 + position)
                dropped = p
            case MaxPool() | AvgPool():
                takes = bool(stages) and stages[-1].takes_pool()
                stages[-1:] = [stages[-1].joined(at)] if takes else [*stages[-1:], Stage((at,))]
            case Neuron():
                takes = bool(stages) and stages[-1].takes_neurons(at)
                stages[-1:] = [stages[-1].joined(at)] if takes else [*stages[-1:], Stage((at,))]
    return tuple(stages)
