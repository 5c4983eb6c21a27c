"""A graph laid out for a machine that walks it step by step: what is computed when, and where it is kept.

Maps stand channels last, so that what one spike adds to all channels of a place lies in one row of memory; `Wire.order`
says which unit of the graph stands where. Where the input of a layer is the same at every step, it is computed once.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.errors import ConfigError
from spikewise.graph import (
    Activation,
    AvgPool,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    Shape,
    SumPool,
)

__all__ = ["INPUT", "Layout", "Operation", "Window", "Wire", "lay_out"]

INPUT = "input"
"""Name of what the encoder sends."""
_NEURONS = (LIF, IF, ALIF, CubaLIF, LeakyIntegrator)
_ENCODERS = (Rate, Latency, Periodic, Direct, Delta)
_LAYERS = (Linear, Conv2d, MaxPool, AvgPool, SumPool, GlobalAvgPool, Flatten, Neuron, Residual, Activation)


class Window(NamedTuple):
    """A window that slides over a map: of a convolution, or of a pool (as many groups as channels)."""

    source: tuple[int, int, int]
    """Channels, height, width of what it slides over."""
    target: tuple[int, int, int]
    """Of what it makes."""
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


class Wire(NamedTuple):
    """What one layer hands on."""

    name: str
    shape: Shape
    carrier: Literal["events", "values"]
    """A list of the units that spike, or a number for each unit."""
    order: Int64[np.ndarray, " N"]
    """The unit of the graph (counted through its shape) that stands at each place."""
    store: str
    """Name of the layer in whose memory it lies."""
    constant: bool

    @property
    def size(self) -> int:
        """Number of units."""
        return math.prod(self.shape)

    @property
    def channels(self) -> int:
        """How many units stand side by side at one place of a map; all of them where there is no map."""
        return self.shape[0]

    @property
    def flat(self) -> bool:
        """Whether it is no map."""
        return len(self.shape) == 1


class Operation(NamedTuple):
    """One layer at work."""

    at: NamedLayer
    sources: tuple[Wire, ...]
    out: Wire
    window: Window | None
    once: bool
    """Whether it is computed at the first step alone."""

    @property
    def works(self) -> bool:
        """Whether there is anything to compute: a flatten hands on what it gets."""
        return self.out.store == self.at.name


class Layout(NamedTuple):
    """Everything about a network but its numbers."""

    graph: Graph
    input: Wire
    operations: tuple[Operation, ...]
    """In the order of computing: those that are done once, then those of every step."""
    places: dict[str, int]
    """Where the values of each layer begin in the working memory, by the name of the store."""
    work: int
    """Values that the working memory holds."""

    @property
    def out(self) -> Wire:
        """What the readout reads."""
        name = self.graph.named[-1].name
        return next(one.out for one in self.operations if one.at.name == name)

    @property
    def spiking(self) -> tuple[Wire, ...]:
        """What each spiking layer sends, in the order of the graph."""
        wires = {one.at.name: one.out for one in self.operations}
        return tuple(wires[name] for name in self.graph.spiking_layers)


def lay_out(graph: Graph) -> Layout:
    """Lay a graph out.

    Raises:
        ConfigError: C has no word for a layer, which is named, or for the encoder.
    """
    _check_encoder(graph)
    channels, height, width = graph.image_shape
    first = (graph.encoder.channels(channels), height, width)
    sent = graph.encoder.emits
    carrier: Literal["events", "values"] = "events" if sent.carrier == "spikes" else "values"
    wires = {"": Wire(INPUT, first, carrier, _channels_last(first), INPUT, sent.constant)}
    operations = []
    for at in graph.named:
        check_layer(at)
        sources = tuple(wires[name] for name in at.inputs)
        made = _operation(at, sources)
        operations.append(made)
        wires[at.name] = made.out
    _check_last(operations[-1])
    operations.sort(key=lambda one: not one.once)
    places, work = _places(operations, wires[""])
    return Layout(graph, wires[""], tuple(operations), places, work)


def check_layer(at: NamedLayer) -> None:
    """Refuse what the C export does not know.

    Raises:
        ConfigError: the layer is named.
    """
    layer = at.layer
    if isinstance(layer, Neuron) and type(layer.dynamics) not in _NEURONS:
        raise ConfigError(
            f"Layer {at.name}: the C export has no {layer.dynamics.label} neurons; "
            "use lif, if, alif, cuba_lif or leaky_integrator."
        )
    if isinstance(layer, Activation) and layer.function != "relu":
        raise ConfigError(
            f"Layer {at.name}: the C export needs no mathematical library, so of activations it has relu alone, "
            f"not {layer.function}."
        )
    if type(layer) not in _LAYERS:
        what = layer.kind.replace("_", " ")
        raise ConfigError(f"Layer {at.name}: the C export has no {what}{_instead(layer.kind)}.")


def _instead(kind: str) -> str:
    if kind == "batch_norm":
        return " but right behind a linear or convolutional layer, into which it is folded"
    if kind == "spiking_activation":
        return ", whose spikes need real numbers; use a neuron such as lif"
    return ""


def _check_encoder(graph: Graph) -> None:
    if type(graph.encoder) not in _ENCODERS:
        raise ConfigError(
            f"The C export has no encoder '{graph.encoder.label}'; use rate, latency, periodic, direct or delta."
        )


def _check_last(last: Operation) -> None:
    if last.out.carrier == "events" and not isinstance(last.at.layer, Neuron):
        raise ConfigError(f"Layer {last.at.name}: the C export needs neurons or a linear layer at the end.")


def _channels_last(shape: Shape) -> Int64[np.ndarray, " N"]:
    if len(shape) == 1:
        return np.arange(shape[0])
    return np.arange(math.prod(shape)).reshape(shape).transpose(1, 2, 0).ravel()


def _operation(at: NamedLayer, sources: tuple[Wire, ...]) -> Operation:
    source, layer = sources[0], at.layer
    carrier: Literal["events", "values"] = "values"
    order, store = _channels_last(at.output), at.name
    positive = isinstance(layer, Activation) and source.carrier == "events"  # the ReLU of spikes are the spikes
    if isinstance(layer, Flatten) or positive:
        carrier, order, store = source.carrier, source.order, source.store
    elif isinstance(layer, Neuron):
        order = source.order
        carrier = "events" if layer.spikes else "values"
    elif isinstance(layer, MaxPool):
        carrier = source.carrier
    constant = all(one.constant for one in sources) and not isinstance(layer, Neuron)
    out = Wire(at.name, at.output, carrier, order, store, constant)
    return Operation(at, sources, out, _window(at), constant)


def _window(at: NamedLayer) -> Window | None:
    layer = at.layer
    if isinstance(layer, Conv2d):
        how = (layer.window, layer.strides, layer.paddings, layer.dilations, layer.groups)
    elif isinstance(layer, MaxPool | AvgPool | SumPool):
        padding = layer.padding if isinstance(layer.padding, tuple) else (layer.padding, layer.padding)
        how = (layer.window, layer.strides, padding, (1, 1), at.input[0])
    elif isinstance(layer, GlobalAvgPool):
        channels, height, width = at.input
        how = ((height, width), (1, 1), (0, 0), (1, 1), channels)
    else:
        return None
    return Window(_map(at.input), _map(at.output), *how)


def _map(shape: Shape) -> tuple[int, int, int]:
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    return channels, height, width


class _Interval(NamedTuple):
    name: str
    size: int
    first: int
    last: int


def _places(operations: list[Operation], entering: Wire) -> tuple[dict[str, int], int]:
    """Where each layer's values lie while somebody still needs them: the lowest place that is free all that time."""
    taken: list[tuple[int, _Interval]] = []
    places = {}
    for one in _intervals(operations, entering):
        at = 0
        for start, other in sorted(taken):
            if other.last < one.first or other.first > one.last:
                continue
            if at + one.size <= start:
                break
            at = max(at, start + other.size)
        taken.append((at, one))
        places[one.name] = at
    return places, max((at + one.size for at, one in taken), default=0)


