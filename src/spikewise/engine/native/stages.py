"""A graph cut into the stages of the native engine (`refusals.py` says which cannot be).

A stage is one operation (weights, something pointwise, a sum, or none), then pooling, then neurons; each may be
missing.
"""

from typing import NamedTuple

from spikewise.engine.contract import RunOptions
from spikewise.graph import (
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
    Shape,
    SpikingActivation,
    SumPool,
)

__all__ = ["IMAGE", "Map", "Mode", "Stage", "as_map", "image_of", "mode_of", "reach", "stages_of"]

IMAGE = -1
"""The place of the encoder among the stages."""
Map = tuple[int, int, int]
"""Channels, height, width."""
_Pooling = MaxPool | AvgPool | SumPool | GlobalAvgPool
_Pointwise = BatchNorm | Activation | SpikingActivation | Dropout | Residual


class Mode(NamedTuple):
    """What beside the graph decides how it is cut."""

    training: bool = False
    """Batch normalisation by the batch, plain activations where training is not spiking-aware."""
    ends: frozenset[str] = frozenset()
    """Layers whose output is wanted as it is: a stage ends behind each. None is a flatten layer, which has no stage."""


_PLAIN = Mode()


def mode_of(graph: Graph, options: RunOptions) -> Mode:
    """How a run asks for a graph to be cut."""
    if not options.training and not options.record:
        return _PLAIN
    special = options.training and any(isinstance(at.layer, BatchNorm | SpikingActivation) for at in graph.named)
    neurons = {at.name for at in graph.named if isinstance(at.layer, Neuron)}
    senders = _senders(graph)
    return Mode(special, frozenset(senders[name] for name in options.record) - neurons)


def _senders(graph: Graph) -> dict[str, str]:
    """For each layer the one that makes what it sends: itself, or the one before a flatten layer."""
    senders = {"": ""}
    for at in graph.named:
        senders[at.name] = senders[at.inputs[0]] if isinstance(at.layer, Flatten) else at.name
    return senders


class Stage(NamedTuple):
    """The layers of a graph that run together."""

    layers: tuple[NamedLayer, ...]
    inputs: tuple[int, ...]
    """Places of the stages that it reads."""
    input: Map
    """How its input is laid out: a flat layer behind a map reads the map's features in the map's order."""
    position: int
    """Of its first layer in the graph."""
    dropped: float = 0.0
    """Share of the inputs that dropout silences in training; the weights make up for it."""
    stream: int = 0
    """Of the random numbers of its dropout."""

    @property
    def first(self) -> Layer:
        """The layer that it begins with."""
        return self.layers[0].layer

    @property
    def operation(self) -> NamedLayer | None:
        """The linear layer or convolution that the stage begins with."""
        return self.layers[0] if isinstance(self.first, Linear | Conv2d) else None

    @property
    def pointwise(self) -> NamedLayer | None:
        """The normalisation, activation, dropout or sum that the stage begins with."""
        return self.layers[0] if isinstance(self.first, _Pointwise) else None

    @property
    def pool(self) -> NamedLayer | None:
        """What pools its currents."""
        return next((at for at in self.layers if isinstance(at.layer, _Pooling)), None)

    @property
    def neuron(self) -> NamedLayer | None:
        """The stage's neuron layer."""
        return next((at for at in self.layers if isinstance(at.layer, Neuron)), None)

    @property
    def norm(self) -> NamedLayer | None:
        """The batch normalisation that is folded into the stage's weights."""
        return next((at for at in self.layers[1:] if isinstance(at.layer, BatchNorm)), None)

    @property
    def dropout(self) -> Dropout | None:
        """What silences features in training: the stage's spikes, or all that it is about."""
        return next((at.layer for at in self.layers if isinstance(at.layer, Dropout)), None)

    @property
    def reorder(self) -> bool:
        """Whether the weights of its linear layer count a map's features in the graph's order."""
        return isinstance(self.first, Linear) and self.input[1:] != (1, 1)

    @property
    def made(self) -> Map:
        """What its operation makes, before pooling."""
        return as_map(self.operation.output) if self.operation else self.input

    @property
    def output(self) -> Map:
        """What it sends on."""
        return as_map(self.pool.output) if self.pool else self.made

    @property
    def sends(self) -> NamedLayer:
        """The layer whose output it sends, before dropout."""
        spiking = self.neuron if self.dropout and self.neuron else None
        return spiking or self.layers[-1]

    @property
    def name(self) -> str:
        """That of its first layer."""
        return self.layers[0].name

    def takes(self, at: NamedLayer) -> bool:
        """Whether a layer that reads nothing else may follow what it has."""
        if any(isinstance(one.layer, SpikingActivation | Activation) for one in self.layers):
            return False
        match at.layer:
            case BatchNorm():
                return len(self.layers) == 1 and self.operation is not None
            case MaxPool() | AvgPool() | SumPool() | GlobalAvgPool():
                linear = isinstance(self.first, Linear)
                return not (linear or self.pointwise or self.pool or self.neuron)
            case Neuron(recurrent=recurrent):
                return self.neuron is None and not (recurrent and not isinstance(self.first, Linear))
        return False


