"""Kernels of a captured training step: how many, and which take the time."""

import time
from typing import Any

import torch

from benchmarks.gpu.clock import captured, training
from benchmarks.gpu.networks import WORKLOADS, Ours, random_images
from spikewise.network import Network

__all__ = ["section"]


def section(deadline: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in WORKLOADS:
        if time.perf_counter() > deadline:
            break
        graph = WORKLOADS[key].graph
        model = Ours(Network(graph, seed=1).cuda(), "float32")
        replay = captured(training(model, random_images(1024, graph), graph.classes))
        replay()
        torch.cuda.synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
            replay()
            torch.cuda.synchronize()
        events = [e for e in profiled.key_averages() if e.device_time_total > 0]
        events.sort(key=lambda e: -e.device_time_total)
        rows = [(e.key[:60], e.count, round(e.device_time_total, 1)) for e in events]
        out[key] = {"kernels": sum(e.count for e in events), "us": rows}
        print(f"{key}, batch 1024, training: {out[key]['kernels']} kernels, {sum(r[2] for r in rows):.0f} us")
        for name, count, us in rows[:14]:
            print(f"  {us:9.1f} us  {count:4d}  {name}", flush=True)
    return out
