"""What executors are given to do: a whole run, the learning rate of one side, one training of a side.

Each function is called by name in a process of its own, on this machine or another. It gets the folder that it works
in and its arguments as JSON holds them, and keeps every second process out of its part of the folder.
"""

from pathlib import Path
from typing import Any

from spikewise.data import split
from spikewise.errors import RunError
from spikewise.experiments.candidates import Candidate, candidates_of
from spikewise.experiments.experiment import parse_experiment
from spikewise.experiments.facts import resolve_device
from spikewise.experiments.rates import find_rates
from spikewise.experiments.run import run_experiment, train_all
from spikewise.experiments.run_folder import RunFolder, locked
from spikewise.experiments.setting import Setting
from spikewise.files import make_folder
from spikewise.training import Listener

__all__ = ["find_rate", "run_whole", "train_one"]


def run_whole(folder: Path, arguments: dict[str, Any], listener: Listener) -> None:
    """Run an experiment, as `spikewise train --config FILE` does, but for its report.

    Args:
        folder: the run folder; it has the name that the experiment gives it.
        arguments: `experiment` resolved, `kind`, `data_dir`.
    Raises:
        RunError: this machine gives it another name, for its images are other ones.
    """
    experiment = parse_experiment(arguments["experiment"])
    where = _path(arguments["data_dir"])
    done = run_experiment(
        experiment, out=folder.parent, kind=arguments["kind"], data_dir=where, listener=listener, report=False
    )
    if done.folder.name != folder.name:
        raise RunError(f"{folder.name} is called {done.folder.name} here: what decides its result differs.")


def find_rate(folder: Path, arguments: dict[str, Any], listener: Listener) -> None:
    """Find the learning rate of one side of a run.

    Args:
        folder: the run folder.
        arguments: `side`, `lock`, `data_dir`.
    """
    make_folder(folder / "tuning")
    with locked(folder / arguments["lock"], folder / "tuning"):
        setting, candidate = _of(folder, arguments)
        find_rates(setting, [candidate], listener)


def train_one(folder: Path, arguments: dict[str, Any], listener: Listener) -> None:
    """Train one side of a run with one seed.

    Args:
        folder: the run folder.
        arguments: `side`, `seed`, `data_dir`.
    """
    setting, candidate = _of(folder, arguments)
    train_all(setting, [candidate], listener, seeds=(arguments["seed"],))


def _of(folder: Path, arguments: dict[str, Any]) -> tuple[Setting, Candidate]:
    """A run's setting on this machine, and one of its sides."""
    run, where = RunFolder.open(folder), _path(arguments["data_dir"])
    experiment = run.experiment()
    images = run.images(where)
    parts = split(images, experiment.split)
    setting = Setting(experiment, images, parts, run, resolve_device(experiment.device), where)
    return setting, next(one for one in candidates_of(experiment, images) if one.kind == arguments["side"])


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
