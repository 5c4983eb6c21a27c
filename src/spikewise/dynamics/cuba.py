"""Current-based leaky integrate-and-fire neurons: the current decays too."""

from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from spikewise.dynamics.lif import IntegrateAndFire
from spikewise.dynamics.state import Decay, Parameters, Reset, Threshold, reset_membrane
from spikewise.surrogates import ATan, Surrogate

__all__ = ["CubaLIF", "CubaLIFState", "cuba_lif_step"]


class CubaLIFState(NamedTuple):
    """State of a CubaLIF layer between steps."""

    v: Float[Tensor, "B *F"]
    """Membrane voltage, as in `LIFState`."""
    z: Float[Tensor, "B *F"]
    """Spikes of the last step."""
    i: Float[Tensor, "B *F"]
    """Synaptic current."""


class CubaLIF(IntegrateAndFire):
    """Leaky integrate-and-fire with a synaptic current that decays exponentially.

        i <- alpha i + current
        v <- beta v + i
        z  = 1 if v > threshold else 0
        v <- v - threshold z          (resets as for `LIF`)

    With `reset_delay` it is snnTorch's `Synaptic`; with reset "zero" Norse's `LIFCell`, its gains in the weights.
    Source: Gerstner et al., *Neuronal Dynamics*, 2014, sec. 3.1, in steps of dt with alpha = exp(-dt / tau_syn) and
    beta = exp(-dt / tau_mem); Neftci, Mostafa and Zenke, IEEE SPM 36(6), 2019, eq. 4 and 5.
    """

    kind: Literal["cuba_lif"] = "cuba_lif"
    State: ClassVar[type[tuple[Tensor, ...]]] = CubaLIFState
    alpha: Decay = 0.8
    """Decay of the synaptic current per step."""
    beta: Decay = 0.9
    """Membrane decay per step."""
    threshold: Threshold = 1.0
    reset: Reset = "subtract"
    reset_delay: bool = False
    """Reset in the step after the spike instead of in the same one."""
    reset_gradient: bool = False
    """Let gradients flow through the reset."""
    learn: tuple[Literal["alpha", "beta", "threshold"], ...] = ()
    surrogate: Surrogate = ATan()

    def values(self) -> dict[str, float]:
        """Starting value of each parameter."""
        return {"alpha": self.alpha, "beta": self.beta, "threshold": self.threshold}

    def step(
        self, current: Float[Tensor, "B *F"], state: CubaLIFState, p: Parameters
    ) -> tuple[Tensor, Tensor, CubaLIFState]:
        """Spikes, membrane before the reset, next state."""
        return cuba_lif_step(current, state, p, self)


def cuba_lif_step(
    current: Float[Tensor, "B *F"], state: CubaLIFState, p: Parameters, neuron: CubaLIF
) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B *F"], CubaLIFState]:
    """One step of a CubaLIF population: spikes, the membrane that met the threshold, next state. See `CubaLIF`."""
    threshold, gradient = p["threshold"], neuron.reset_gradient
    i = p["alpha"] * state.i + current
    v = p["beta"] * state.v + i
    if neuron.reset_delay:
        v = reset_membrane(v, state.z, threshold, neuron.reset, gradient=gradient)
        z = neuron.surrogate(v - threshold)
        return z, v, CubaLIFState(v, z, i)
    z = neuron.surrogate(v - threshold)
    return z, v, CubaLIFState(reset_membrane(v, z, threshold, neuron.reset, gradient=gradient), z, i)
