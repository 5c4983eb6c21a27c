"""What bfloat16 costs in accuracy: the spiking network of some presets, trained in both precisions from the same seeds.

`python -m benchmarks.gpu.precision`; sets are looked for in SPIKEWISE_DATA, and one that is not there is left out.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.training import resolved
from spikewise.data import AugmentConfig, load_data
from spikewise.errors import SpikewiseError
from spikewise.experiments import resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.network import Network
from spikewise.training import Task
from spikewise.training.together import Training, fit_all

__all__ = ["main"]

SEEDS, DEVICE = 3, "cuda"


def accuracies(experiment: Any, precision: str) -> list[float]:
    """Validation accuracy after the last epoch, of each seed."""
    images = load_data(experiment.data)
    experiment, parts = resolved(experiment, images)
    settings = experiment.train.replace(precision=precision)
    task = Task(images, parts, experiment.loss, settings, AugmentConfig(), 0)
    graph = candidates_of(experiment, images)[0].graph
    found: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        trainings = [
            Training(
                dataclasses.replace(task, seed=seed),
                Path(folder, str(seed)),
                torch.device(DEVICE),
                lambda device, seed=seed: Network(graph, seed=seed).to(device),
            )
            for seed in range(SEEDS)
        ]
        fit_all(
            trainings,
            lambda one, result: found.__setitem__(one.task.seed, result.history[-1].validation_accuracy),
            at_once=SEEDS,
        )
    return [found[seed] for seed in range(SEEDS)]


def main() -> None:
    if not torch.cuda.is_available():
        print("No GPU here: nothing to measure.")
        return
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    for name, experiment in (("digits", resolve("digits")), ("fashion-snn", resolve(preset="fashion-snn"))):
        for precision in ("float32", "bfloat16"):
            try:
                found = accuracies(experiment, precision)
            except SpikewiseError as error:
                print(f"{name}: {error}")
                break
            each = ", ".join(f"{100 * one:.2f}" for one in found)
            print(f"{name} {precision}: {100 * np.mean(found):.2f} % of the validation images ({each})", flush=True)


if __name__ == "__main__":
    main()
