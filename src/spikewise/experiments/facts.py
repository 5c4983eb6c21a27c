"""Facts about the machine and the images that a run records beside its figures."""

import os
import platform
from pathlib import Path

import numpy as np
import torch

from spikewise.data import ImageSet, PartOverlap, Split, part_overlap
from spikewise.data.appearance import appearance
from spikewise.data.audit import Audit
from spikewise.errors import ConfigError, unknown_choice
from spikewise.evaluation.data_facts import DataFacts, Overlap, Part, TrainingAppearance
from spikewise.evaluation.results import Environment
from spikewise.experiments.experiment import Experiment
from spikewise.training.group import group_size

__all__ = ["cpu_name", "data_facts", "environment", "is_there", "nearest_device", "resolve_device"]


def resolve_device(name: str) -> torch.device:
    """The named device; of "auto", where nothing can be tried, a GPU if there is one.

    `devices.training_device` and `devices.answering_device` try what is faster.

    Raises:
        ConfigError: the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind, _, number = name.partition(":")
    if kind not in there or (number and not number.isdecimal()):
        raise unknown_choice("device", name, ["auto", *there])
    if not there[kind] or (kind == "cuda" and int(number or 0) >= torch.cuda.device_count()):
        raise ConfigError(f"The device '{name}' is not available to PyTorch here. Use --device cpu, or auto.")
    return torch.device(name)


def is_there(name: str) -> bool:
    """Whether this machine has the named device."""
    try:
        resolve_device(name)
    except ConfigError:
        return False
    return True


def nearest_device(name: str) -> torch.device:
    """The named device, or the processor where it is that of another machine: what is trained runs on both."""
    return resolve_device(name) if is_there(name) else torch.device("cpu")


def environment(device: torch.device) -> Environment:
    """Versions and hardware."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Environment(
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=cores,
        threads=torch.get_num_threads(),
        device=f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device),
        processes=group_size(),
    )


def data_facts(images: ImageSet, split: Split, experiment: Experiment, audit: Audit | None = None) -> DataFacts:
    """Which images were used, and how they were split.

    Args:
        audit: what was found of nearly identical images, where somebody looked.
    """
    leaks = part_overlap(images, split)

    def part(index: np.ndarray) -> Part:
        counts = np.bincount(images.labels[index], minlength=len(images.classes))
        return Part(images=len(index), per_class=tuple(int(n) for n in counts))

    return DataFacts(
        name=images.name,
        fingerprint=images.fingerprint,
        source=experiment.data.source,
        classes=images.classes,
        positive=images.classes[images.positive] if len(images.classes) == 2 else None,
        positive_why=images.positive_why,
        image_shape=images.image_shape,
        train=part(split.train),
        validation=part(split.validation),
        test=part(split.test),
        subjects=None if images.groups is None else len(np.unique(images.groups)),
        subjects_rule=images.subjects_rule.words if images.subjects_rule else "",
        subjects_trust=images.subjects_rule.trust if images.subjects_rule else None,
        grouped=images.groups is not None and experiment.split.grouped,
        overlap=Overlap(
            duplicates=leaks.duplicates,
            near_duplicates=None if audit is None else audit.near_across,
            subjects=leaks.groups,
            reaches_test=_reaches_test(images, split, leaks),
            near_reaches_test=None if audit is None or audit.near_tested is None else audit.near_tested > 0,
        ),
        publishable=images.publishable,
        notes=images.notes,
        cautions=(*images.cautions, *images.from_names),
        whites=dict(images.whites),
        aspect=images.aspect,
        appearance=TrainingAppearance(**appearance(images.images, split.train)._asdict()),
    )


def _reaches_test(images: ImageSet, split: Split, leaks: PartOverlap) -> bool:
    seen = np.concatenate([split.train, split.validation])
    subjects = images.groups is not None and bool(np.isin(images.groups[split.test], images.groups[seen]).any())
    return subjects or any(count for pair, count in leaks.duplicate_pairs.items() if pair.endswith("test"))


def cpu_name() -> str:
    """Name of the processor, as its maker calls it where the system says."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
