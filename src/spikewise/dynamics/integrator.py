"""The leaky integrator: a membrane without spikes, the usual readout."""

from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from spikewise.dynamics.state import Decay, NeuronConfig, Parameters, zeros_beside

__all__ = ["IntegratorState", "LeakyIntegrator", "integrator_step"]


class IntegratorState(NamedTuple):
    """State of a leaky integrator between steps."""

    v: Float[Tensor, "B *F"]


class LeakyIntegrator(NeuronConfig):
    """v <- beta v + current; it never spikes.  Source: Bellec et al. 2020 (see `ALIF`), eq. 11, beta = kappa."""

    kind: Literal["leaky_integrator"] = "leaky_integrator"
    spikes: ClassVar[bool] = False
    State: ClassVar[type[tuple[Tensor, ...]]] = IntegratorState
    beta: Decay = 0.9
    """Membrane decay per step."""
    learn: tuple[Literal["beta"], ...] = ()

    def values(self) -> dict[str, float]:
        """Starting value of each parameter."""
        return {"beta": self.beta}

    def initial_state(self, current: Float[Tensor, "B *F"]) -> IntegratorState:
        """A layer at rest."""
        return IntegratorState(zeros_beside(current))

    def step(
        self, current: Float[Tensor, "B *F"], state: IntegratorState, p: Parameters
    ) -> tuple[Tensor | None, Tensor, IntegratorState]:
        """None for the spikes, membrane, next state."""
        return integrator_step(current, state, p)


def integrator_step(
    current: Float[Tensor, "B *F"], state: IntegratorState, p: Parameters
) -> tuple[None, Float[Tensor, "B *F"], IntegratorState]:
    """One step of leaky integrators: no spikes, membrane, next state. See `LeakyIntegrator`."""
    v = p["beta"] * state.v + current
    return None, v, IntegratorState(v)
