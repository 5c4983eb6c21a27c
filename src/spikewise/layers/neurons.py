"""Layers of neurons."""

from typing import TYPE_CHECKING, Literal

from spikewise.dynamics import Dynamics
from spikewise.errors import ConfigError, ShapeError
from spikewise.initial import Init, Uniform
from spikewise.layers.base import LayerConfig, Shape, words
from spikewise.layers.pointwise import Activation
from spikewise.types import Signal

if TYPE_CHECKING:
    from spikewise.layers import Layer

__all__ = ["Neuron"]


class Neuron(LayerConfig):
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
