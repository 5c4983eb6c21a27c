"""Layers that keep the number of features, and have no synapses."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from spikewise.layers.base import LayerConfig, Shape, ShapeKept
from spikewise.types import Signal

if TYPE_CHECKING:
    from spikewise.layers import Layer

__all__ = ["QCFS", "Activation", "BatchNorm", "Dropout", "Flatten", "SpikingActivation"]

Function = Literal["relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu"]


class Flatten(LayerConfig):
    """Channels, height and width become one axis of features."""

    kind: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """(channels x height x width,)."""
        return (math.prod(shape),)

    def emits(self, arriving: Signal) -> Signal:
        """What arrives."""
        return arriving


class BatchNorm(ShapeKept):
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


class Dropout(ShapeKept):
    """In training, silences features with probability `p`, the same ones at every step of an image."""

    kind: Literal["dropout"] = "dropout"
    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def emits(self, arriving: Signal) -> Signal:
        """What arrives."""
        return arriving


class Activation(ShapeKept):
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


class QCFS(ShapeKept):
    """ReLU, quantised and clipped as the spikes of a neuron carry it: quantisation, clip, floor, shift.

        y = threshold / levels * clip(floor(levels x / threshold + 1/2), 0, levels)

    An integrate-and-fire neuron that starts at half its threshold sends floor(...) spikes in `levels` steps of constant
    current x / threshold. Where levels x / threshold + 1/2 is whole it is one less here, as a neuron spikes strictly
    above its threshold. The threshold is learned; backward, rounding is the identity.
    Source: Bu et al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks",
    ICLR 2022 (arXiv 2303.04347), with a shift of 1/2.
    """

    kind: Literal["qcfs"] = "qcfs"
    levels: Annotated[int, Field(ge=1, le=1024)] = 8
    """Values above zero that it can give, and steps in which spikes say which."""
    per: Literal["layer", "channel"] = "layer"
    """One threshold for the layer, or one for each channel (each neuron behind a linear layer)."""

    def emits(self, arriving: Signal) -> Signal:
        """Real numbers."""
        return Signal("values", constant=arriving.constant)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """The threshold, or those of the channels."""
        return {"threshold": () if self.per == "layer" else (shape[0], *[1] * (len(shape) - 1))}

    @property
    def summary(self) -> str:
        """With its levels."""
        return f"qcfs {self.levels}"


class SpikingActivation(ShapeKept):
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
