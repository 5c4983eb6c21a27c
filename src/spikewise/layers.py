"""The layers of a network. Each is a frozen config that says of itself what its readers need to know.

Engines say how a layer is computed; everything else about it stands here: its weights, what it sends on, whether it
keeps a state, and what stands in its place in a conventional network.
"""

import math
from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import Config
from spikewise.dynamics import Dynamics
from spikewise.errors import ConfigError, ShapeError
from spikewise.initial import Init, Uniform
from spikewise.types import Signal

__all__ = [
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool",
    "Neuron",
    "Shape",
    "Size",
    "SpikingActivation",
    "words",
]

Shape = tuple[int, ...]
"""Features of one image at one step: (channels, height, width) or (features,)."""
Size = Annotated[int, Field(ge=1)]
Function = Literal["relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu"]


class _Layer(Config):
    """What every layer answers; one that leaves out an abstract answer cannot be made."""

    kind: str
    weighted: ClassVar[bool] = False
    """Whether it is a linear map with a `weight`; its operations are what a network costs."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input shape.

        Raises:
            ShapeError: they do not fit.
        """

    @abstractmethod
    def emits(self, arriving: Signal) -> Signal:
        """What it sends on, given what arrives."""

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Shape of each weight it needs for an input shape, by its name within the layer."""
        del shape
        return {}

    def fan_out(self, shape: Shape) -> Float[Tensor, "*F"]:
        """Number of outputs that each input of a weighted layer reaches, for an input shape."""
        raise AssertionError(f"{self.kind} has no synapses for an input of {words(shape)}")

    def feedback(self, shape: Shape) -> int:
        """Units of the layer itself that each of its spikes reaches at the next step, for its output shape."""
        del shape
        return 0

    @property
    def name(self) -> str:
        """What layers of its sort are called in a graph, before their number."""
        return self.kind

    @property
    def spikes(self) -> bool:
        """Whether what it sends are spikes of its own."""
        return False

    @property
    def state_variables(self) -> int:
        """Numbers that each of its units keeps from step to step, its last spike aside."""
        return 0

    @property
    def summary(self) -> str:
        """The layer in a word or two."""
        return self.kind.replace("_", " ")

    def conventional(self) -> "Layer":
        """What stands in its place in a network without spikes: itself, unless it spikes."""
        assert not self.spikes
        return self  # type: ignore[return-value]  # every layer is a member of the union


class _Unchanged(_Layer):
    """A layer that keeps the shape."""

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


class _Pool(_Layer):
    size: Size = 2
    """Height and width of the window."""
    stride: Size | None = None
    """Defaults to `size`."""

    def output_shape(self, shape: Shape) -> Shape:
        """The same channels, fewer pixels."""
        return (shape[0], *_slide(shape, self.size, self.stride or self.size, 0, "window"))


class _Weighted(_Layer):
    """A linear map of what arrives; its `weight` is the synapses."""

    weighted: ClassVar[bool] = True

    def emits(self, arriving: Signal) -> Signal:
        """Sums of weights: real numbers, whatever arrives."""
        return Signal("values", constant=arriving.constant)


class Linear(_Weighted):
    """y = W x + b over the features of a flat layer."""

    kind: Literal["linear"] = "linear"
    features: Size
    bias: bool = True
    init: Init = Uniform()

    def output_shape(self, shape: Shape) -> Shape:
        """(features,)."""
        if len(shape) != 1:
            raise ShapeError(f"needs a flat input, got {words(shape)}; put a flatten layer before it")
        return (self.features,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Matrix and bias."""
        return _with_bias((self.features, shape[0]), bias=self.bias)

    def fan_out(self, shape: Shape) -> Float[Tensor, "*F"]:
        """All of them."""
        return torch.full(shape, float(self.features))

    @property
    def summary(self) -> str:
        """With its size."""
        return f"linear {self.features}"


