"""An experiment in several processes: they must mean the same one, and be as many as can share it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from spikewise import __version__
from spikewise.data import load_data
from spikewise.engine import native
from spikewise.errors import ConfigError, ProcessesError, quoted
from spikewise.experiments.experiment import Experiment
from spikewise.training.group import ProcessGroup
from spikewise.training.shards import check_shards
from spikewise.training.shared_epochs import follow, own_device

__all__ = ["agree", "help_train"]


def agree(group: ProcessGroup, experiment: Experiment, kind: str) -> None:
    """See to it that all processes were given the same experiment, before anything is read.

    Raises:
        ProcessesError: they were not, or their programs differ.
        ConfigError: they are too many, or their device is none that works with others.
    """
    programs = {"spikewise": __version__, "torch": torch.__version__, "native engine": native.status()}
    mine = {"command": kind, **programs, **dict(_dotted(experiment.model_dump(mode="json")))}
    first, *others = [json.loads(text) for text in group.words(json.dumps(mine))]
    for rank, other in enumerate(others, start=1):
        unlike = [key for key in {**first, **other} if first.get(key) != other.get(key)]
        if unlike:
            listed = ", ".join(f"{key} is {quoted(other.get(key))}, not {quoted(first.get(key))}" for key in unlike[:3])
            raise ProcessesError(
                f"Process {rank} was started otherwise than process 0: {listed}. Give all of them the same command, "
                "and the same versions."
            )
    check_shards(experiment.train.shards, group.size)
    if experiment.device.startswith("cuda:"):
        raise ConfigError(f"Each of {group.size} processes has a GPU of its own: device = 'cuda', not a number of one.")
    if experiment.device != "auto":
        own_device(experiment.device)


def help_train(group: ProcessGroup, experiment: Experiment, data_dir: Path | None) -> None:
    """What a process does that is not the first: its part of every training, until that is over.

    Raises:
        ProcessesError: another process has ended.
    """
    follow(group, lambda: load_data(experiment.data, data_dir=data_dir))


def _dotted(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted key."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
