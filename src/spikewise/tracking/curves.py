"""What a run folder has to tell a tracker: the curve of each training, its settings, and its final figures."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from spikewise.evaluation import NetworkResult, Results
from spikewise.evaluation.results import SeedResult
from spikewise.experiments import RunFolder
from spikewise.experiments.settings import dotted
from spikewise.experiments.sweep_folder import SweepFolder
from spikewise.reading import read_json
from spikewise.training.event_file import EVENTS, EpochEvent, EventFile, dated
from spikewise.training.loop import CHECKPOINT, FIT, FitResult, result_so_far

__all__ = ["Curve", "EpochFigures", "RunReader", "folders_of"]

_FIELDS: Final = {
    "train/loss": "train_loss",
    "train/cross_entropy": "train_cross_entropy",
    "train/accuracy": "train_accuracy",
    "train/learning_rate": "learning_rate",
    "validation/loss": "validation_loss",
    "validation/accuracy": "validation_accuracy",
    "time/epoch_seconds": "seconds",
    "time/images_per_second": "images_per_second",
}
"""Tag of each figure of an epoch. Those below `time/` are the clock's: another training has others."""
_COSTS: Final = ("macs", "synaptic_operations", "state_updates", "memory_traffic_bytes", "latency_ms",
                 "throughput_images_per_second", "peak_memory_mb")  # fmt: skip
Value = str | int | float | bool


class EpochFigures(NamedTuple):
    """Figures of one epoch by tag."""

    step: int
    time: float
    """Seconds since 1970 when the epoch was over."""
    figures: dict[str, float]


@dataclass(frozen=True)
class Curve:
    """One training as a tracker sees it; or the whole run, which has final figures and no epochs."""

    run: str
    """Name of the run folder."""
    part: str
    """`snn/seed-0`; empty for the whole run."""
    born: float
    """When its first epoch was over: with the rest of its name it tells trainings apart, wherever the folder lies."""
    settings: Mapping[str, Value]
    facts: Mapping[str, str]
    """What it is, for a search: kind, images, network, seed, version, folder."""
    points: tuple[EpochFigures, ...] = ()
    summary: Mapping[str, float] = field(default_factory=dict)
    """Final figures by tag; empty until they are there."""
    last: int = 0
    """The step of the summary: the epoch that was kept."""
    ended: float | None = None
    """When the run was tested, or the search was over, in seconds since 1970; None until it is."""

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that no other training has."""
        told = f"{self.run}/{self.part}@{self.born:.6f}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """In one line."""
        return f"{self.run}/{self.part}" if self.part else self.run


def folders_of(path: Path) -> list[Path]:
    """The run folders that a path stands for: itself, or those of a sweep's cells, of which some may not be there yet.

    Raises:
        RunError: it is neither.
    """
    if (path / "sweep.json").exists():
        return [placed.run for placed in SweepFolder.open(path).cells]
    return [RunFolder.open(path).path]


class RunReader:
    """Reads a run folder again and again, and what has changed in it alone."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder.open(path)
        self._facts = self.folder.facts()
        self._settings = _said(self._facts["experiment"])
        self._results: Results | None = None
        self._read: dict[Path, tuple[object, tuple[EpochEvent, ...]]] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.folder.results.exists() or (self.folder.path / "tune.json").exists()

    def curves(self) -> list[Curve]:
        """Every training that has an epoch; and last, when it has results, the whole run.

        Raises:
            RunError: a file is damaged.
        """
        if self._results is None and self.folder.results.exists():
            self._results = Results.load(self.folder.results)
        found = [curve for place in self._places() if (curve := self._curve(place)) is not None]
        if self._results is not None:  # of networks that were trained elsewhere it is all there is
            found.append(self._whole(self._results, min((curve.born for curve in found), default=self._ended or 0.0)))
        return found

    def _places(self) -> Iterator[Path]:
        """Folders of trainings."""
        for pattern in ("networks/*/seed-*", "trials/*/trial-*"):
            yield from sorted(path for path in self.folder.path.glob(pattern) if path.is_dir())

    def _curve(self, place: Path) -> Curve | None:
        events = self._events(place)
        if not events:
            return None
        network, name = place.parent.name, place.name
        own, summary, last = _trial(place) if name.startswith("trial-") else self._tested(network, name)
        return Curve(
            run=self._name,
            part=f"{network}/{name}",
            born=self._born(events[0].time, place),
            settings={**self._settings, **own},
            facts={**self._about, "network": network, name.partition("-")[0]: name.partition("-")[2]},
            points=tuple(EpochFigures(event.epoch, event.time, _figures(event)) for event in events),
            summary=summary,
            last=last or len(events),
            ended=self._ended,
        )

    def _whole(self, results: Results, born: float) -> Curve:
        figures: dict[str, float] = {}
        for network in results.networks:
            for metric, estimate in network.metrics.items():
                figures[f"{network.name}/{metric}"] = estimate.mean
                if estimate.low is not None and estimate.high is not None:
                    figures[f"{network.name}/{metric}/low"] = estimate.low
                    figures[f"{network.name}/{metric}/high"] = estimate.high
            figures |= {f"{network.name}/{tag}": value for tag, value in _costs(network).items()}
        facts = {**self._about, "verdict": results.verdict.headline}
        return Curve(self._name, "", born, self._settings, facts, summary=figures, ended=self._ended)

    @property
    def _name(self) -> str:
        return self.folder.path.resolve().name

    @property
    def _about(self) -> dict[str, str]:
        return {
            "run": self._name,
            "folder": str(self.folder.path.resolve()),
            "kind": str(self._facts["kind"]),
            "images": str(self._facts["experiment"].get("data", {}).get("source", "")),
            "identity": str(self._facts["identity"]),
            "version": str(self._facts.get("spikewise_version", "")),
        }

    @property
    def _ended(self) -> float | None:
        if self._results is None:
            searched = self.folder.path / "tune.json"
            return searched.stat().st_mtime if searched.exists() else None
        try:
            return datetime.fromisoformat(self._results.created).timestamp()
        except ValueError:
            return self.folder.results.stat().st_mtime

    def _born(self, first: float, place: Path) -> float:
        """Without an event file the times of files are all there is, which change when it is copied."""
        ended = self._ended
        return first if ended is None or (place / EVENTS).exists() else ended

    def _events(self, place: Path) -> tuple[EpochEvent, ...]:
        """The epochs of a training; those of older versions stand in other files."""
        signature = [_stamp(place / name) for name in (EVENTS, CHECKPOINT, FIT)]
        before = self._read.get(place)
        if before is not None and before[0] == signature:
            return before[1]
        found: tuple[EpochEvent, ...] = ()
        with contextlib.suppress(FileNotFoundError):  # a trial that was tidied up in this moment
            found = tuple(EventFile(place).read() or _older(place))
        self._read[place] = signature, found
        return found

    def _tested(self, network: str, name: str) -> tuple[dict[str, Value], dict[str, float], int]:
        """What the results tell of one training: its learning rate, its final figures, and the epoch that was kept."""
        seed = name.removeprefix("seed-")
        found = [one for one in self._results.networks if one.name == network] if self._results else []
        runs = [run for one in found for run in one.runs if str(run.seed) == seed]
        if not runs:
            return {}, {}, 0
        rate: dict[str, Value] = {"train.learning_rate": found[0].tuning.learning_rate} if found[0].tuning else {}
        return rate, _final(found[0], runs[0]), runs[0].best_epoch


