"""Trainings of an earlier run that differs in its seeds alone: a training is a function of its settings and its seed.

So five seeds after three train two more. What is taken over has the same identity apart from the seeds (so the same
settings), the same images, subjects and names of classes, the same version, and the same first seed, with which
learning rates are sought.
"""

import contextlib
import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spikewise.errors import ConfigError, RunError
from spikewise.evaluation.wording import seeds_named
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.experiment import parse_experiment
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.older import as_recorded
from spikewise.experiments.run_folder import LOCK, RunFolder
from spikewise.experiments.setting import Setting
from spikewise.files import make_folder, replace_file
from spikewise.training.loop import FIT

__all__ = ["take_over"]

_NOT_TAKEN: Final = (LOCK, "test.npz", FIT)
"""A run opens its test images itself; the record of a training comes last, for it says that all else is there."""


def take_over(setting: Setting, candidates: Sequence[Candidate]) -> str | None:
    """Copy finished trainings, and the learning rates that were found, from a finished run beside this one.

    Returns:
        What was taken and from where, as a sentence; None where nothing was.
    Raises:
        StorageError: the run folder cannot be written.
    """
    earlier = None if setting.experiment.imported is not None else _with_other_seeds(setting)
    if earlier is None:
        return None
    for candidate in candidates:
        theirs, ours = (_rates(folder, candidate) for folder in (earlier, setting.folder))
        if theirs.exists() and not ours.exists():
            make_folder(ours.parent)
            _copy(theirs, ours)
    pairs = itertools.product(setting.experiment.seeds, candidates)
    taken = dict.fromkeys(seed for seed, candidate in pairs if _take(earlier, setting.folder, candidate, seed))
    if not taken:
        return None
    told = seeds_named([str(seed) for seed in taken])
    return f"The trainings of {told} are those of {earlier.path}: the same settings, images and version."


def _with_other_seeds(setting: Setting) -> RunFolder | None:
    """The finished run in the same place that is this one but for its seeds, with most of them."""
    folder, experiment = setting.folder, setting.experiment
    mine, images, found = folder.facts(), NotedImages.of(setting.images), []
    for file in sorted(folder.path.parent.glob(f"{mine['kind']}-*/run.json")):
        other = RunFolder(file.parent)
        if file.parent.name == folder.path.name or not other.results.exists():
            continue
        with contextlib.suppress(RunError, ConfigError):  # what another folder holds is no reason to fail here
            facts = other.facts()
            recorded = parse_experiment(as_recorded(facts["experiment"]))
            same = all(facts.get(key) == mine[key] for key in ("kind", "spikewise_version"))
            same = same and other.changed(images) is None
            as_here = recorded.replace(seeds=experiment.seeds)
            if same and recorded.seeds[0] == experiment.seeds[0] and as_here.identity() == experiment.identity():
                found.append((len(set(recorded.seeds) & set(experiment.seeds)), other))
    return max(found, key=lambda one: one[0], default=(0, None))[1]


def _rates(folder: RunFolder, candidate: Candidate) -> Path:
    return folder.path / "tuning" / f"{candidate.name}.json"


def _take(earlier: RunFolder, folder: RunFolder, candidate: Candidate, seed: int) -> bool:
    """Whether that training was there, and has been copied; one that is there already stays."""
    theirs = earlier.path / "networks" / candidate.name / f"seed-{seed}"
    if not (theirs / FIT).exists():
        return False
    ours = folder.training(candidate.name, seed)
    if (ours / FIT).exists():
        return False
    for file in sorted(theirs.iterdir()):
        if file.name not in _NOT_TAKEN and not file.name.startswith("."):
            _copy(file, ours / file.name)
    _copy(theirs / FIT, ours / FIT)
    return True


def _copy(theirs: Path, ours: Path) -> None:
    with replace_file(ours) as file:
        shutil.copyfile(theirs, file)
