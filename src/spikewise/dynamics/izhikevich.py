"""Izhikevich's two-variable neuron, in biological units."""

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.dynamics.state import Parameters, SpikingNeuron, zeros_beside
from spikewise.surrogates import FastSigmoid, Surrogate

__all__ = ["Izhikevich", "IzhikevichState", "izhikevich_step"]


class IzhikevichState(NamedTuple):
    """State of an Izhikevich layer between steps."""

    v: Float[Tensor, "B *F"]
    """Membrane voltage in mV."""
    z: Float[Tensor, "B *F"]
    """Spikes of the last step."""
    u: Float[Tensor, "B *F"]
    """Recovery current in pA."""


class Izhikevich(SpikingNeuron):
    """Izhikevich's model by forward Euler; the defaults are his regular-spiking cortical neuron.

        v <- v + dt / C (k (v - v_rest)(v - v_threshold) - u + gain current)
        v <- c                                        where z_before
        u <- u + dt a (b (v_old - v_rest) - u) + d z_before
        z  = 1 if v > v_peak else 0

    Voltages in mV, times in ms, currents in pA. Source: Izhikevich, *Dynamical Systems in Neuroscience*, MIT Press
    2007, sec. 8.2, eq. 8.5-8.6.
    """

    kind: Literal["izhikevich"] = "izhikevich"
    State: ClassVar[type[tuple[Tensor, ...]]] = IzhikevichState
    dt: Annotated[float, Field(gt=0, le=10)] = 1.0
    gain: Annotated[float, Field(gt=0)] = 100.0
    """Picoamperes per unit of the layer's input."""
    capacitance: Annotated[float, Field(gt=0)] = 100.0
    k: Annotated[float, Field(gt=0)] = 0.7
    a: float = 0.03
    b: float = -2.0
    c: float = -50.0
    d: float = 100.0
    v_rest: float = -60.0
    v_threshold: float = -40.0
    v_peak: float = 35.0
    surrogate: Surrogate = FastSigmoid(slope=0.1)
    """Its argument is in mV above `v_peak`."""

    @property
    def ceiling(self) -> float:
        """Millivolts at which a membrane is cut: a spike is due there, and a step from far above would overflow."""
        return self.v_peak + 1000.0

    def values(self) -> dict[str, float]:
        """Starting value of each parameter that may differ between channels."""
        return {"gain": self.gain}

    def initial_state(self, current: Float[Tensor, "B *F"]) -> IzhikevichState:
        """A layer at rest."""
        rest = torch.full_like(current, self.v_rest)
        return IzhikevichState(rest, zeros_beside(current), zeros_beside(current))

    def step(
        self, current: Float[Tensor, "B *F"], state: IzhikevichState, p: Parameters
    ) -> tuple[Tensor, Tensor, IzhikevichState]:
        """Spikes, membrane, next state."""
        return izhikevich_step(current, state, p, self)

    def distance(
        self, membrane: Float[Tensor, "T B *F"], spikes: Float[Tensor, "T B *F"], p: Parameters
    ) -> Float[Tensor, "T B *F"]:
        """Millivolts above the peak."""
        del spikes, p
        return membrane - self.v_peak

    def in_thresholds(self, membrane: Float[Tensor, "*any"], p: Parameters) -> Float[Tensor, "*any"]:
        """0 at rest, 1 at the peak."""
        del p
        return (membrane - self.v_rest) / (self.v_peak - self.v_rest)


def izhikevich_step(
    current: Float[Tensor, "B *F"], state: IzhikevichState, p: Parameters, n: Izhikevich
) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B *F"], IzhikevichState]:
    """One Euler step: spikes, membrane, next state. See `Izhikevich`."""
    before = state.z.detach()
    drift = n.k * (state.v - n.v_rest) * (state.v - n.v_threshold) - state.u + p["gain"] * current
    v = torch.where(before > 0, n.c, state.v + n.dt / n.capacitance * drift)
    u = state.u + n.dt * n.a * (n.b * (state.v - n.v_rest) - state.u) + n.d * before
    v = v.clamp(max=n.ceiling)
    z = n.surrogate(v - n.v_peak)
    return z, v, IzhikevichState(v, z, u)
