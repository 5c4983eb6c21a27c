"""`Graph`: one immutable, typed description of a network.

Builders write it; engines, the energy count, exports and reports read it. It holds no weights: `parameter_shapes`
says which weights it needs, by name.
"""

from collections import Counter
from functools import cached_property
from typing import NamedTuple

from spikewise.config import Config
from spikewise.encoders import Encoder
from spikewise.errors import ShapeError
from spikewise.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Shape,
    Size,
    SpikingActivation,
    words,
)
from spikewise.readouts import Readout
from spikewise.types import Signal

__all__ = [
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Graph",
    "Layer",
    "Linear",
    "MaxPool",
    "NamedLayer",
    "Neuron",
    "Shape",
    "Signal",
    "SpikingActivation",
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
        """Every layer with its name ("conv2d1", "lif1", ...), its shapes and signals."""
        channels, height, width = self.image_shape
        try:
            shape: Shape = (self.encoder.channels(channels), height, width)
        except ShapeError as error:
            raise ShapeError(f"The encoder, with images of {words(self.image_shape)}: {error}.") from None
        arriving = self.encoder.emits
        count: Counter[str] = Counter()
        out = []
        for layer in self.layers:
            count[layer.name] += 1
            name = f"{layer.name}{count[layer.name]}"
            try:
                after = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"Layer {name}, with input {words(shape)}: {error}.") from None
            out.append(NamedLayer(name, layer, shape, after, arriving, layer.emits(arriving)))
            shape, arriving = after, out[-1].leaving
        return tuple(out)

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
