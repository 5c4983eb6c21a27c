"""Random graphs on the Triton engine beside the reference engine, under Triton's interpreter where there is no GPU.

What the interpreter cannot do is left out: its product of bfloat16 is wrong, so the parts of a number are held in
float32, and there are no tensor cores. What it alone can do: every address that a kernel reads or writes is looked at,
and no two programs may be in each other's way (`benchmarks.fuzz.watching`). Memory that nobody has filled is no number.
"""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, Final

import torch
from torch import Tensor

from benchmarks.fuzz.comparing import compare
from benchmarks.fuzz.graphs import Pair, Sizes, pairs
from benchmarks.fuzz.watching import watched
from spikewise.engine import RunOptions
from spikewise.engine.contract import EngineResult
from spikewise.network import Network
from spikewise.types import Draw

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # a process that has asked the driver cannot be forked
DEVICE: Final = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")

TOGETHER: Final = 50
"""Cases that may follow each other in one process."""
_SIZES: Final = Sizes(
    channels=(1, 2, 3, 5, 16, 17, 31, 33, 65), sides=(1, 2, 3, 5, 7, 8, 11, 17), features=(1, 3, 17, 31, 33, 65, 129),
    steps=(1, 2, 3, 3, 5, 25), images=(1, 1, 2, 3, 17, 33), work=4e6,
)  # fmt: skip


def cases(seed: int, count: int) -> Iterator[Pair]:
    yield from pairs(seed, count, _SIZES)


def run(case: Pair) -> None:
    torch.set_num_threads(1)
    if DEVICE == "cpu":  # a GPU would say so of each sum whose order is left to it
        torch.use_deterministic_algorithms(True, warn_only=True)  # what is allocated is filled with NaN
    torch.backends.cudnn.allow_tf32 = False  # the reference is of float32, not of ten bits
    with watched() if DEVICE == "cpu" else nullcontext():
        compare(case, _run, within=1e-4, device=DEVICE)


def _run(case: Pair, network: Network, inputs: Tensor, draw: Draw, options: RunOptions) -> EngineResult:
    from spikewise.engine.triton import run as engine
    from spikewise.engine.triton.job import Operands

    wide = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    operands = Operands(wide, 3) if case.seed % 4 else Operands(torch.float32, 1)
    entry: Any = engine.run_encoded if inputs.is_floating_point() else engine.run_encoding
    result: EngineResult = entry(case.graph, network.weights, inputs, draw, options, operands)
    return result