def _intervals(operations: list[Operation], entering: Wire) -> Iterable[_Interval]:
    """From when to when the values of each store are needed; the readout reads when all operations are done."""
    end = len(operations)
    reads: dict[str, int] = {operations_last(operations).store: end}
    late = set()
    for number, one in enumerate(operations):
        for source in one.sources:
            reads[source.store] = max(number, reads.get(source.store, 0))
            if source.constant and not one.once:
                late.add(source.store)
    out = operations_last(operations)
    if out.constant:
        late.add(out.store)
    if entering.carrier == "values":
        yield _Interval(INPUT, entering.size, 0, end if INPUT in late else reads[INPUT])
    for number, one in enumerate(operations):
        if one.out.carrier == "values" and one.out.store == one.at.name and not isinstance(one.at.layer, Neuron):
            last = end if one.at.name in late else reads.get(one.at.name, number)
            yield _Interval(one.at.name, one.out.size, number, last)
        if needs_memory(one, operations):
            yield _Interval(f"{one.at.name}.own", one.sources[0].size if isinstance(one.at.layer, Neuron)
                            else one.out.size, number, number)  # fmt: skip


def operations_last(operations: Iterable[Operation]) -> Wire:
    """What the readout reads: the output of the layer that stands last in the graph."""
    read = {source.name for one in operations for source in one.sources}
    return next(one.out for one in operations if one.out.name not in read)


def needs_memory(one: Operation, operations: Iterable[Operation]) -> bool:
    """Whether an operation works on values of its own: spikes as numbers, or a current that others read too."""
    source = one.sources[0]
    if isinstance(one.at.layer, MaxPool):
        return source.carrier == "events"
    if not isinstance(one.at.layer, Neuron):
        return False
    if source.carrier == "events":
        return True
    readers = sum(source.store in {wire.store for wire in other.sources} for other in operations
                  if other.works)  # fmt: skip
    return one.at.layer.recurrent and (readers > 1 or source.constant or keeps_itself(source, operations))


def keeps_itself(wire: Wire, operations: Iterable[Operation]) -> bool:
    """Whether a wire's values are the membranes of neurons that do not spike."""
    return any(one.at.name == wire.store and isinstance(one.at.layer, Neuron) for one in operations)
