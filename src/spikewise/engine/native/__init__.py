"""The native engine: C++ whose cost follows the spikes, on the CPU. See docs/engine.md."""

from collections.abc import Mapping

from jaxtyping import Float, UInt8
from torch import Tensor

from spikewise.engine.contract import Ask, EngineResult, RunOptions
from spikewise.engine.native.refusals import refusal
from spikewise.engine.native.run import kept_bytes, run_encoded, run_encoding
from spikewise.extension import isa, status, versions
from spikewise.graph import Graph
from spikewise.types import Draw

__all__ = ["NativeEngine", "isa", "kept_bytes", "status", "versions"]


class NativeEngine:
    """Most spiking networks, on the CPU, in float32."""

    name = "native"

    def refuses(self, ask: Ask) -> str | None:
        """Why it cannot do this, in words that name the layer; None if it can."""
        return refusal(ask)

    def run(
        self, graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Run a graph over spikes or currents."""
        return run_encoded(graph, weights, inputs, draw, options)

    def run_images(
        self, graph: Graph, weights: Mapping[str, Tensor], images: UInt8[Tensor, "B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Encode images inside the engine and run the graph over them."""
        return run_encoding(graph, weights, images, draw, options)