def as_map(shape: Shape) -> Map:
    """A flat shape is a map of one pixel."""
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def reach(layer: Conv2d) -> tuple[int, int]:
    """Height and width of what a kernel covers, the gaps of its dilation included."""
    (tall, wide), (down, right) = layer.window, layer.dilations
    return down * (tall - 1) + 1, right * (wide - 1) + 1


def image_of(graph: Graph) -> tuple[Map, bool]:
    """How the first stages read the image, and whether as a map; in the graph's order if all read it flat."""
    channels, height, width = graph.image_shape
    shape = (graph.encoder.channels(channels), height, width)
    flat = all(isinstance(at.layer, Flatten) for at in graph.readers(""))
    return (shape[0] * height * width, 1, 1) if flat else shape, not flat


class _Source(NamedTuple):
    """Who sends what a layer sends."""

    stage: int
    layout: Map
    dropped: float = 0.0


def stages_of(graph: Graph, mode: Mode = Mode()) -> tuple[Stage, ...]:  # noqa: B008  # immutable
    """The layers that run together, in the order of computing; of a graph whose layers the engine knows."""
    stages: list[Stage] = []
    sources = {"": _Source(IMAGE, image_of(graph)[0])}
    for position, at in enumerate(graph.named):
        read = [sources[name] for name in at.inputs]
        if isinstance(at.layer, Flatten):
            sources[at.name] = read[0]
            continue
        source = read[0]
        last = stages[source.stage] if source.stage != IMAGE else None
        if last is not None and _joins(graph, mode, last, at):
            stages[source.stage] = last._replace(layers=(*last.layers, at))
            if isinstance(at.layer, Dropout):
                stages[source.stage] = stages[source.stage]._replace(stream=1 + position)
                source = source._replace(dropped=at.layer.p)
        else:
            dropped = source.dropped if isinstance(at.layer, Linear | Conv2d) else 0.0
            places = tuple(one.stage for one in read)
            stages.append(Stage((at,), places, source.layout, position, dropped, 1 + position))
            source = _Source(len(stages) - 1, source.layout, 0.0 if dropped else source.dropped)
        sources[at.name] = source._replace(layout=stages[source.stage].output)
    return tuple(stages)


def _joins(graph: Graph, mode: Mode, stage: Stage, at: NamedLayer) -> bool:
    """Whether a layer becomes part of the stage that it reads."""
    last = stage.layers[-1]
    if len(at.inputs) != 1 or last.name in mode.ends or not _alone(graph, last.name, at.name):
        return False
    if isinstance(at.layer, Dropout):  # spikes are silenced as bits, and the weights that read them make up for it
        spikes = isinstance(last.layer, Neuron) and last.layer.spikes
        return spikes and stage.dropout is None and _weights_follow(graph, mode, at)
    return stage.takes(at) and not (mode.training and isinstance(at.layer, BatchNorm))


def _alone(graph: Graph, name: str, reader: str) -> bool:
    """Whether one layer alone reads another, flatten layers between them aside."""
    readers = graph.readers(name)
    if len(readers) != 1:
        return False
    only = readers[0]
    return only.name == reader or (isinstance(only.layer, Flatten) and _alone(graph, only.name, reader))


def _weights_follow(graph: Graph, mode: Mode, at: NamedLayer) -> bool:
    """Whether nothing that a layer sends is seen before weights have made up for what dropout leaves out."""
    passing = (Flatten, MaxPool, AvgPool, SumPool, GlobalAvgPool)
    readers = graph.readers(at.name)
    if len(readers) != 1 or at.name in mode.ends:
        return False
    if isinstance(readers[0].layer, Linear | Conv2d):
        return True
    return isinstance(readers[0].layer, passing) and _weights_follow(graph, mode, readers[0])
