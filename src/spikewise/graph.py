"""`Graph`: one immutable, typed description of a network.

Builders write it; engines, the energy count, exports and reports read it. It holds no weights: `parameter_shapes`
says which weights it needs, by name.
"""

import math
from collections import Counter
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from spikewise.config import Config
from spikewise.dynamics import Dynamics, LeakyIntegrator
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError, ShapeError
from spikewise.initial import Init, Uniform
from spikewise.readouts import Readout

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
    "SpikingActivation",
]

Shape = tuple[int, ...]
"""Features of one image at one step: (channels, height, width) or (features,)."""
Size = Annotated[int, Field(ge=1)]
Function = Literal["relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu"]


class Linear(Config):
    """y = W x + b over the features of a flat layer."""

    kind: Literal["linear"] = "linear"
    features: Size
    bias: bool = True
    init: Init = Uniform()

    def output_shape(self, shape: Shape) -> Shape:
        """(features,)."""
        if len(shape) != 1:
            raise ShapeError(f"needs a flat input, got {_words(shape)}; put a flatten layer before it")
        return (self.features,)


class Conv2d(Config):
    """Two-dimensional convolution with a square kernel."""

    kind: Literal["conv2d"] = "conv2d"
    channels: Size
    kernel: Size
    stride: Size = 1
    padding: Annotated[int, Field(ge=0)] = 0
    bias: bool = True
    init: Init = Uniform()

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, height, width) after the kernel has slid over the padded map."""
        return (self.channels, *_slide(shape, self.kernel, self.stride, self.padding, "kernel"))


class MaxPool(Config):
    """Largest value of each square window."""

    kind: Literal["max_pool"] = "max_pool"
    size: Size = 2
    stride: Size | None = None
    """Defaults to `size`."""

    def output_shape(self, shape: Shape) -> Shape:
        """The same channels, fewer pixels."""
        return (shape[0], *_slide(shape, self.size, self.stride or self.size, 0, "window"))


class AvgPool(Config):
    """Mean of each square window."""

    kind: Literal["avg_pool"] = "avg_pool"
    size: Size = 2
    stride: Size | None = None
    """Defaults to `size`."""

    def output_shape(self, shape: Shape) -> Shape:
        """The same channels, fewer pixels."""
        return (shape[0], *_slide(shape, self.size, self.stride or self.size, 0, "window"))


class Flatten(Config):
    """Channels, height and width become one axis of features."""

    kind: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """(channels x height x width,)."""
        return (math.prod(shape),)


class BatchNorm(Config):
    """Normalisation of each channel over batch, time and space.  Source: Ioffe and Szegedy, ICML 2015."""

    kind: Literal["batch_norm"] = "batch_norm"
    epsilon: Annotated[float, Field(gt=0)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


class Dropout(Config):
    """In training, silences features with probability `p`, the same ones at every step of an image."""

    kind: Literal["dropout"] = "dropout"
    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


class Activation(Config):
    """A conventional activation function."""

    kind: Literal["activation"] = "activation"
    function: Function = "relu"

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


class SpikingActivation(Config):
    """A conventional activation whose output is carried by spikes; backward it is the activation.

        v <- v + f(x) dt;   n = floor(v);   v <- v - n;   y = n / dt

    `v` starts at 0, or anywhere in [0, 1). Source: Voelker, Rasmussen and Eliasmith, "A spike in performance",
    arXiv 2002.03553, sec. 2 (the KerasSpiking idea).
    """

    kind: Literal["spiking_activation"] = "spiking_activation"
    function: Function = "relu"
    dt: Annotated[float, Field(gt=0)] = 1.0
    """Length of a time step in seconds: small is very spiky, large tends to the activation itself."""
    random_start: bool = True
    """Start `v` uniformly in [0, 1) instead of at 0."""
    spiking_aware: bool = True
    """Spike in training too; False trains with the plain activation and spikes in evaluation only."""

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


class Neuron(Config):
    """A layer of spiking neurons (or leaky integrators), one for each feature."""

    kind: Literal["neuron"] = "neuron"
    dynamics: Dynamics
    recurrent: bool = False
    """Feed the layer's spikes of the last step back to it through a learned matrix (flat layers only)."""
    self_connections: bool = False
    """Let the recurrent matrix have a diagonal."""
    init: Init = Uniform()
    """How the recurrent matrix starts."""

    def model_post_init(self, context: object) -> None:
        """Check that there are spikes to feed back."""
        del context
        if self.recurrent and not self.spikes:
            raise ConfigError(
                "A leaky integrator has no spikes to feed back; use a spiking neuron, or recurrent = false."
            )

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        if self.recurrent and len(shape) != 1:
            raise ShapeError(f"is recurrent and needs a flat input, got {_words(shape)}; put a flatten layer before it")
        return shape

    @property
    def spikes(self) -> bool:
        """Whether the neurons spike."""
        return not isinstance(self.dynamics, LeakyIntegrator)


