"""Neuron models: each a frozen config and one pure step function, its equation in the docstring."""

from typing import Annotated

from pydantic import Field

from spikewise.dynamics.alif import ALIF, ALIFState, alif_step
from spikewise.dynamics.cuba import CubaLIF, CubaLIFState, cuba_lif_step
from spikewise.dynamics.integrator import IntegratorState, LeakyIntegrator, integrator_step
from spikewise.dynamics.izhikevich import Izhikevich, IzhikevichState, izhikevich_step
from spikewise.dynamics.lif import IF, LIF, LIFState, lif_step
from spikewise.dynamics.registered import RegisteredNeuron
from spikewise.dynamics.state import NeuronConfig, Parameters, Reset, SpikingNeuron
from spikewise.dynamics.two_phase import TwoPhaseIF, TwoPhaseState, two_phase_step

__all__ = [
    "ALIF",
    "IF",
    "LIF",
    "ALIFState",
    "CubaLIF",
    "CubaLIFState",
    "Dynamics",
    "IntegratorState",
    "Izhikevich",
    "IzhikevichState",
    "LIFState",
    "LeakyIntegrator",
    "NeuronConfig",
    "NeuronState",
    "Parameters",
    "RegisteredNeuron",
    "Reset",
    "SpikingNeuron",
    "TwoPhaseIF",
    "TwoPhaseState",
    "alif_step",
    "cuba_lif_step",
    "integrator_step",
    "izhikevich_step",
    "lif_step",
    "two_phase_step",
]

Dynamics = Annotated[
    IF | LIF | CubaLIF | ALIF | Izhikevich | LeakyIntegrator | TwoPhaseIF | RegisteredNeuron,
    Field(discriminator="kind"),
]
"""Every neuron model; the union is the list of choices."""

NeuronState = LIFState | CubaLIFState | ALIFState | IzhikevichState | IntegratorState | TwoPhaseState
