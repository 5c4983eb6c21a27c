"""Whole trainings on this GPU: epochs, launched and recorded; seeds one after the other and at once; what "auto" takes;
a resumed run; too large a batch; `compare`.

`python -m benchmarks.gpu.training [--seconds N]`; what is not begun within N seconds (200) is left out. Sets are looked
for in SPIKEWISE_DATA; noise of the same size stands in for one that is not there.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikewise.data import AugmentConfig, ImageSet, Split, load_data, split
from spikewise.data.config import DataConfig
from spikewise.errors import SpikewiseError
from spikewise.experiments import resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.devices import training_device
from spikewise.experiments.standard import standard_of
from spikewise.network import Network
from spikewise.training import Task, fit, load_weights
from spikewise.training.captured import Captured
from spikewise.training.device_epochs import DeviceEpochs
from spikewise.training.epochs import HostEpochs
from spikewise.training.together import Training, fit_all
from spikewise.training.update import Learner

__all__ = ["main", "section"]

IMAGES = 12_800
"""Of an epoch: 100 batches, so that the slowest candidate has its turn."""
SEEDS, LONGER = 3, 6
"""Trainings that share the GPU, and epochs of each."""
EPOCHS = 3
"""The first runs as it is, in the second steps are recorded, the last is timed."""


def section(deadline: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    parts: list[tuple[str, Callable[[], Any]]] = [
        ("memory", too_large_a_batch),
        ("resume", resumed),
        *((f"epochs {name}", lambda name=name: epochs(name)) for name in ("fashion-snn", "pneumonia-conv", "digits")),
        *((f"seeds {name}", lambda name=name: seeds_together(name)) for name in ("fashion-snn", "pneumonia-conv")),
        ("auto", auto),
        ("compare", lambda: compare(deadline)),
    ]
    for name, part in parts:
        if time.perf_counter() > deadline:
            out[name] = "late"
            continue
        started = time.perf_counter()
        try:
            out[name] = part()
        except Exception as error:  # one part must not cost the others their turn
            import traceback

            out[name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        print(f"{name} ({time.perf_counter() - started:.1f} s): {json.dumps(out[name], indent=1)}", flush=True)
    return out


def resolved(experiment: Any, images: ImageSet) -> tuple[Any, Split]:
    """The experiment as it is run on these images, and their split."""
    parts = split(images, experiment.split)
    standard = standard_of(images.images, parts.train) if experiment.standardise is True else None
    train_images = len(parts.train)
    ready = experiment.resolved(
        "compare", device="cuda", train_images=train_images, image_shape=images.image_shape, standard=standard
    )
    return ready, parts


def _case(name: str) -> tuple[Any, ImageSet]:
    """A preset, and its images or noise of their shape."""
    experiment = resolve("digits") if name == "digits" else resolve(preset=name)
    try:
        images = load_data(experiment.data)
        return resolved(experiment, images)[0], images
    except SpikewiseError:
        classes = {"fashion-snn": 10, "pneumonia-conv": 2}[name]
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (IMAGES, 1, 28, 28), dtype=np.uint8)
        pixels[rng.random(pixels.shape) < 0.5] = 0
        labels, names = np.arange(IMAGES) % classes, tuple(map(str, range(classes)))
        return experiment, ImageSet("noise", pixels, labels, names, np.full(IMAGES, -1, np.int8), "noise")


def _task(experiment: Any, images: ImageSet, **train: Any) -> Task:
    everything = np.arange(min(IMAGES, len(images)))
    cut = len(everything) // 10
    parts = Split(everything, everything[:cut], everything[:0])
    settings = experiment.train.replace(**{"epochs": EPOCHS, **train})
    return Task(images, parts, experiment.loss, settings, AugmentConfig(), 0)


def epochs(name: str) -> dict[str, str]:
    """Images a second of the last epoch, training alone, by candidate."""
    experiment, images = _case(name)
    found = {"images": images.name}
    for label, engine, how in (
        ("reference, launched", "reference", "launched"),
        ("reference, recorded", "reference", "recorded"),
        ("auto, launched", "auto", "launched"),
        ("auto, recorded", "auto", "recorded"),
        ("auto on the processor", "auto", "processor"),
    ):
        found[label] = _timed(experiment, images, engine, how)
        print(f"  {name}: {label}: {found[label]}", flush=True)
    return found


def _timed(experiment: Any, images: ImageSet, engine: Any, how: str) -> str:
    side = candidates_of(experiment, images)[0]
    network = Network(side.graph, seed=0, engine_name=engine)
    task = _task(experiment, images)
    if how == "processor":
        some = task.split.train[:1280]
        task = Task(task.images, Split(some, some[:1], some[:0]), *list(vars(task).values())[2:])
        passes: Any = HostEpochs(Learner(network, task))
    else:
        stream = torch.cuda.Stream()
        passes = DeviceEpochs(Learner(network.cuda(), task), stream)
    real = Captured.__call__
    if how == "launched":
        Captured.__call__ = lambda self: self._work()
    try:
        seconds = _last_epoch(passes, 1 if how == "processor" else EPOCHS)
    finally:
        Captured.__call__ = real
    index = torch.from_numpy(task.split.train[:2]).to(network.device)
    pixels = torch.from_numpy(np.array(images.images[:2])).to(network.device)
    from spikewise.types import Draw

    ran = network(pixels, Draw(0, 1, index)).result.engine
    memory = torch.cuda.max_memory_allocated() >> 20
    torch.cuda.reset_peak_memory_stats()
    speed = len(task.split.train) / seconds
    return f"{speed:,.0f} images/s (epoch {seconds:.4f} s, engine {ran}, {passes.how}, peak {memory} MB)"


def _last_epoch(passes: Any, count: int) -> float:
    seconds = 0.0
    for epoch in range(1, count + 1):
        torch.cuda.synchronize()
        started = time.perf_counter()
        passes.launch(epoch)
        launched = time.perf_counter() - started
        passes.collect(lambda done, loss: None)
        seconds = time.perf_counter() - started
        print(f"    epoch {epoch}: {seconds:.3f} s, of which launching {launched:.3f} s", flush=True)
    return seconds


def seeds_together(name: str) -> dict[str, Any]:
    """Seconds of several trainings, by how many share the GPU, and whether bits differ; kernels are compiled before."""
    experiment, images = _case(name)
    task = _task(experiment, images, epochs=LONGER)
    found: dict[str, Any] = {"images": images.name, "trainings": SEEDS, "epochs": LONGER}
    _several(experiment, images, dataclasses.replace(task, train=task.train.replace(epochs=1)), 1)
    alone: list[Any] = []
    for at_once in (1, 2, SEEDS):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        seconds, kept = _several(experiment, images, task, at_once)
        alone = alone or kept
        apart = [
            seed
            for seed, (mine, plain) in enumerate(zip(kept, alone, strict=True))
            if any(not torch.equal(weight, plain[key]) for key, weight in mine.items())
        ]
        speed = len(task.split.train) * LONGER * SEEDS / seconds
        bits = f"DIFFERENT BITS of seeds {apart}" if apart else "bit-identical"
        memory = torch.cuda.max_memory_reserved() >> 20
        found[f"{at_once} at once"] = f"{seconds:.2f} s ({speed:,.0f} images/s, {memory} MB held, {bits})"
        print(f"  seeds {name}: {at_once} at once: {found[f'{at_once} at once']}", flush=True)
    return found


def _several(experiment: Any, images: ImageSet, task: Task, at_once: int) -> tuple[float, list[Any]]:
    """Seconds of the trainings, validation and checkpoints included, and the weights of each."""
    graph = candidates_of(experiment, images)[0].graph
    with tempfile.TemporaryDirectory() as folder:
        trainings = [
            Training(
                dataclasses.replace(task, seed=seed),
                Path(folder, str(seed)),
                torch.device("cuda"),
                lambda device, seed=seed: Network(graph, seed=seed).to(device),
            )
            for seed in range(SEEDS)
        ]
        torch.cuda.synchronize()
        started = time.perf_counter()
        fit_all(trainings, lambda one, result: None, at_once=at_once)
        seconds = time.perf_counter() - started
        return seconds, [load_weights(one.folder / "weights.safetensors")[0] for one in trainings]


def auto() -> dict[str, str]:
    """What a trial takes for all sides of some experiments, with what it measured."""
    found = {}
    for name in ("fashion-snn", "pneumonia-conv", "digits"):
        experiment, images = _case(name)
        parts = _task(experiment, images).split
        with tempfile.TemporaryDirectory() as cache:  # an earlier trial is not what is looked for
            before = os.environ.get("SPIKEWISE_CACHE")
            os.environ["SPIKEWISE_CACHE"] = cache
            try:
                found[name] = training_device(experiment.replace(device="auto"), images, parts).words or "no choice"
            finally:
                os.environ.pop("SPIKEWISE_CACHE")
                os.environ.update({} if before is None else {"SPIKEWISE_CACHE": before})
        print(f"  auto {name}: {found[name]}", flush=True)
    return found


def resumed() -> dict[str, str]:
    """Bits of a training that was killed after its first epoch, and of one that was not."""

    class Kill:
        def started(self, *arguments: Any, **named: Any) -> None: ...

        def batch(self, **named: Any) -> None: ...

        def epoch(self, record: Any) -> None:
            raise KeyboardInterrupt

        def finished(self) -> None: ...

    out = {}
    for name in ("fashion-snn", "pneumonia-conv"):
        experiment, images = _case(name)
        graph = candidates_of(experiment, images)[0].graph
        task = _task(experiment, images)
        with tempfile.TemporaryDirectory() as folder:
            networks = [Network(graph, seed=seed).cuda() for seed in (0, 0, 5)]
            fit(networks[0], task, Path(folder, "whole"))
            try:
                fit(networks[1], task, Path(folder, "killed"), Kill())
            except KeyboardInterrupt:
                fit(networks[2], task, Path(folder, "killed"))
        pairs = zip(networks[0].state_dict().items(), networks[2].state_dict().values(), strict=True)
        apart = [key for (key, one), other in pairs if not torch.equal(one, other)]
        out[name] = "bit-identical" if not apart else f"differs in {apart}"
    return out


def too_large_a_batch() -> str:
    """What is said where a batch does not fit; a fiftieth of the memory stands for a small GPU."""
    experiment, images = _case("fashion-snn")
    graph = candidates_of(experiment, images)[0].graph
    task = _task(experiment, images, batch_size=IMAGES)
    torch.cuda.set_per_process_memory_fraction(0.004)
    try:
        with tempfile.TemporaryDirectory() as folder:
            fit(Network(graph, seed=0).cuda(), task, Path(folder))
    except SpikewiseError as error:
        return str(error)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return "it fitted"


def compare(deadline: float) -> dict[str, Any]:
    """Wall time of the whole command, start of the process included."""
    try:
        load_data(DataConfig(source="fashion-mnist"))
        source = "fashion-mnist"
    except SpikewiseError:
        return {"left out": "Fashion-MNIST is not here"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "spikewise.cli.main", "compare", source, "--preset", "fashion-snn"]
        started = time.perf_counter()
        limit = max(20.0, deadline + 40 - started)
        log = Path(folder, "log")
        with log.open("w") as file:
            try:
                code = subprocess.run(
                    [*command, "--device", "cuda", "--out", folder],
                    stdout=file,
                    stderr=file,
                    check=False,
                    timeout=limit,
                ).returncode
            except subprocess.TimeoutExpired:
                code = 124
        seconds = time.perf_counter() - started
        text = log.read_text()
        return {"exit": code, "seconds": round(seconds, 1), "log": text.splitlines()[-60:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("No GPU here: nothing to measure.")
        return
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    found = section(time.perf_counter() + asked.seconds)
    Path(os.environ.get("OUT", "."), "training.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