Layer = Annotated[
    Linear | Conv2d | MaxPool | AvgPool | Flatten | BatchNorm | Dropout | Activation | SpikingActivation | Neuron,
    Field(discriminator="kind"),
]


class NamedLayer(NamedTuple):
    """A layer with its name and the shapes around it."""

    name: str
    layer: Layer
    input: Shape
    output: Shape

    def parameters(self) -> dict[str, Shape]:
        """Shape of each weight the layer needs, by its name within the layer."""
        return _parameters(self)


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
        """Every layer with its name ("conv2d1", "lif1", ...) and shapes."""
        channels, height, width = self.image_shape
        shape: Shape = (self.encoder.channels(channels), height, width)
        count: Counter[str] = Counter()
        out = []
        for layer in self.layers:
            kind = layer.dynamics.kind if isinstance(layer, Neuron) else layer.kind
            count[kind] += 1
            name = f"{kind}{count[kind]}"
            try:
                after = layer.output_shape(shape)
            except ShapeError as error:
                raise ShapeError(f"Layer {name}, with input {_words(shape)}: {error}.") from None
            out.append(NamedLayer(name, layer, shape, after))
            shape = after
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
        return tuple(name for name, layer, *_ in self.named if is_spiking(layer))

    def parameter_shapes(self) -> dict[str, Shape]:
        """Every weight the network has, by name ("linear1.weight"); buffers of batch normalisation included."""
        return {f"{at.name}.{key}": shape for at in self.named for key, shape in at.parameters().items()}


def is_spiking(layer: Layer) -> bool:
    """Whether a layer emits spikes."""
    return isinstance(layer, SpikingActivation) or (isinstance(layer, Neuron) and layer.spikes)


def _parameters(at: NamedLayer) -> dict[str, Shape]:
    layer = at.layer
    match layer:
        case Linear():
            weight: Shape = (layer.features, at.input[0])
            return {"weight": weight, "bias": weight[:1]} if layer.bias else {"weight": weight}
        case Conv2d():
            weight = (layer.channels, at.input[0], layer.kernel, layer.kernel)
            return {"weight": weight, "bias": weight[:1]} if layer.bias else {"weight": weight}
        case BatchNorm():
            return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), at.input[:1])
        case Neuron():
            shape: Shape = () if layer.dynamics.per == "layer" else (at.output[0], *[1] * (len(at.output) - 1))
            held = {name for name in layer.dynamics.values() if _is_tensor(layer, name)}
            own = dict.fromkeys(sorted(held), shape)
            return {"recurrent": (at.output[0], at.output[0]), **own} if layer.recurrent else own
        case _:
            return {}


def _is_tensor(layer: Neuron, name: str) -> bool:
    """Whether a neuron parameter is stored with the weights: it is learned, or differs between channels."""
    dynamics = layer.dynamics
    return name in dynamics.learned() or (dynamics.per == "channel" and dynamics.spread > 0)


def _slide(shape: Shape, size: int, stride: int, padding: int, what: str) -> tuple[int, int]:
    if len(shape) != 3:
        raise ShapeError("needs channels, height and width; it cannot follow a flatten or linear layer")
    height, width = shape[1] + 2 * padding, shape[2] + 2 * padding
    if size > min(height, width):
        raise ShapeError(f"its {what} of {size}x{size} is larger than its input; use a smaller one or larger images")
    return (height - size) // stride + 1, (width - size) // stride + 1


def _words(shape: Shape) -> str:
    return "x".join(map(str, shape))
