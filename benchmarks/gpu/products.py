"""Tiles of the products of W2 at batch 1024: which are fastest, in TFLOP/s of bfloat16."""

import time
from typing import Any

import torch

from benchmarks.gpu.clock import interleaved
from spikewise.engine.triton.kernels import launch, matmul

__all__ = ["section"]

ROWS, INPUTS, OUTPUTS = 25_600, 784, 1024
TILES = [
    (128, 128, 64, 8, 3), (128, 128, 32, 8, 4), (128, 256, 64, 8, 2), (128, 256, 32, 8, 3), (256, 128, 32, 8, 3),
    (128, 128, 64, 4, 3), (64, 128, 64, 4, 3), (128, 64, 64, 4, 4), (64, 256, 32, 4, 4), (256, 64, 64, 8, 3),
]  # fmt: skip


def section(deadline: float) -> dict[str, Any]:
    spikes = (torch.rand(1, ROWS, INPUTS, device="cuda") < 0.3).bfloat16()
    weight = matmul.split(torch.randn(OUTPUTS, INPUTS, device="cuda"), 3, torch.bfloat16)
    gradient = matmul.split(torch.randn(ROWS, OUTPUTS, device="cuda"), 3, torch.bfloat16)
    bias = torch.randn(OUTPUTS, device="cuda")
    work = {
        "forward": (lambda **k: matmul.product(spikes, weight.transpose(1, 2), bias=bias, **k), 3, (1,)),
        "weights": (lambda **k: matmul.product(gradient.transpose(1, 2), spikes, **k), 3, (1, 2, 4, 8)),
    }
    out: dict[str, Any] = {}
    for name, (function, parts, pieces) in work.items():
        rows = []
        for tile in TILES:
            for piece in pieces:
                if time.perf_counter() > deadline:
                    break
                asked = dict(zip(("BM", "BN", "BK", "num_warps", "num_stages"), tile, strict=True))
                launch._held.clear()
                try:
                    call = lambda f=function, a=asked, p=piece: f(tile=a, pieces=p)  # noqa: E731
                    seconds = interleaved({"it": call}, rounds=3, seconds=0.01)["it"]
                except Exception as error:  # a tile that does not fit the device
                    rows.append((tile, piece, type(error).__name__))
                    continue
                if launch._held:  # it ran, with fewer stages
                    rows.append((tile, piece, "OutOfResources"))
                    continue
                rows.append((tile, piece, round(2e-12 * parts * ROWS * INPUTS * OUTPUTS / seconds, 1)))
        rows.sort(key=lambda row: -row[2] if isinstance(row[2], float) else 0)
        out[name] = rows
        print(name, *rows[:6], sep="\n  ", flush=True)
    return out
