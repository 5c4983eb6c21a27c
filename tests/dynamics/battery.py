"""Every neuron model in every mode, and how to run one alone in float64."""

import itertools
from typing import get_args

import torch
from torch import Tensor

from spikewise import engine
from spikewise.dynamics import ALIF, IF, LIF, Dynamics, Izhikevich, LeakyIntegrator, RegisteredNeuron
from spikewise.encoders import Direct
from spikewise.engine import EngineResult, RunOptions
from spikewise.graph import Flatten, Graph, Neuron
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.types import Draw

MODES = [
    {"reset": reset, "reset_delay": delay}
    for reset, delay in itertools.product(("subtract", "zero", "none"), (False, True))
]
KINDS = [kind for kind in get_args(get_args(Dynamics)[0]) if kind is not RegisteredNeuron]
"""The members of the union: a new neuron enters every test of the contract by being in it."""


def every_neuron() -> list[Dynamics]:
    return [
        kind(**mode) for kind in KINDS for mode in (MODES if "reset" in kind.model_fields else [{}])
    ]  # fmt: skip


def label(neuron: Dynamics) -> str:
    delay = "-delayed" if getattr(neuron, "reset_delay", False) else ""
    return "-".join(filter(None, [neuron.kind, getattr(neuron, "reset", "")])) + delay


def drive(neuron: Dynamics, steps: int, batch: int, features: int, seed: int = 0) -> Tensor:
    """Currents [T, B, F] under which `neuron` fires now and then."""
    noise = torch.rand(steps, batch, features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return 8 * noise if isinstance(neuron, Izhikevich) else 1.6 * noise - 0.3


def alone(neuron: Dynamics, features: int, steps: int = 1) -> Graph:
    layers = (Flatten(), Neuron(dynamics=neuron))
    return Graph(image_shape=(1, 1, features), encoder=Direct(steps=steps), layers=layers, readout=LastMembrane())


def run(neuron: Dynamics, currents: Tensor, state=None, weights=None, *, record=False) -> EngineResult:
    """The engine's run of one layer of neurons over currents [T, B, F]."""
    steps, batch, features = currents.shape
    graph = alone(neuron, features, steps)
    weights = Network(graph).double().weights if weights is None else weights
    inputs = currents.view(steps, batch, 1, 1, features)
    return engine.run(
        graph,
        weights,
        inputs,
        Draw.first(batch),
        RunOptions(state=state, record=frozenset({graph.named[-1].name} if record else ())),
    )


__all__ = [
    "ALIF",
    "IF",
    "KINDS",
    "LIF",
    "MODES",
    "Izhikevich",
    "LeakyIntegrator",
    "alone",
    "drive",
    "every_neuron",
    "label",
    "run",
]