def _older(place: Path) -> list[EpochEvent]:
    """From before there were event files: the times are made up from the seconds that each epoch took."""
    for name, read in ((FIT, FitResult.load), (CHECKPOINT, _of_checkpoint)):
        path = place / name
        if path.exists():
            return dated(read(path).history, path.stat().st_mtime)
    return []


def _of_checkpoint(path: Path) -> FitResult:
    return result_so_far(path.parent)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _figures(event: EpochEvent) -> dict[str, float]:
    named = {tag: getattr(event, name) for tag, name in _FIELDS.items()}
    named |= {f"spikes/{_slug(layer)}": rate for layer, rate in event.spike_rates.items()}
    return {tag: float(value) for tag, value in named.items() if value is not None}


def _final(network: NetworkResult, run: SeedResult) -> dict[str, float]:
    figures: dict[str, float | None] = {f"test/{metric}": value for metric, value in run.test.items()}
    figures |= {f"kept/{metric}": value for metric, value in run.validation.items()}
    if run.epochs_run:
        figures |= {"best_epoch": run.best_epoch, "train_seconds": run.train_seconds}
    return {tag: float(value) for tag, value in figures.items() if value is not None} | _costs(network)


def _costs(network: NetworkResult) -> dict[str, float]:
    found: dict[str, float | None] = {f"cost/{name}": getattr(network.cost, name) for name in _COSTS}
    found |= {f"cost/energy_nanojoule/{_slug(name)}": one for name, one in network.cost.energy_nanojoule.items()}
    found["parameters"] = network.parameters
    return {tag: float(value) for tag, value in found.items() if value is not None}


def _trial(place: Path) -> tuple[dict[str, Value], dict[str, float], int]:
    """What a search drew, and what came of it."""
    file = place / "trial.json"
    content = read_json(file) if file.exists() else {}
    told = content if isinstance(content, dict) else {}
    drawn, figures = (one if isinstance(one, dict) else {} for one in (told.get("settings"), told.get("validation")))
    return _said(drawn), {f"kept/{name}": float(one) for name, one in figures.items() if _is_number(one)}, 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _said(table: Mapping[str, Any]) -> dict[str, Value]:
    """The settings that say something: what is none is left out."""
    return {key: value for key, value in dotted(table).items() if value is not None}


def _slug(name: str) -> str:
    """A name with the letters that every tracker allows in one."""
    words = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else " " for letter in name)
    return "_".join(words.split())
