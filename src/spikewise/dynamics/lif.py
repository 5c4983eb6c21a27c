"""Leaky integrate-and-fire neurons, and integrate-and-fire as the case without leak."""

from typing import Any, ClassVar, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from spikewise.dynamics.state import (
    Decay,
    Initial,
    Parameters,
    Reset,
    SpikingNeuron,
    Threshold,
    reset_membrane,
    zeros_beside,
)
from spikewise.surrogates import ATan, Surrogate

__all__ = ["IF", "LIF", "Charged", "IntegrateAndFire", "LIFState", "lif_step"]


class LIFState(NamedTuple):
    """State of a LIF layer between steps."""

    v: Float[Tensor, "B *F"]
    """Membrane voltage after the reset (before it, where the reset is delayed)."""
    z: Float[Tensor, "B *F"]
    """Spikes of the last step."""


class IntegrateAndFire(SpikingNeuron):
    """What neurons with a fixed threshold share."""

    State: ClassVar[type[tuple[Tensor, ...]]] = LIFState

    def initial_state(self, current: Float[Tensor, "B *F"]) -> Any:  # `State`, as its class says
        """A layer at rest."""
        return self.State(*(zeros_beside(current) for _ in getattr(self.State, "_fields")))  # noqa: B009  # as above

    def distance(
        self, membrane: Float[Tensor, "T B *F"], spikes: Float[Tensor, "T B *F"], p: Parameters
    ) -> Float[Tensor, "T B *F"]:
        """Membrane minus threshold."""
        del spikes
        return membrane - p["threshold"]

    def in_thresholds(self, membrane: Float[Tensor, "*any"], p: Parameters) -> Float[Tensor, "*any"]:
        """Membrane over threshold."""
        return membrane / p["threshold"]


class Charged(IntegrateAndFire):
    """Neurons whose membrane may start between rest and threshold.

    Half a threshold makes the number of spikes the rounded, not the cut, mean of the current: Bu et al., "Optimized
    potential initialization for low-latency spiking neural networks", AAAI 2022 (arXiv 2202.01440).
    """

    later: ClassVar[frozenset[str]] = frozenset({"initial"})
    initial: Initial = 0.0
    """Membrane before the first step, in thresholds."""

    def starting_state(self, current: Float[Tensor, "B *F"], p: Parameters) -> Any:  # `State`, as its class says
        """At `initial` times each neuron's threshold."""
        rest = self.initial_state(current)
        return rest._replace(v=rest.v + self.initial * p["threshold"]) if self.initial else rest


class LIF(Charged):
    """Leaky integrate-and-fire.

        v <- beta v + current
        z  = 1 if v > threshold else 0
        v <- v - threshold z          (reset "subtract"; "zero": v (1 - z); "none": v)

    With `reset_delay` the reset belongs to the next step: v <- beta v + current - threshold z_before (as in snnTorch),
    or (beta v + current)(1 - z_before) (which loses the input of that step; snnTorch keeps it).
    Source: Gerstner et al., *Neuronal Dynamics*, 2014, sec. 1.3, in steps of dt with beta = exp(-dt / tau).
    """

    kind: Literal["lif"] = "lif"
    beta: Decay = 0.9
    """Membrane decay per step."""
    threshold: Threshold = 1.0
    reset: Reset = "subtract"
    reset_delay: bool = False
    """Reset in the step after the spike instead of in the same one."""
    reset_gradient: bool = False
    """Let gradients flow through the reset."""
    learn: tuple[Literal["beta", "threshold"], ...] = ()
    surrogate: Surrogate = ATan()

    def values(self) -> dict[str, float]:
        """Starting value of each parameter."""
        return {"beta": self.beta, "threshold": self.threshold}

    def step(self, current: Float[Tensor, "B *F"], state: LIFState, p: Parameters) -> tuple[Tensor, Tensor, LIFState]:
        """Spikes, membrane before the reset, next state."""
        return lif_step(current, state, p, self)


class IF(Charged):
    """Integrate-and-fire: a LIF neuron whose membrane does not leak (beta = 1)."""

    kind: Literal["if"] = "if"
    threshold: Threshold = 1.0
    reset: Reset = "subtract"
    reset_delay: bool = False
    reset_gradient: bool = False
    learn: tuple[Literal["threshold"], ...] = ()
    surrogate: Surrogate = ATan()

    def values(self) -> dict[str, float]:
        """Starting value of each parameter."""
        return {"beta": 1.0, "threshold": self.threshold}

    def step(self, current: Float[Tensor, "B *F"], state: LIFState, p: Parameters) -> tuple[Tensor, Tensor, LIFState]:
        """Spikes, membrane before the reset, next state."""
        return lif_step(current, state, p, self)


def lif_step(
    current: Float[Tensor, "B *F"], state: LIFState, p: Parameters, neuron: LIF | IF
) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B *F"], LIFState]:
    """One step of a LIF population: spikes, the membrane that met the threshold, next state. See `LIF`."""
    threshold = p["threshold"]
    v = p["beta"] * state.v + current
    if neuron.reset_delay:
        v = reset_membrane(v, state.z, threshold, neuron.reset, gradient=neuron.reset_gradient)
        z = neuron.surrogate(v - threshold)
        return z, v, LIFState(v, z)
    z = neuron.surrogate(v - threshold)
    return z, v, LIFState(reset_membrane(v, z, threshold, neuron.reset, gradient=neuron.reset_gradient), z)
