"""Images a second in training and inference: each workload and batch, each candidate eager and captured."""

import copy
import json
import subprocess
import sys
import time
import traceback
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.clock import Step, captured, inference, interleaved, training
from benchmarks.gpu.networks import WORKLOADS, Ours, Workload, opponents, random_images
from spikewise.network import Network

__all__ = ["section"]

FRAGILE = "SpikingJelly"
"""A capture that fails leaves the whole process unfit for random numbers: what may fail has one of its own."""
HEAD = "| workload | batch | candidate | train, images/s | infer, images/s | peak MB |\n|---|---|---|---|---|---|"

_Steps = dict[str, dict[str, Step]]
"""By "train" or "infer", then by candidate."""


def section(deadline: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    print(HEAD)
    for key, workload in WORKLOADS.items():
        for batch in workload.batches:
            if time.perf_counter() > deadline:
                out["late"] = f"{key} {batch} and what follows"
                return out
            torch.manual_seed(0)
            network = Network(workload.graph, seed=1).cuda()
            models: dict[str, nn.Module] = {
                f"Spikewise {precision}": Ours(copy.deepcopy(network), precision)
                for precision in ("float32", "bfloat16")
            }
            out[f"{key} {batch}"] = _measure(key, workload, batch, models | opponents(network), {FRAGILE})
    return out | _apart(deadline)


def _measure(
    key: str, workload: Workload, batch: int, models: dict[str, nn.Module], eager: set[str]
) -> dict[str, dict[str, Any]]:
    """Each model eager, and captured unless its name is in `eager`; a step that fails costs its own figure only."""
    images = random_images(batch, workload.graph)
    found: dict[str, dict[str, Any]] = {}
    steps: _Steps = {"train": {}, "infer": {}}
    for name, model in models.items():
        for what, some in steps.items():
            made = training(model, images, workload.graph.classes) if what == "train" else inference(model, images)
            row = found.setdefault(name, {})
            try:
                peak = _peak(made)
                some[name] = made
                if what == "train":
                    row["peak MB"] = peak
                if name not in eager:
                    some[f"{name} +graph"] = captured(made)
            except Exception as error:
                row["error"] = traceback.format_exc()
                print(f"({key} {batch} {name} {what}: {type(error).__name__} {str(error)[:300]})", flush=True)
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


def _apart(deadline: float) -> dict[str, Any]:
    """The fragile candidate captured, in another process."""
    command = [sys.executable, "-m", "benchmarks.gpu.speed", str(deadline - time.perf_counter())]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=max(deadline + 5 - time.perf_counter(), 1)
        )
    except subprocess.TimeoutExpired:
        return {f"{FRAGILE} +graph": "late"}
    *table, last = done.stdout.splitlines() or [""]
    print(*table, sep="\n", flush=True)
    try:
        return {f"{FRAGILE} +graph": json.loads(last)}
    except ValueError:
        return {f"{FRAGILE} +graph": done.stdout[-2000:] + done.stderr[-2000:]}


def _fragile(seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    out: dict[str, Any] = {}
    for key, workload in WORKLOADS.items():
        for batch in workload.batches:
            found = opponents(Network(workload.graph, seed=1).cuda()).get(FRAGILE)
            if found is None or time.perf_counter() > deadline:
                continue
            rows = _measure(key, workload, batch, {FRAGILE: found}, set())
            out[f"{key} {batch}"] = rows
            if any("error" in row for row in rows.values()):
                break  # this process can measure no more
    print(json.dumps(out))


if __name__ == "__main__":
    _fragile(float(sys.argv[1]))
