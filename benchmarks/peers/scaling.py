"""Time and memory of a training step against steps, batch, width and spike density: native, reference, dense loop."""

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.candidates import make
from benchmarks.peers.measure import Settings, in_fresh_process, say, warm_up
from benchmarks.peers.workloads import Problem
from spikewise.dynamics import LIF
from spikewise.encoders import Rate
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import SpikeCount
from spikewise.surrogates import FastSigmoid

__all__ = ["AXES", "NAMES", "scaling"]

NAMES = ("spikewise native", "spikewise reference", "PyTorch loop")
BASE = {"steps": 25, "batch": 128, "width": 1024, "density": 0.2}
AXES = {
    "steps": (5, 10, 25, 100),
    "batch": (1, 8, 64, 512),
    "width": (64, 256, 1024, 4096),
    "density": (0.02, 0.05, 0.1, 0.2, 0.4, 0.8),
}
"""What is varied; the others stay at `BASE`: 784-1024-10 LIF, T 25, batch 128, input density 0.2."""


def scaling(axis: str, settings: Settings) -> dict[str, Any]:
    """For each candidate, seconds of a training step and megabytes beyond the bare process along one axis."""
    chosen = AXES[axis][:2] if settings.quick else AXES[axis]
    found: dict[str, Any] = {"values": list(chosen), **{name: {"seconds": [], "mb": []} for name in NAMES}}
    for value in chosen:
        say(f"{axis}: {value}")
        for name in NAMES:
            point = in_fresh_process(_point, name, {**BASE, axis: value}, settings.threads, timeout=120)
            seconds, mb = point or (None, None)
            found[name]["seconds"].append(seconds)
            found[name]["mb"].append(mb)
    return {"base": BASE, "series": found}


def _point(name: str, at: dict[str, float], threads: int) -> tuple[float, float | None]:
    from spikewise.evaluation.speed import peak_memory_mb

    torch.set_num_threads(threads)
    problem = _problem(at)
    warm_up()
    made: list[Callable[[], None]] = []

    def work() -> None:
        made.append(make(name, Network(problem.graph, seed=1)).train(problem.images, problem.labels))
        made[0]()
        made[0]()

    mb = peak_memory_mb(work)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.3 and len(times) < 30):
        started = time.perf_counter()
        made[0]()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2], mb


def _problem(at: dict[str, float]) -> Problem:
    """Grey images of one brightness: under a rate code the brightness is the spike density."""
    cell = LIF(beta=0.95, reset_delay=True, surrogate=FastSigmoid())
    model = MLP(hidden=(int(at["width"]),), cell=cell, output=cell)
    graph = build(model, Rate(steps=int(at["steps"])), SpikeCount(), image_shape=(1, 28, 28), classes=10)
    images = torch.full((int(at["batch"]), 1, 28, 28), round(255 * at["density"]), dtype=torch.uint8)
    return Problem(graph, images, torch.arange(int(at["batch"])) % 10)
