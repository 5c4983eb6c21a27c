"""Engines run graphs. `choose` is the one table of which engine can run what."""

from collections.abc import Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from spikewise.engine import reference
from spikewise.engine.contract import EngineResult, EngineState, LayerTrace, RunOptions
from spikewise.graph import Graph
from spikewise.types import Draw

__all__ = ["EngineName", "EngineResult", "EngineState", "LayerTrace", "RunOptions", "choose", "run"]

EngineName = Literal["auto", "reference"]


def choose(engine: EngineName, graph: Graph, device: str) -> str:
    """Name of the engine that will run `graph` on `device`."""
    del graph, device  # the reference engine runs every graph on every device
    return "reference" if engine == "auto" else engine


def run(
    graph: Graph,
    weights: Mapping[str, Tensor],
    inputs: Float[Tensor, "T B C H W"],
    draw: Draw,
    options: RunOptions = RunOptions(),  # noqa: B008  # immutable
) -> EngineResult:
    """Run a graph over encoded inputs on the engine that `choose` picked."""
    return reference.run(graph, weights, inputs, draw, options)
