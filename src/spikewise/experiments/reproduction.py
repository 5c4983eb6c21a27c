"""What the presets gave when they were run: figures beside the published ones, and how to get them again.

`docs/reproduce.py` writes `presets/reproduced.json` from run folders; nothing in it is typed by hand.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from spikewise.config import parse
from spikewise.errors import ConfigError, RunError
from spikewise.evaluation import DataFacts, Results
from spikewise.evaluation.record import Count, Estimate, Many, Record
from spikewise.experiments.experiment import DESCRIPTIVE, Experiment, RunKind
from spikewise.experiments.request import load_preset, preset_names, resolve
from spikewise.experiments.run_folder import RunFolder
from spikewise.experiments.settings import differences, format_change
from spikewise.shell import word

__all__ = ["NetworkFigures", "Reproduction", "fold", "main_network", "reproduction_of", "reproductions"]

_FILE = "reproduced.json"
_HOW = frozenset((*DESCRIPTIVE, "device", "engine"))
"""Fields of an experiment that a reader's machine decides."""


class NetworkFigures(Record):
    """One network of one reproduction."""

    name: str
    description: str
    metrics: dict[str, Estimate]
    """The published metrics, and accuracy; shares of 1 on the test images."""
    train_seconds: Many[float]
    """For each seed."""
    seconds_per_epoch: float


class Reproduction(Record):
    """One run of a preset, whole or in part."""

    preset: str
    command: str
    changes: Many[str]
    """Settings in which it differs from the preset, as overrides; empty if there are none."""
    as_published: bool
    """Whether the defects of the published code were laid in."""
    networks: Many[NetworkFigures]
    data: str
    train_images: Count
    test_images: Count
    seeds: Count
    date: str
    spikewise_version: str
    cpu: str
    threads: Count
    device: str = "cpu"
    """What computed, as the results name it."""
    stand_in: str = ""
    """Which images stood in for the preset's own where those could not be had; empty if they were its own."""

    def figures(self, network: str) -> NetworkFigures | None:
        """Those of one network; None if the run did not have it."""
        return next((one for one in self.networks if one.name == network), None)


def reproductions() -> tuple[Reproduction, ...]:
    """Every recorded run, in the order in which they were added."""
    file = resources.files("spikewise.experiments") / "presets" / _FILE
    if not file.is_file():
        return ()
    return tuple(parse(Reproduction, one) for one in json.loads(file.read_text(encoding="utf-8")))


def reproduction_of(run: Path) -> Reproduction:
    """The record of a finished run of a preset.

    Raises:
        RunError: no finished run.
        ConfigError: the run is not one of a preset.
    """
    folder = RunFolder.open(run)
    results, experiment = Results.load(folder.results), folder.experiment()
    if experiment.title not in preset_names():
        raise ConfigError(f"{run} is no run of a preset; its title is '{experiment.title}'.")
    if experiment.data.source != resolve(preset=experiment.title).data.source:
        raise ConfigError(f"{run} ran the preset '{experiment.title}' on other images: {experiment.data.source}.")
    kind, data = results.kind, results.data
    if kind == "judge":
        raise ConfigError(f"{run} judged networks that were made elsewhere; it is no run of a preset.")
    changes, published = _changes(experiment, kind, data), False
    if defects := _changes(experiment, kind, data, as_published=True):
        published = len(defects) < len(changes)
    else:
        published = bool(changes)
    changes = defects if published else changes
    wanted = {*experiment.published, "accuracy", "auc"}
    return Reproduction(
        preset=experiment.title,
        command=_command(kind, experiment.title, changes, published),
        changes=tuple(changes),
        as_published=published,
        networks=tuple(
            NetworkFigures(
                name=network.name,
                description=network.description,
                metrics={name: estimate for name, estimate in network.metrics.items() if name in wanted},
                train_seconds=tuple(round(one.train_seconds, 1) for one in network.runs),
                seconds_per_epoch=sum(one.train_seconds for one in network.runs)
                / sum(one.epochs_run for one in network.runs),
            )
            for network in results.networks
        ),
        data=results.data.name,
        train_images=data.train.images,
        test_images=results.data.test.images,
        seeds=len(results.protocol.seeds),
        date=results.created[:10],
        spikewise_version=results.spikewise_version,
        cpu=results.environment.cpu,
        threads=results.environment.threads,
        device=results.environment.device,
    )


def _changes(experiment: Experiment, kind: RunKind, data: DataFacts, *, as_published: bool = False) -> list[str]:
    """Overrides that make this experiment of its preset."""
    try:
        preset = resolve(preset=experiment.title, as_published=as_published)
    except ConfigError:  # it knows no defects
        return _changes(experiment, kind, data)
    channels, height, width = data.image_shape
    shape = (channels, height, width)
    resolved = preset.resolved(
        kind,
        device=experiment.device,
        train_images=data.train.images,
        image_shape=shape,
        standard=experiment.standard,
    )
    found = differences(_decisions(resolved), _decisions(experiment))
    return [format_change(key, value) for key, value, _ in found]


def _decisions(experiment: Experiment) -> dict[str, Any]:
    return experiment.model_dump(mode="json", exclude=set(_HOW))


def _command(kind: str, preset: str, changes: list[str], published: bool) -> str:
    words = [f"spikewise {kind} --preset {preset}", *(["--as-published"] if published else [])]
    for change in changes:
        key, _, value = change.partition("=")
        if key == "seeds" and json.loads(value) == list(range(len(json.loads(value)))):
            words.append(f"--seeds {len(json.loads(value))}")
        elif key == "train.epochs":
            words.append(f"--epochs {value}")
        else:
            bare = value.strip('"')
            words.append(f"--set {word(f'{key}={bare}' if bare.isalnum() else change)}")
    return " ".join(words)


def main_network(preset: str) -> tuple[str, str]:
    """The preset and network in whose runs the figures of a preset stand: its own, unless it is part of another."""
    same = load_preset(preset).get("same_as")
    return (same["preset"], same["network"]) if same else (preset, "snn")


def fold(runs: list[Path], there: tuple[Reproduction, ...], *, stand_in: str = "") -> list[Reproduction]:
    """The records with those of `runs` added; a run with the same command takes the place of the older one.

    So does a comparison that of the training of its spiking network alone.

    Args:
        stand_in: Which images stood in for those of the presets; empty for none.

    Raises:
        RunError, ConfigError: as `reproduction_of`; nothing is added then.
    """
    if not runs:
        raise RunError("No run folder was named.")
    records = {one.command: one for one in there}
    for run in runs:
        found = reproduction_of(run).replace(stand_in=stand_in)
        records.pop(found.command.replace("spikewise compare", "spikewise train", 1), None)
        records[found.command] = found
    order = preset_names()
    return sorted(records.values(), key=lambda one: (order.index(one.preset), one.as_published, len(one.changes)))
