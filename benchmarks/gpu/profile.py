"""Kernels of captured steps: how many, and which take the time."""

import time
from typing import Any

import torch

from benchmarks.gpu.clock import captured, inference, training
from benchmarks.gpu.networks import WORKLOADS, Ours, random_images
from spikewise.network import Network

__all__ = ["section"]


def section(deadline: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in WORKLOADS:
        for what in ("training", "inference"):
            if time.perf_counter() > deadline:
                break
            try:
                out[f"{key} {what}"] = _kernels(key, what)
            except Exception as error:  # of one workload; the others still have their turn
                out[f"{key} {what}"] = f"{type(error).__name__}: {error}"
                print(key, what, out[f"{key} {what}"], flush=True)
    return out


def _kernels(key: str, what: str) -> dict[str, Any]:
    graph = WORKLOADS[key].graph
    model, images = Ours(Network(graph, seed=1).cuda(), "float32"), random_images(1024, graph)
    replay = captured(training(model, images, graph.classes) if what == "training" else inference(model, images))
    replay()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
        replay()
        torch.cuda.synchronize()
    events = [e for e in profiled.key_averages() if e.device_time_total > 0]
    events.sort(key=lambda e: -e.device_time_total)
    rows = [(e.key[:60], e.count, round(e.device_time_total, 1)) for e in events]
    count, total = sum(e.count for e in events), sum(row[2] for row in rows)
    print(f"{key}, batch 1024, {what}: {count} kernels, {total:.0f} us")
    for name, calls, us in rows[:12]:
        print(f"  {us:9.1f} us  {calls:4d}  {name}", flush=True)
    return {"kernels": count, "us": rows}
