"""Adaptive LIF: each spike raises the neuron's own threshold for a while."""

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.dynamics.state import Decay, Parameters, Reset, SpikingNeuron, Threshold, reset_membrane, zeros_beside
from spikewise.surrogates import Surrogate, Triangle

__all__ = ["ALIF", "ALIFState", "alif_step"]

_SMALL = 1e-5
"""Keeps a learned threshold that reaches 0 from dividing by it; the published code adds the same."""


class ALIFState(NamedTuple):
    """State of an ALIF layer between steps."""

    v: Float[Tensor, "B *F"]
    """Membrane voltage, as in `LIFState`."""
    z: Float[Tensor, "B *F"]
    """Spikes of the last step."""
    a: Float[Tensor, "B *F"]
    """Adaptation: a decaying count of the neuron's own spikes."""


class ALIF(SpikingNeuron):
    """Adaptive leaky integrate-and-fire.

        a <- adaptation_decay a + z_before
        v <- beta v + current
        z  = 1 if v > threshold + adaptation a else 0
        v <- v - threshold z          (resets as for `LIF`, with the base threshold)

    Source: Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking neurons",
    Nature Communications 11:3625, 2020, eq. 7-9.
    """

    kind: Literal["alif"] = "alif"
    State: ClassVar[type[tuple[Tensor, ...]]] = ALIFState
    beta: Decay = 0.95
    """Membrane decay per step."""
    threshold: Threshold = 1.0
    adaptation: Annotated[float, Field(ge=0)] = 0.2
    """Rise of the threshold per unit of adaptation."""
    adaptation_decay: Decay = 0.995
    """Decay of the adaptation per step."""
    reset: Reset = "subtract"
    reset_delay: bool = False
    reset_gradient: bool = False
    threshold_gradient: bool = True
    """Let gradients flow through the moving threshold; False is how some published code behaves."""
    relative_surrogate: bool = False
    """Give the surrogate (v - moving threshold) / moving threshold, so that its width grows with the threshold.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons", NeurIPS 2018.
    """
    learn: tuple[Literal["beta", "threshold", "adaptation", "adaptation_decay"], ...] = ()
    surrogate: Surrogate = Triangle(height=0.3)

    def values(self) -> dict[str, float]:
        """Starting value of each parameter."""
        names = ("beta", "threshold", "adaptation", "adaptation_decay")
        return {name: getattr(self, name) for name in names}

    def initial_state(self, current: Float[Tensor, "B *F"]) -> ALIFState:
        """A layer at rest."""
        return ALIFState(zeros_beside(current), zeros_beside(current), zeros_beside(current))

    def step(self, current: Float[Tensor, "B *F"], state: ALIFState, p: Parameters) -> tuple[Tensor, Tensor, ALIFState]:
        """Spikes, membrane before the reset, next state."""
        return alif_step(current, state, p, self)

    def distance(
        self, membrane: Float[Tensor, "T B *F"], spikes: Float[Tensor, "T B *F"], p: Parameters
    ) -> Float[Tensor, "T B *F"]:
        """Membrane minus moving threshold, over that threshold with `relative_surrogate`."""
        a, z, moving = torch.zeros_like(membrane[0]), torch.zeros_like(membrane[0]), []
        for following in spikes.unbind(0):
            a = p["adaptation_decay"] * a + z
            moving.append(p["threshold"] + p["adaptation"] * a)
            z = following
        limit = torch.stack(moving)
        return (membrane - limit) / limit if self.relative_surrogate else membrane - limit

    def in_thresholds(self, membrane: Float[Tensor, "*any"], p: Parameters) -> Float[Tensor, "*any"]:
        """Membrane over base threshold."""
        return membrane / p["threshold"]


def alif_step(
    current: Float[Tensor, "B *F"], state: ALIFState, p: Parameters, neuron: ALIF
) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B *F"], ALIFState]:
    """One step of an ALIF population: spikes, the membrane that was compared, next state. See `ALIF`."""
    gradient = neuron.reset_gradient
    a = p["adaptation_decay"] * state.a + state.z
    moving = p["threshold"] + p["adaptation"] * a
    if not neuron.threshold_gradient and isinstance(moving, Tensor):
        moving = moving.detach()
    v = p["beta"] * state.v + current
    if neuron.reset_delay:
        v = reset_membrane(v, state.z, p["threshold"], neuron.reset, gradient=gradient)
        z = _spikes(v, moving, neuron)
        return z, v, ALIFState(v, z, a)
    z = _spikes(v, moving, neuron)
    return z, v, ALIFState(reset_membrane(v, z, p["threshold"], neuron.reset, gradient=gradient), z, a)


def _spikes(v: Tensor, moving: Tensor | float, neuron: ALIF) -> Tensor:
    if not neuron.relative_surrogate:
        return neuron.surrogate(v - moving)
    scale = moving.detach() if isinstance(moving, Tensor) else moving
    return neuron.surrogate((v - moving) / (scale + _SMALL))
