"""Random graphs of all sizes at which the native engine cuts its work, beside the reference engine."""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from benchmarks.fuzz.comparing import compare
from benchmarks.fuzz.graphs import Pair, Sizes, pairs
from spikewise.engine import Ask, RunOptions, run_images
from spikewise.engine import run as run_encoded
from spikewise.engine.contract import EngineResult
from spikewise.engine.native import NativeEngine
from spikewise.network import Network
from spikewise.types import Draw

TOGETHER: Final = 100
"""Cases that may follow each other in one process."""
_SIZES: Final = Sizes(
    channels=(1, 2, 3, 4, 5, 8, 13, 16, 17, 31, 32, 33, 48, 49, 56, 57, 63, 64, 65, 72, 112, 113, 128, 129),
    sides=(1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 24, 32, 33, 40),
    features=(1, 2, 15, 16, 17, 63, 64, 65, 100, 128, 129, 192, 193, 383, 384, 385, 512, 769),
    steps=(1, 2, 3, 5, 6, 10, 16, 31, 32, 33, 41, 64, 65, 70), images=(1, 2, 3, 5, 8, 9, 16, 17, 33, 41, 64, 70),
    work=2e8,
)  # fmt: skip


def cases(seed: int, count: int) -> Iterator[Pair]:
    yield from pairs(seed, count, _SIZES, lambda graph: NativeEngine().refuses(Ask(graph, learns=True)) is None)


def run(case: Pair) -> None:
    torch.set_num_threads(1 + case.seed % 2)  # what threads write over is seen where there are two
    compare(case, _run, within=1e-3)


def _run(case: Pair, network: Network, inputs: Tensor, draw: Draw, options: RunOptions) -> EngineResult:
    entry = run_encoded if inputs.is_floating_point() else run_images
    return entry(case.graph, network.weights, inputs, draw, options, "native")
