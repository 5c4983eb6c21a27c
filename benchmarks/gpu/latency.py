"""One image: microseconds from its pixels on the device to its class there, eager and captured."""

import time
from typing import Any

import torch

from benchmarks.gpu.clock import captured, inference, interleaved
from benchmarks.gpu.networks import WORKLOADS, Ours, random_images
from spikewise.network import Network

__all__ = ["section"]


def section(deadline: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in WORKLOADS:
        if time.perf_counter() > deadline:
            break
        try:
            out[key] = _one_image(key)
        except Exception as error:  # of one workload; the others still have their turn
            out[key] = f"{type(error).__name__}: {error}"
        print(f"one image, {key}: {out[key]} us", flush=True)
    return out


def _one_image(key: str) -> dict[str, float]:
    graph = WORKLOADS[key].graph
    model = Ours(Network(graph, seed=1).cuda(), "float32")
    step = inference(model, random_images(1, graph))
    step()
    torch.cuda.synchronize()
    times = interleaved({"eager": step, "captured": captured(step)}, rounds=7)
    return {name: round(1e6 * seconds, 1) for name, seconds in times.items()}
