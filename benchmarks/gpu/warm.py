"""Compile what the other sections launch, in processes beside the tests: the kernels then come from Triton's cache."""

import subprocess
import sys

import torch

from benchmarks.gpu.clock import inference, training
from benchmarks.gpu.networks import WORKLOADS, Ours, random_images
from spikewise.network import Network

__all__ = ["started"]


def started() -> list[subprocess.Popen[bytes]]:
    """One process for each workload and precision."""
    return [
        subprocess.Popen([sys.executable, "-m", "benchmarks.gpu.warm", key, precision], stderr=subprocess.DEVNULL)
        for key in WORKLOADS
        for precision in ("float32", "bfloat16")
    ]


def _compile(key: str, precision: str) -> None:
    workload = WORKLOADS[key]
    model = Ours(Network(workload.graph, seed=1).cuda(), precision)
    for batch in (1024, 1):  # the kernels of every other batch divisible by 16 are those of 1024
        images = random_images(batch, workload.graph)
        inference(model, images)()
        if batch > 1:
            training(model, images, workload.graph.classes)()
    torch.cuda.synchronize()


if __name__ == "__main__":
    _compile(*sys.argv[1:])
