"""What every engine is asked, what it returns, and what an engine is."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.graph import Graph
from spikewise.readouts import Trajectory
from spikewise.types import Draw

__all__ = [
    "Ask",
    "Engine",
    "EngineResult",
    "EngineState",
    "Exchange",
    "FrozenWeights",
    "LayerTrace",
    "Precision",
    "RunOptions",
]

_numbers = itertools.count(1)

EngineState = Mapping[str, NeuronState | Tensor]
"""State of each layer that has one, by layer name; pass it back to go on where a run ended."""
Precision = Literal["float32", "bfloat16"]
"""Of the products of weights and inputs; sums and membranes are float32 either way."""


class FrozenWeights(dict[str, Tensor]):
    """Weights that nobody changes any more, so that an engine may keep what it makes of them without looking again."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__({name: weight.detach().clone() for name, weight in weights.items()})
        self.number = next(_numbers)
        """Of all that were ever frozen in this process, from 1 on."""
        self.made: dict[Any, Any] = {}
        """What an engine has made of them, by its own keys."""


class Exchange(NamedTuple):
    """How a run over a part of a batch comes to know sums over all of it; other parts run at the same time."""

    total: Callable[[Float64[Tensor, " n"]], Float64[Tensor, " n"]]
    """Of sums of this part, those over all parts, on the CPU; it waits until all have given theirs."""
    remembers: bool
    """Whether this part sets the running statistics, which the others in this process share."""


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
    exchange: Exchange | None = None
    """With the other parts of the batch that normalisation goes by; None where this is all of it."""


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
    """Mean events per step at each input of each weighted layer, and at each neuron that feeds back ("NAME.recurrent"):
    spikes that arrive, or 1 for a real number other than zero; empty unless measured."""
    active: Mapping[str, Float[Tensor, "*F"]]
    """Share of steps at which each unit of the spiking layers sends anything; empty unless measured."""
    engine: str = ""
    """Name of the engine that ran."""


class Ask(NamedTuple):
    """Everything that an engine's answer may depend on: what is to be run, where, and what is wanted back."""

    graph: Graph
    device: str = "cpu"
    """Type of the device: "cpu", "cuda", "mps"."""
    dtype: torch.dtype = torch.float32
    """Of weights and currents."""
    precision: Precision = "float32"
    options: RunOptions = RunOptions()
    learns: bool = False
    """Gradients of the weights will be asked for."""
    input_gradient: bool = False
    """The gradient of what enters the first layer will be asked for."""
    encodes: bool = True
    """Images enter, and the engine encodes them; else spikes or currents do."""


@runtime_checkable
class Engine(Protocol):
    """Runs graphs. The reference engine runs all of them; any other says which it does not."""

    @property
    def name(self) -> str:
        """What `engine = "..."` calls it."""

    def refuses(self, ask: Ask) -> str | None:
        """Why it cannot do this, in words that name the layer; None if it can."""

    def run(
        self, graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Run a graph over spikes or currents."""

    def run_images(
        self, graph: Graph, weights: Mapping[str, Tensor], images: UInt8[Tensor, "B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Encode images and run a graph over them."""
