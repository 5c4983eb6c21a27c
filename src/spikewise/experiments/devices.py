"""Which device "auto" means: where there is a choice, each is tried for a moment, and the faster one is taken.

A trial is kept in the cache, by everything that decides its outcome, so that the same command means the same device.
"""

import contextlib
import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from spikewise import __version__
from spikewise.data import ImageSet, Split
from spikewise.data.locate import cache_folder
from spikewise.engine import native
from spikewise.errors import StorageError
from spikewise.evaluation.speed import throughput
from spikewise.experiments.automatic import said
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.experiment import Experiment, RunKind
from spikewise.experiments.facts import cpu_name, resolve_device
from spikewise.experiments.setting import task_of
from spikewise.experiments.standard import Standard, standard_of
from spikewise.files import make_folder, write_json
from spikewise.network import Network
from spikewise.training.group import current_group
from spikewise.training.shared_epochs import own_device
from spikewise.training.trial import training_speed, trial_of

__all__ = [
    "ChosenDevice",
    "answering_device",
    "available_devices",
    "resolve_automatic",
    "spread_over",
    "training_device",
]

_ANSWERED = 256
"""Images of a trial of answers."""


class ChosenDevice(NamedTuple):
    """A device, and what was measured."""

    device: torch.device
    words: str | None = None
    """In one line; None where there was no choice."""


class _Outcome(NamedTuple):
    """Images a second by device; 0 where the network does not run."""

    speeds: dict[str, float]
    how: str


def available_devices() -> tuple[torch.device, ...]:
    """What "auto" chooses from; the last one runs everything."""
    there = [torch.device("cuda")] if torch.cuda.is_available() else []
    return (*there, torch.device("cpu"))


def spread_over(device: torch.device) -> tuple[torch.device, ...]:
    """The devices of an experiment's trainings: all GPUs for "cuda", the named one for "cuda:1".

    A process that trains with others has one: they have theirs.
    """
    if current_group() is not None:
        return (own_device(device.type),)
    if device.type != "cuda" or device.index is not None or torch.cuda.device_count() < 2:
        return (device,)
    return tuple(torch.device("cuda", number) for number in range(torch.cuda.device_count()))


def resolve_automatic(  # noqa: PLR0913  # what decides where a run is
    experiment: Experiment,
    kind: RunKind,
    images: ImageSet,
    parts: Split,
    *,
    out: Path,
    prefix: str | None = None,
    say: Callable[[str], None] | None = None,
    elsewhere: bool = False,
    standard: Standard | None = None,
) -> Experiment:
    """The experiment as it is run here, with everything decided that "auto" left open.

    Args:
        out: folder of the run folders; what was begun on some device goes on there.
        prefix: what their names begin with; None is the kind.
        say: told what was chosen, and why.
        elsewhere: the named device is that of another machine.
        standard: of the training images; None: it is found here, where the experiment wants it.
    Raises:
        ConfigError: the named device is not there.
        ShapeError: a network does not fit the images.
    """
    shape, there = images.image_shape, available_devices()
    resolved = experiment.resolved(
        kind,
        device=str(there[0]) if experiment.device == "auto" and len(there) == 1 else experiment.device,
        train_images=len(parts.train),
        image_shape=shape,
        standard=standard or standard_of(images.images, parts.train) if experiment.standardise is True else None,
    )
    words = None if say is None else said((experiment.model, experiment.encoder), resolved.network(shape), shape)
    if words is not None and say is not None:
        say(words)
    if elsewhere and resolved.device != "auto":
        return resolved

    def is_begun(device: torch.device) -> bool:
        return (out / resolved.replace(device=str(device)).folder_name(prefix or kind, images.name)).exists()

    chosen = training_device(resolved, images, parts, is_begun)
    if chosen.words is not None and say is not None:
        say(chosen.words)
    device = str(chosen.device)
    return resolved if device == resolved.device else resolved.replace(device=device)


