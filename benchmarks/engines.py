"""The native engine against the reference engine: a training step, inference, evaluation, one image; interleaved.

Checked against each other first. A training step is encoding, forward, backward and Adam; evaluation is inference
that counts what every neuron sends. Memory is what the training step adds at its peak (Linux only).
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from spikewise.data import load_data
from spikewise.dynamics import ALIF, LIF
from spikewise.encoders import Latency, Rate
from spikewise.engine import EngineName, RunOptions, native
from spikewise.errors import MissingDataError
from spikewise.graph import Graph
from spikewise.models import MLP, Conv, build
from spikewise.network import Network
from spikewise.readouts import MaxMembrane, SpikeCount
from spikewise.surrogates import FastSigmoid
from spikewise.types import Draw

REPEATS, THREADS = 7, 2
DELAYED = LIF(beta=0.6, reset_delay=True, surrogate=FastSigmoid())
DENSE = LIF(beta=0.95, reset_delay=True, surrogate=FastSigmoid())


class Workload(NamedTuple):
    name: str
    data: str
    graph: Graph
    batch: int


def workloads() -> list[Workload]:
    small, ten = {"image_shape": (1, 28, 28), "classes": 2}, {"image_shape": (1, 28, 28), "classes": 10}
    conv = Conv(channels=(12, 32), kernels=(5, 3), padding=0, pool_before_cell=True, cell=DELAYED, output=DELAYED)
    wide = MLP(hidden=(1024,), cell=DENSE, output=DENSE)
    recurrent = MLP(hidden=(128,), cell=ALIF(), recurrent=True)
    return [
        Workload("pneumonia-conv, T 20", "pneumoniamnist", build(conv, Rate(steps=20), SpikeCount(), **small), 128),
        Workload("784-1024-10, T 25", "fashion-mnist", build(wide, Rate(steps=25), SpikeCount(), **ten), 128),
        Workload("784-1024-10, T 25", "mnist", build(wide, Rate(steps=25), SpikeCount(), **ten), 128),
        Workload(
            "9409-1024-10, T 25",
            "socofing",
            build(wide, Rate(steps=25), SpikeCount(), image_shape=(1, 97, 97), classes=10),
            128,
        ),
        Workload(
            "784-128 ALIF rec-10, T 100", "mnist", build(recurrent, Latency(steps=100), MaxMembrane(), **ten), 256
        ),
    ]


def main() -> None:
    torch.set_num_threads(THREADS)
    print(f"{native.status()}; {THREADS} threads, medians of {REPEATS} interleaved repeats, {os.cpu_count()} cores\n")
    print("| network | images | what | reference, images/s | native, images/s | ratio |\n|---|---|---|---|---|---|")
    for position, workload in enumerate(workloads()):
        images, source = _images(workload)
        nets = {name: Network(workload.graph, engine_name=name) for name in ("reference", "native")}
        _check(nets, images)
        for what, count, make in (
            ("train", len(images), _training),
            ("infer", len(images), _inference),
            ("evaluate", len(images), _evaluation),
            ("one", 1, _one),
        ):
            speeds = _interleaved({name: make(net, images) for name, net in nets.items()}, count)
            ratio = speeds["native"] / speeds["reference"]
            figures = f"{speeds['reference']:,.0f} | {speeds['native']:,.0f} | {ratio:.1f}x"
            print(f"| {workload.name} | {source} | {what} | {figures} |", flush=True)
        print(f"| {workload.name} | {source} | memory | {_memory(position)} |", flush=True)


def _images(workload: Workload) -> tuple[torch.Tensor, str]:
    try:
        return torch.from_numpy(np.array(load_data(workload.data).images[: workload.batch])), workload.data
    except MissingDataError:
        shape = (workload.batch, *workload.graph.image_shape)
        return torch.randint(0, 256, shape, dtype=torch.uint8), "noise (the set is not here)"


def _check(nets: dict[str, Network], images: torch.Tensor) -> None:
    """Weights on a grid of 2^-8 make their sums exact in any order; decays still round, so a few spikes may differ.

    The exact parity stands in tests/engine/native.
    """
    with torch.no_grad():
        for net in nets.values():
            for name, weight in net.named_parameters():
                if name.endswith(("weight", "bias", "recurrent")):
                    weight.copy_((weight * 256).round() / 256)
        logits = [net.eval()(images).logits for net in nets.values()]
    apart = (logits[0] != logits[1]).float().mean().item()
    assert apart < 0.05, f"the engines disagree on {apart:.1%} of the outputs"


def _training(net: Network, images: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    labels = torch.zeros(len(images), dtype=torch.long)
    draw = Draw(0, 1, torch.arange(len(images)))

    def step() -> None:
        net.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images, draw).logits, labels).backward()
        optimizer.step()

    return step


def _inference(net: Network, images: torch.Tensor, options: RunOptions = RunOptions()) -> Callable[[], None]:  # noqa: B008  # immutable
    def answer() -> None:
        net.eval()
        with torch.no_grad():
            net(images, None, options).logits.argmax(-1)

    return answer


def _evaluation(net: Network, images: torch.Tensor) -> Callable[[], None]:
    return _inference(net, images, RunOptions(measure=True))


def _memory(position: int) -> str:
    """What a first training step adds at its peak on each engine, and what the native one keeps for backward."""
    peaks = []
    for name in ("reference", "native"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            peaks.append(fresh.submit(_peak, position, name).result())
    return f"{peaks[0]} | {peaks[1]} | "


def _peak(position: int, name: EngineName) -> str:
    torch.set_num_threads(THREADS)
    workload = workloads()[position]
    images, _ = _images(workload)
    net = Network(workload.graph, engine_name=name)
    step = _training(net, images)
    _training(Network(workload.graph, engine_name=name), images[:1])()  # what libraries load once
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        step()
        peak = f"{(_status('VmHWM') - before) / 1024:.0f} MiB"
    except OSError:
        return "unknown"
    if name == "reference":
        return peak
    kept = native.kept_bytes(net.train()(images).result) / len(images) / workload.graph.steps
    return f"{peak}, {kept:,.0f} bytes kept an image and step"


def _status(key: str) -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
    return int(line.split()[1])


def _one(net: Network, images: torch.Tensor) -> Callable[[], None]:
    return _inference(net, images[:1])


def _interleaved(work: dict[str, Callable[[], None]], count: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in work}
    for repeat in range(REPEATS + 1):
        for name, run in work.items():
            started = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - started)
    return {name: count / statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
