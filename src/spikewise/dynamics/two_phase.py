"""Integrate-and-fire neurons that listen first and fire afterwards, so that their spike counts are exact."""

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.dynamics.lif import Charged
from spikewise.dynamics.state import Parameters, Threshold
from spikewise.surrogates import ATan, Surrogate

__all__ = ["TwoPhaseIF", "TwoPhaseState", "two_phase_step"]

_Steps = Annotated[int, Field(ge=0, le=1_000_000)]


class TwoPhaseState(NamedTuple):
    """State of a layer of two-phase neurons between steps."""

    v: Float[Tensor, "B *F"]
    """Membrane voltage after the reset."""
    z: Float[Tensor, "B *F"]
    """Spikes of the last step."""
    t: Float[Tensor, "B *F"]
    """Steps that have passed: a clock, the same for all neurons."""


class TwoPhaseIF(Charged):
    """Integrate-and-fire in two phases of equal length: accumulating and generating.

        v <- v + current                       while it listens: steps listens_from + 1 ... listens_from + phase
        z  = 1 if v > threshold else 0         while it fires:   steps fires_from + 1 ... fires_from + phase
        v <- v - threshold z

    A neuron that fires only when all of its input has come sends as many spikes as the sum of its input says, whatever
    the order in which that came; one that listens and fires at once may have fired already when inhibition arrives.
    Source: Liu et al., "SpikeConverter: an efficient conversion framework zipping the gap between artificial neural
    networks and spiking neural networks", AAAI 2022, for the two phases; that counts then equal the quantised
    activations of a network trained for it: Ramesh and Srinivasan, "PASCAL", arXiv 2505.01730, 2025.
    """

    kind: Literal["two_phase_if"] = "two_phase_if"
    State: ClassVar[type[tuple[Tensor, ...]]] = TwoPhaseState
    threshold: Threshold = 1.0
    listens_from: _Steps = 0
    """Steps that pass before its input counts."""
    fires_from: _Steps = 0
    """Steps that pass before it may spike."""
    phase: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000_000
    """Length of either phase in steps; the most spikes that it sends."""
    learn: tuple[Literal["threshold"], ...] = ()
    surrogate: Surrogate = ATan()

    def values(self) -> dict[str, float]:
        """Starting value of each parameter."""
        return {"threshold": self.threshold}

    def variables(self) -> tuple[str, ...]:
        """The membrane; one clock for the whole layer is no variable of a neuron."""
        return ("v",)

    def step(
        self, current: Float[Tensor, "B *F"], state: TwoPhaseState, p: Parameters
    ) -> tuple[Tensor, Tensor, TwoPhaseState]:
        """Spikes, membrane before the reset, next state."""
        return two_phase_step(current, state, p, self)

    def distance(
        self, membrane: Float[Tensor, "T B *F"], spikes: Float[Tensor, "T B *F"], p: Parameters
    ) -> Float[Tensor, "T B *F"]:
        """Membrane minus threshold while it fires; before and after, a whole threshold below."""
        del spikes
        passed = torch.arange(len(membrane), device=membrane.device).view(-1, *[1] * (membrane.ndim - 1))
        return torch.where(_within(passed, self.fires_from, self.phase), membrane, 0 * membrane) - p["threshold"]


def two_phase_step(
    current: Float[Tensor, "B *F"], state: TwoPhaseState, p: Parameters, neuron: TwoPhaseIF
) -> tuple[Float[Tensor, "B *F"], Float[Tensor, "B *F"], TwoPhaseState]:
    """One step of a population: spikes, the membrane that met the threshold, next state. See `TwoPhaseIF`."""
    threshold = p["threshold"]
    v = state.v + current * _within(state.t, neuron.listens_from, neuron.phase)
    z = neuron.surrogate(v - threshold) * _within(state.t, neuron.fires_from, neuron.phase)
    return z, v, TwoPhaseState(v - threshold * z.detach(), z, state.t + 1)


def _within(passed: Tensor, start: int, length: int) -> Tensor:
    return (passed >= start) & (passed < start + length)