def training_device(
    experiment: Experiment, images: ImageSet, parts: Split, is_begun: Callable[[torch.device], bool] | None = None
) -> ChosenDevice:
    """Where an experiment is trained: the named device, or for "auto" the one on which all its sides train fastest.

    Args:
        is_begun: whether the experiment was begun on a device already; it goes on there.
    Raises:
        ConfigError: the named device is not there.
        ShapeError: a network does not fit the images.
    """
    if experiment.device != "auto":
        return ChosenDevice(resolve_device(experiment.device))
    there = available_devices()
    if len(there) == 1:
        return ChosenDevice(there[0])
    begun = [device for device in there if is_begun is not None and is_begun(device)]
    if len(begun) == 1:
        return ChosenDevice(begun[0])
    candidates = candidates_of(experiment, images)
    tasks = [task_of(experiment, images, parts, one, experiment.seeds[0]) for one in candidates]

    def speed(device: torch.device) -> float:
        """Of a pass through the images by each candidate in turn."""
        seconds = 0.0
        for one, task in zip(candidates, tasks, strict=True):
            network = Network(one.graph, seed=task.seed, engine_name=experiment.engine).to(device)
            seconds += 1 / training_speed(network, task)
        return 1 / seconds

    decides = {
        "sides": [one.graph.model_dump(mode="json") for one in candidates],
        "losses": [one.loss.model_dump(mode="json") for one in candidates],
        "train": experiment.train.model_dump(mode="json", exclude={"epochs", "learning_rate", "schedule"}),
        "augment": experiment.augment.model_dump(mode="json"),
        "engine": experiment.engine,
        "images": [images.fingerprint, len(trial_of(tasks[0]).split.train)],
    }
    what = "this network" if len(candidates) == 1 else f"these {len(candidates)} networks"
    return _fastest(there, decides, speed, f"trains {what}")


def answering_device(name: str, network: Network) -> ChosenDevice:
    """Where a trained network answers: the named device, or for "auto" the one that answers a batch fastest.

    Raises:
        ConfigError: the named device is not there.
    """
    if name != "auto":
        return ChosenDevice(resolve_device(name))
    there = available_devices()
    if len(there) == 1:
        return ChosenDevice(there[0])
    # Half of the pixels are dark, as in most images; spikes are what an engine's time goes by.
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_ANSWERED, *network.graph.image_shape), dtype=np.uint8)
    images[rng.random(images.shape) < 0.5] = 0
    decides = {"answers": network.graph.model_dump(mode="json"), "engine": network.engine_name}

    def speed(device: torch.device) -> float:
        return throughput(copy.deepcopy(network).to(device).eval().frozen(), images)

    return _fastest(there, decides, speed, "runs this network")


def _fastest(
    there: tuple[torch.device, ...],
    decides: Mapping[str, Any],
    speed: Callable[[torch.device], float],
    what: str,
) -> ChosenDevice:
    """The fastest of some devices by an earlier trial of the same, or by one made now."""
    file = cache_folder(None) / "devices" / f"{_key(there, decides)}.json"
    kept = _kept(file, there)
    tried = _Outcome(kept, "measured earlier") if kept else _try(there, speed, file)
    # The first of equals would be a GPU: it has to be faster, or the processor is as good.
    best = max(reversed(there), key=lambda device: tried.speeds[str(device)])
    others = [device for device in there if device != best]
    figures = ", ".join(f"{_title(other)} {_at(tried.speeds[str(other)])}" for other in others)
    return ChosenDevice(
        best,
        f"Device: {_title(best)} {what} {_at(tried.speeds[str(best)], ' images/s')}, {figures} ({tried.how}; "
        "--device decides without).",
    )


def _try(there: tuple[torch.device, ...], speed: Callable[[torch.device], float], file: Path) -> _Outcome:
    """Measure on each device; what failed is not kept, for it may have been the moment's fault."""
    started, speeds, failed = time.perf_counter(), dict[str, float](), ""
    for device in there:
        try:
            speeds[str(device)] = speed(device)
        except Exception as error:  # a driver may fail in any way: then the other device is the faster one
            speeds[str(device)], failed = 0.0, f"; {device}: {str(error).partition('. ')[0]}"
        if device.type == "cuda" and torch.cuda.is_available():
            torch.cuda.empty_cache()  # the trial's networks are gone
    if not failed:
        with contextlib.suppress(StorageError):  # without a cache it is measured again next time
            make_folder(file.parent)
            write_json(file, speeds)
    return _Outcome(speeds, f"measured in {time.perf_counter() - started:.1f} s{failed}")


def _kept(file: Path, there: tuple[torch.device, ...]) -> dict[str, float] | None:
    """An earlier trial's speeds; None where there is none, or its file is damaged."""
    try:
        speeds = {str(name): float(speed) for name, speed in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return speeds if all(speeds.get(str(device), 0) > 0 for device in there) else None


def _key(there: tuple[torch.device, ...], decides: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits over everything that decides how fast something is."""
    here = {
        "spikewise": __version__,
        "torch": torch.__version__,
        "triton": _triton(),
        "native": native.status(),
        "processor": [cpu_name(), torch.get_num_threads()],
        "devices": [_title(device) for device in there],
    }
    return hashlib.sha256(json.dumps([here, decides], sort_keys=True).encode()).hexdigest()[:16]


def _at(speed: float, unit: str = "") -> str:
    return f"at {speed:,.0f}{unit}" if speed else "not at all"


def _title(device: torch.device) -> str:
    if device.type == "cuda" and torch.cuda.is_available():
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return "the processor" if str(device) == "cpu" else str(device)


def _triton() -> str | None:
    with contextlib.suppress(PackageNotFoundError):
        return version("triton")
    return None
