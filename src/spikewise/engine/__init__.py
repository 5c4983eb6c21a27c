"""Engines run graphs. `ENGINES` is the one list of them; each says itself what it cannot run."""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from spikewise.engine import native, reference, triton
from spikewise.engine.contract import (
    Ask,
    Engine,
    EngineResult,
    EngineState,
    Exchange,
    FrozenWeights,
    LayerTrace,
    Precision,
    RunOptions,
)
from spikewise.errors import EngineError, ShapeError, unknown_choice
from spikewise.graph import Graph
from spikewise.types import Draw

__all__ = [
    "ENGINES",
    "Ask",
    "Engine",
    "EngineName",
    "EngineResult",
    "EngineState",
    "Exchange",
    "FrozenWeights",
    "LayerTrace",
    "Precision",
    "RunOptions",
    "choose",
    "run",
    "run_images",
]

EngineName = Literal["auto", "reference", "native", "triton"]
ENGINES: tuple[Engine, ...] = (triton.TritonEngine(), native.NativeEngine(), reference.ReferenceEngine())
"""In the order in which "auto" asks them; the last refuses nothing."""


def choose(name: EngineName, ask: Ask) -> Engine:
    """The engine that will run what is asked: the named one, or for "auto" the first that does not refuse.

    Raises:
        EngineError: the named engine cannot do it; the message says why and names the layer.
        ConfigError: a layer is to be recorded that the graph does not have.
    """
    _check_names(ask)
    if name == "auto":
        return next(engine for engine in ENGINES if engine.refuses(ask) is None)
    named = next(engine for engine in ENGINES if engine.name == name)
    reason = named.refuses(ask)
    if reason is not None:
        raise EngineError(f"The {name} engine cannot do this: {reason}. Use engine = 'auto' or 'reference'.")
    return named


def run(
    graph: Graph,
    weights: Mapping[str, Tensor],
    inputs: Float[Tensor, "T B C H W"],
    draw: Draw,
    options: RunOptions = RunOptions(),  # noqa: B008  # immutable
    engine: EngineName = "auto",
) -> EngineResult:
    """Run a graph over encoded inputs on the engine that `choose` picks.

    Raises:
        ShapeError: the inputs are not of the graph's shape, have no steps or are no floats, or the draw is of another
            number of images.
    """
    _check_inputs(graph, inputs)
    _check_draw(draw, inputs.shape[1])
    picked = choose(engine, _asked(graph, weights, inputs, options))
    return picked.run(graph, weights, inputs, draw, options)._replace(engine=picked.name)


def run_images(
    graph: Graph,
    weights: Mapping[str, Tensor],
    images: UInt8[Tensor, "B C H W"],
    draw: Draw,
    options: RunOptions = RunOptions(),  # noqa: B008  # immutable
    engine: EngineName = "auto",
) -> EngineResult:
    """Encode images and run a graph over them on the engine that `choose` picks.

    Raises:
        ShapeError: the draw is of another number of images.
    """
    _check_draw(draw, len(images))
    picked = choose(engine, _asked(graph, weights, images, options))
    return picked.run_images(graph, weights, images, draw, options)._replace(engine=picked.name)


def _asked(graph: Graph, weights: Mapping[str, Tensor], inputs: Tensor, options: RunOptions) -> Ask:
    """What PyTorch's own switches (gradients, autocast) and the tensors say beside the options."""
    device, encodes = inputs.device.type, not inputs.is_floating_point()
    dtype = next((w.dtype for w in weights.values()), torch.float32)
    if dtype == torch.float32 and not encodes:
        dtype = inputs.dtype
    learns = torch.is_grad_enabled()
    return Ask(
        graph,
        device,
        dtype,
        "bfloat16" if torch.is_autocast_enabled(device) else "float32",
        options,
        learns,
        learns and inputs.requires_grad,
        encodes,
    )


def _check_inputs(graph: Graph, inputs: Tensor) -> None:
    channels, height, width = graph.image_shape
    wanted = (graph.encoder.channels(channels), height, width)
    if inputs.shape[2:] != wanted or len(inputs) == 0 or not inputs.is_floating_point():
        raise ShapeError(
            "The network runs over floating-point spikes or currents of "
            f"[steps, images, {', '.join(map(str, wanted))}]; got {inputs.dtype} {list(inputs.shape)}."
        )


def _check_draw(draw: Draw, images: int) -> None:
    if len(draw.index) != images:
        raise ShapeError(f"A draw needs the position of each image; draw.index has {len(draw.index)} of {images}.")


def _check_names(ask: Ask) -> None:
    if not ask.options.record:
        return
    there = [at.name for at in ask.graph.named]
    for name in sorted(ask.options.record):
        if name not in there:
            raise unknown_choice("layer", name, there)
