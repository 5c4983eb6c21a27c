"""`Graph`: one immutable, typed description of a network.

Builders write it; engines, the energy count, exports and reports read it. It is a chain of layers, in which a residual
block is one layer with two paths; `named` lists them all. It holds no weights: `parameter_shapes` says which weights it
needs, by name.
"""

from collections import Counter
from functools import cached_property
from typing import NamedTuple

from spikewise.config import Config
from spikewise.encoders import Encoder
from spikewise.errors import ShapeError
from spikewise.layers import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    Shape,
    Size,
    SpikingActivation,
    SumPool,
    sum_of,
    words,
)
from spikewise.readouts import Readout
from spikewise.types import Signal

__all__ = [
    "QCFS",
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Graph",
    "Layer",
    "Linear",
    "MaxPool",
    "NamedLayer",
    "Neuron",
    "Residual",
    "Shape",
    "Signal",
    "SpikingActivation",
    "SumPool",
]


class NamedLayer(NamedTuple):
    """A layer with its name, the shapes around it, and what travels there."""

    name: str
    layer: Layer
    input: Shape
    output: Shape
    arriving: Signal
    """What it receives."""
    leaving: Signal
    """What it sends on."""
    inputs: tuple[str, ...]
    """Names of the layers that it listens to, "" for the encoder: one, or for a sum the two that it adds."""

    def parameters(self) -> dict[str, Shape]:
        """Shape of each weight the layer needs, by its name within the layer."""
        return self.layer.parameters(self.input)


class Graph(Config):
    """Encoder, layers and readout of one network, for one image shape.

    Raises:
        ShapeError: two layers do not fit together; the message names the layer.
    """

    image_shape: tuple[Size, Size, Size]
    """Channels, height, width of an image."""
    encoder: Encoder
    layers: tuple[Layer, ...]
    readout: Readout

    def model_post_init(self, context: object) -> None:
        """Check that the layers fit together."""
        del context
        last = self.named[-1] if self.named else None
        if last is None or len(last.output) != 1:
            raise ShapeError("A network ends in a flat layer with one output per class; add flatten and linear layers.")

    @cached_property
    def named(self) -> tuple[NamedLayer, ...]:
        """Every layer in the order of computing, with its name ("conv2d1", "lif1", ...), its shapes and signals.

        The layers of a residual block stand one after the other, those of its main path first, then their sum.
        """
        channels, height, width = self.image_shape
        try:
            shape: Shape = (self.encoder.channels(channels), height, width)
        except ShapeError as error:
            raise ShapeError(f"The encoder, with images of {words(self.image_shape)}: {error}.") from None
        walk = _Walk()
        walk.chain(self.layers, _Path("", shape, self.encoder.emits))
        return tuple(walk.named)

    def readers(self, name: str) -> tuple[NamedLayer, ...]:
        """The layers that listen to a layer; "" is the encoder."""
        return tuple(at for at in self.named if name in at.inputs)

    @cached_property
    def last_reads(self) -> dict[str, str]:
        """For each layer (and "", the encoder) the last one that listens to it; then its output is needed no more."""
        return {name: at.name for at in self.named for name in at.inputs}

    @property
    def steps(self) -> int:
        """Time steps T."""
        return self.encoder.steps

    @property
    def classes(self) -> int:
        """Outputs K."""
        return self.named[-1].output[0]

    @property
    def spiking_layers(self) -> tuple[str, ...]:
        """Names of the layers that emit spikes."""
        return tuple(at.name for at in self.named if at.layer.spikes)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Every weight the network has, by name ("linear1.weight"); buffers of batch normalisation included."""
        return {f"{at.name}.{key}": shape for at in self.named for key, shape in at.parameters().items()}


class _Path(NamedTuple):
    """Where a path through a graph has come to."""

    name: str
    shape: Shape
    signal: Signal


class _Walk:
    """Names layers and follows shapes and signals through them."""

    def __init__(self) -> None:
        self.named: list[NamedLayer] = []
        self._count: Counter[str] = Counter()

    def chain(self, layers: tuple[Layer, ...], path: _Path) -> _Path:
        """Follow layers one after the other."""
        for layer in layers:
            path = self._block(layer, path) if isinstance(layer, Residual) else self._layer(layer, path)
        return path

    def _layer(self, layer: Layer, path: _Path) -> _Path:
        name = self._name(layer)
        try:
            shape = layer.output_shape(path.shape)
        except ShapeError as error:
            raise ShapeError(f"Layer {name}, with input {words(path.shape)}: {error}.") from None
        return self._add(name, layer, (path,), shape, layer.emits(path.signal))

    def _block(self, layer: Residual, path: _Path) -> _Path:
        main, shortcut = self.chain(layer.main, path), self.chain(layer.shortcut, path)
        name = self._name(layer)
        try:
            shape = layer.meets(main.shape, shortcut.shape)
        except ShapeError as error:
            ends = f"{main.name} and {shortcut.name or 'the encoder'}"
            raise ShapeError(f"Layer {name}, the sum of {ends}: {error}.") from None
        return self._add(name, layer, (main, shortcut), shape, sum_of(main.signal, shortcut.signal))

    def _add(self, name: str, layer: Layer, paths: tuple[_Path, ...], shape: Shape, leaving: Signal) -> _Path:
        names = tuple(path.name for path in paths)
        self.named.append(NamedLayer(name, layer, paths[0].shape, shape, paths[0].signal, leaving, names))
        return _Path(name, shape, leaving)

    def _name(self, layer: Layer) -> str:
        self._count[layer.name] += 1
        return f"{layer.name}{self._count[layer.name]}"
