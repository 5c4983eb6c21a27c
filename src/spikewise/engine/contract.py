"""What every engine is asked and what it returns."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.readouts import Trajectory

__all__ = ["EngineResult", "EngineState", "FrozenWeights", "LayerTrace", "RunOptions"]

_numbers = itertools.count(1)

EngineState = Mapping[str, NeuronState | Tensor]
"""State of each layer that has one, by layer name; pass it back to go on where a run ended."""


class FrozenWeights(dict[str, Tensor]):
    """Weights that nobody changes any more, so that an engine may keep what it makes of them without looking again."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__({name: weight.detach().clone() for name, weight in weights.items()})
        self.number = next(_numbers)
        """Of all that were ever frozen in this process, from 1 on."""
        self.made: dict[Any, Any] = {}
        """What an engine has made of them, by its own keys."""


class RunOptions(NamedTuple):
    """How to run a graph."""

    state: EngineState | None = None
    """Where an earlier run ended; None starts at rest."""
    record: frozenset[str] = frozenset()
    """Layers whose every step is returned."""
    measure: bool = False
    """Return the mean spike rate of every neuron."""
    training: bool = False
    """Batch normalisation by the batch, dropout active."""


class LayerTrace(NamedTuple):
    """What one layer did, step by step."""

    spikes: Float[Tensor, "T B *F"] | None
    """None for layers that do not spike."""
    output: Float[Tensor, "T B *F"]
    """Membrane before the reset of a neuron layer, output of any other."""


class EngineResult(NamedTuple):
    """What a run of a graph gives."""

    trajectory: Trajectory
    """The last layer's spikes and membrane."""
    state: EngineState
    traces: Mapping[str, LayerTrace]
    """The recorded layers."""
    rates: Mapping[str, Float[Tensor, "*F"]]
    """Mean spikes per step of each neuron of the spiking layers, over steps and batch; empty unless measured."""
    input_events: Mapping[str, Float[Tensor, "*F"]]
    """Share of steps at which each input of each weighted layer is not zero; empty unless measured."""