class Conv2d(_Weighted):
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

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Kernels and bias."""
        return _with_bias((self.channels, shape[0], self.kernel, self.kernel), bias=self.bias)

    def fan_out(self, shape: Shape) -> Float[Tensor, "*F"]:
        """As many as the positions of the kernel that cover the input, in each channel."""
        ones = torch.ones(1, self.channels, *self.output_shape(shape)[1:])
        kernel = torch.ones(self.channels, 1, self.kernel, self.kernel)
        # Rows and columns that the stride never reaches have no outputs.
        extra = tuple((size + 2 * self.padding - self.kernel) % self.stride for size in shape[1:])
        reached = F.conv_transpose2d(ones, kernel, stride=self.stride, padding=self.padding, output_padding=extra)
        return reached[0].expand(shape)

    @property
    def summary(self) -> str:
        """With its channels and kernel."""
        return f"conv {self.channels} {self.kernel}x{self.kernel}"


class MaxPool(_Pool):
    """Largest value of each square window."""

    kind: Literal["max_pool"] = "max_pool"

    def emits(self, arriving: Signal) -> Signal:
        """One of the inputs: what arrives."""
        return arriving


class AvgPool(_Pool):
    """Mean of each square window."""

    kind: Literal["avg_pool"] = "avg_pool"

    def emits(self, arriving: Signal) -> Signal:
        """Means: real numbers, also of spikes; of pixels still pixels."""
        return Signal("values", constant=arriving.constant, pixels=arriving.pixels)


class Flatten(_Layer):
    """Channels, height and width become one axis of features."""

    kind: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """(channels x height x width,)."""
        return (math.prod(shape),)

    def emits(self, arriving: Signal) -> Signal:
        """What arrives."""
        return arriving


class BatchNorm(_Unchanged):
    """Normalisation of each channel over batch, time and space.  Source: Ioffe and Szegedy, ICML 2015."""

    kind: Literal["batch_norm"] = "batch_norm"
    epsilon: Annotated[float, Field(gt=0)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1

    def emits(self, arriving: Signal) -> Signal:
        """Real numbers, also of spikes."""
        return Signal("values", constant=arriving.constant)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Scale and shift, running mean and variance of each channel."""
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), shape[:1])


class Dropout(_Unchanged):
    """In training, silences features with probability `p`, the same ones at every step of an image."""

    kind: Literal["dropout"] = "dropout"
    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def emits(self, arriving: Signal) -> Signal:
        """What arrives."""
        return arriving


class Activation(_Unchanged):
    """A conventional activation function."""

    kind: Literal["activation"] = "activation"
    function: Function = "relu"

    def emits(self, arriving: Signal) -> Signal:
        """Real numbers."""
        return Signal("values", constant=arriving.constant)

    @property
    def summary(self) -> str:
        """Its function."""
        return self.function


class SpikingActivation(_Unchanged):
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

    def emits(self, arriving: Signal) -> Signal:
        """Any number n of spikes a step, each worth 1 / dt."""
        del arriving
        return Signal("multispikes", quantum=1 / self.dt)

    @property
    def spikes(self) -> bool:
        """It sends spikes."""
        return True

    @property
    def state_variables(self) -> int:
        """The voltage."""
        return 1

    @property
    def summary(self) -> str:
        """With its function and step."""
        return f"spiking {self.function} dt={self.dt:g}"

    def conventional(self) -> "Layer":
        """The activation that its spikes carry."""
        return Activation(function=self.function)


class Neuron(_Layer):
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
            raise ShapeError(f"is recurrent and needs a flat input, got {words(shape)}; put a flatten layer before it")
        return shape

    def emits(self, arriving: Signal) -> Signal:
        """At most one spike a step, or the membrane of neurons that do not spike."""
        del arriving
        return Signal("spikes" if self.spikes else "values")

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Recurrent matrix, and each neuron parameter that is learned or differs between channels."""
        own: Shape = () if self.dynamics.per == "layer" else (shape[0], *[1] * (len(shape) - 1))
        held = dict.fromkeys(sorted(self.dynamics.stored()), own)
        return {"recurrent": (shape[0], shape[0]), **held} if self.recurrent else held

    def feedback(self, shape: Shape) -> int:
        """All neurons, or all others."""
        return shape[0] - (not self.self_connections) if self.recurrent else 0

    @property
    def name(self) -> str:
        """That of the neuron model."""
        return self.dynamics.label

    @property
    def spikes(self) -> bool:
        """Whether the neurons spike."""
        return self.dynamics.spikes

    @property
    def state_variables(self) -> int:
        """Those of the neuron model."""
        return len(self.dynamics.variables())

    @property
    def summary(self) -> str:
        """The neuron model."""
        return f"recurrent {self.dynamics.label}" if self.recurrent else self.dynamics.label

    def conventional(self) -> "Layer":
        """ReLU for neurons that spike (without recurrent weights)."""
        return Activation() if self.spikes else self


Layer = Annotated[
    Linear | Conv2d | MaxPool | AvgPool | Flatten | BatchNorm | Dropout | Activation | SpikingActivation | Neuron,
    Field(discriminator="kind"),
]
"""Every layer; the union is the list of choices."""


def words(shape: Shape) -> str:
    """A shape in a message: "2x12x12"."""
    return "x".join(map(str, shape))


def _with_bias(weight: Shape, *, bias: bool) -> dict[str, Shape]:
    return {"weight": weight, "bias": weight[:1]} if bias else {"weight": weight}


def _slide(shape: Shape, size: int, stride: int, padding: int, what: str) -> tuple[int, int]:
    if len(shape) != 3:
        raise ShapeError("needs channels, height and width; it cannot follow a flatten or linear layer")
    height, width = shape[1] + 2 * padding, shape[2] + 2 * padding
    if size > min(height, width):
        raise ShapeError(f"its {what} of {size}x{size} is larger than its input; use a smaller one or larger images")
    return (height - size) // stride + 1, (width - size) // stride + 1
