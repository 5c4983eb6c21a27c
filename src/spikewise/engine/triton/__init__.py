"""The Triton engine: whole networks on a GPU, their spikes operands of its tensor cores. See docs/gpu.md."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from spikewise.engine.contract import Ask, EngineResult, RunOptions
from spikewise.engine.reference import ReferenceEngine
from spikewise.engine.triton.refusals import refusal
from spikewise.graph import Graph
from spikewise.types import Draw

__all__ = ["TritonEngine"]


class TritonEngine:
    """Every spiking network, on a GPU, in float32 or bfloat16."""

    name = "triton"

    def refuses(self, ask: Ask) -> str | None:
        """Why it cannot do this, in words that name the layer; None if it can."""
        return refusal(ask)

    def run(
        self, graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Run a graph over spikes or currents."""
        if not inputs.shape[1]:  # of no images there is nothing to launch
            return ReferenceEngine().run(graph, weights, inputs, draw, options)
        with _current(inputs):
            result: EngineResult = _running().run_encoded(graph, weights, inputs, draw, options)
        return result

    def run_images(
        self, graph: Graph, weights: Mapping[str, Tensor], images: UInt8[Tensor, "B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Encode images in a kernel and run the graph over them."""
        if not len(images):
            return ReferenceEngine().run_images(graph, weights, images, draw, options)
        with _current(images):
            result: EngineResult = _running().run_encoding(graph, weights, images, draw, options)
        return result


def _current(inputs: Tensor) -> AbstractContextManager[object]:
    """Kernels go to the current device, wherever the tensors are; does nothing on a processor."""
    place: AbstractContextManager[object] = torch.cuda.device_of(inputs)  # type: ignore[no-untyped-call]
    return place


def _running() -> Any:
    """The part that needs Triton, which is not installed everywhere."""
    return import_module("spikewise.engine.triton.run")
