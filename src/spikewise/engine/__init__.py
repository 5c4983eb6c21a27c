"""Engines run graphs. `choose` is the one table of which engine can run what."""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from spikewise.engine import native, reference
from spikewise.engine.contract import EngineResult, EngineState, FrozenWeights, LayerTrace, RunOptions
from spikewise.errors import EngineError
from spikewise.graph import Graph
from spikewise.types import Draw

__all__ = [
    "EngineName",
    "EngineResult",
    "EngineState",
    "FrozenWeights",
    "LayerTrace",
    "RunOptions",
    "choose",
    "run",
    "run_images",
]

EngineName = Literal["auto", "reference", "native"]


def choose(
    engine: EngineName,
    graph: Graph,
    device: str,
    dtype: torch.dtype = torch.float32,
    options: RunOptions | None = None,
) -> str:
    """Name of the engine that will run `graph` on `device`, and with `options` if they are known (training learns).

        engine      runs
        native      what `native.supports` has nothing against: most spiking networks, on the CPU, in float32
        reference   every graph, on every device

    Raises:
        EngineError: the engine was asked for by name and cannot run the graph; the message names the layer.
    """
    if engine == "reference":
        return engine
    reason = native.supports(graph, device, dtype)
    if reason is None and options is not None:
        reason = native.refuses(graph, None, options, learns=options.training)
    if engine == "native" and reason is not None:
        raise EngineError(f"The native engine cannot run this network: {reason}. Use engine = 'auto' or 'reference'.")
    return "native" if reason is None else "reference"


def run(
    graph: Graph,
    weights: Mapping[str, Tensor],
    inputs: Float[Tensor, "T B C H W"],
    draw: Draw,
    options: RunOptions = RunOptions(),  # noqa: B008  # immutable
    engine: EngineName = "auto",
) -> EngineResult:
    """Run a graph over encoded inputs on the engine that `choose` picks."""
    if _picked(engine, graph, weights, inputs, options) == "native":
        return native.run(graph, weights, inputs, draw, options)
    return reference.run(graph, weights, inputs, draw, options)


def run_images(
    graph: Graph,
    weights: Mapping[str, Tensor],
    images: UInt8[Tensor, "B C H W"],
    draw: Draw,
    options: RunOptions = RunOptions(),  # noqa: B008  # immutable
    engine: EngineName = "auto",
) -> EngineResult:
    """Encode images and run a graph over them on the engine that `choose` picks."""
    if _picked(engine, graph, weights, images, options) == "native":
        return native.run_images(graph, weights, images, draw, options)
    return reference.run(graph, weights, graph.encoder(images, draw), draw, options)


def _picked(
    engine: EngineName, graph: Graph, weights: Mapping[str, Tensor], inputs: Tensor, options: RunOptions
) -> str:
    dtype = next((w.dtype for w in weights.values()), torch.float32)
    if dtype == torch.float32 and inputs.is_floating_point():
        dtype = inputs.dtype
    picked = choose(engine, graph, inputs.device.type, dtype)
    learns = torch.is_grad_enabled()
    reason = native.refuses(graph, inputs, options, learns=learns) if picked == "native" else None
    if reason and engine == "native":
        raise EngineError(f"The native engine cannot do this: {reason}. Use engine = 'auto' or 'reference'.")
    return "reference" if reason else picked
