"""Images a second in training and inference: each workload and batch, each contestant eager and captured."""

import copy
import time
import traceback
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.clock import Step, captured, inference, interleaved, training
from benchmarks.gpu.networks import WORKLOADS, Ours, Workload, opponents, random_images
from spikewise.network import Network

__all__ = ["section"]


def section(deadline: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    print("| workload | batch | contestant | train, images/s | infer, images/s | peak MB |\n|---|---|---|---|---|---|")
    for key, workload in WORKLOADS.items():
        for batch in workload.batches:
            if time.perf_counter() > deadline:
                out["late"] = f"{key} {batch} and what follows"
                return out
            out[f"{key} {batch}"] = _measure(key, workload, batch)
    return out


def _measure(key: str, workload: Workload, batch: int) -> dict[str, Any]:
    torch.manual_seed(0)
    network = Network(workload.graph, seed=1).cuda()
    images = random_images(batch, workload.graph)
    models: dict[str, nn.Module] = {
        f"Spikewise {precision}": Ours(copy.deepcopy(network), precision) for precision in ("float32", "bfloat16")
    }
    models |= opponents(network)
    steps: dict[str, dict[str, Step]] = {"train": {}, "infer": {}}
    found: dict[str, Any] = {name: {} for name in models}
    for name, model in models.items():
        for what, some in steps.items():
            make = training(model, images, workload.graph.classes) if what == "train" else inference(model, images)
            try:
                if what == "train":
                    found[name]["peak MB"] = _peak(make)
                some[name] = make
                some[f"{name} +graph"] = captured(make)
            except Exception as error:
                print(f"({key} {batch} {name} {what}: {type(error).__name__} {str(error)[:300]})", flush=True)
                found[name]["error"] = traceback.format_exc()
    for what, some in steps.items():
        for name, seconds in interleaved(some).items():
            found.setdefault(name, {})[what] = round(batch / seconds)
    for name, row in found.items():
        figures = [f"{row[what]:,}" if what in row else "–" for what in ("train", "infer", "peak MB")]
        print(f"| {key} | {batch} | {name} | {' | '.join(figures)} |", flush=True)
    return found


def _peak(step: Step) -> int:
    """Megabytes that a step adds at its peak, after one that compiles and allocates what stays."""
    step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 1e6)
