"""What a list of runs shows of one: a few columns, and every figure and setting for who filters by it.

A list of thousands reads each `results.json` once, and no more of it than it shows: what else is in it is checked when
a run is opened.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from spikewise.errors import RunError
from spikewise.experiments.run_folder import FORMAT
from spikewise.experiments.settings import dotted
from spikewise.reading import check_regular

__all__ = ["COLUMNS", "Cell", "RunSummary", "folder_stamp", "read_summary"]

Cell = str | int | float | bool | None
COLUMNS: Final = {
    "run": "path of its folder, relative to the collection's",
    "state": "finished, unfinished or damaged",
    "kind": "compare, train, judge or tune",
    "data": "image set",
    "preset": "preset or title; custom where there is none",
    "created": "when it was tested, or begun; UTC",
    "seeds": "how many",
    "epochs": "budget of each training",
    "accuracy": "of the spiking network (else of the first), test images, mean over seeds; 0 to 1",
    "accuracy_low": "lower end of its interval",
    "accuracy_high": "upper end of its interval",
    "twin_accuracy": "of its twin",
    "cnn_accuracy": "of the conventional baseline",
    "difference": "accuracy of the spiking network minus its twin's",
    "p": "of that difference, corrected",
    "significant": "whether it is",
    "energy_nj": "nanojoules an image of the spiking network, by the model of the report",
    "latency_ms": "of one image",
    "train_seconds": "of one seed",
    "seconds": "of the whole run",
    "parameters": "of the spiking network",
    "steps": "time steps of the spiking network",
    "quick": "whether it was a first look",
    "identity": "eight digits over all settings that decide the result",
    "version": "of Spikewise",
    "headline": "the answer",
    "problem": "why a damaged folder cannot be read",
}
"""Every column of a list, and what it holds."""
_FILES: Final = ("run.json", "results.json", "tune.json")
_COSTS: Final = ("latency_ms", "macs", "synaptic_operations", "memory_traffic_bytes", "throughput_images_per_second",
                 "peak_memory_mb")  # fmt: skip
_ZEROS: Final = ", zeros skipped"


@dataclass(frozen=True)
class RunSummary:
    """One run in a list."""

    path: Path
    columns: Mapping[str, Cell]
    """As `COLUMNS` describes them."""
    details: str = "[{}, {}]"
    """Figures and settings as JSON, which few of many runs are asked for."""

    @classmethod
    def of(
        cls, path: Path, columns: Mapping[str, Cell], figures: Mapping[str, Cell], settings: Mapping[str, Cell]
    ) -> "RunSummary":
        """From figures and settings as tables."""
        return cls(path, columns, json.dumps([figures, settings]))

    @functools.cached_property
    def figures(self) -> dict[str, Cell]:
        """NETWORK.FIGURE: every metric and cost of every network."""
        return dict(json.loads(self.details)[0])

    @functools.cached_property
    def settings(self) -> dict[str, Cell]:
        """By dotted key."""
        return dict(json.loads(self.details)[1])

    def __getitem__(self, name: str) -> Cell:
        """A column, a figure, or a setting; None where this run has none of that name."""
        if name in self.columns:
            return self.columns[name]
        return self.figures[name] if name in self.figures else self.settings.get(name)

    @property
    def has_results(self) -> bool:
        """Whether it was tested."""
        return self.columns["headline"] is not None

    @property
    def report(self) -> Path | None:
        """Its page, if it has one."""
        page = self.path / "report.html"
        return page if page.exists() else None


def folder_stamp(path: Path) -> str:
    """What changes when the folder's results do: sizes and times of its files."""
    found = []
    for name in _FILES:
        try:
            stat = (path / name).stat()
            found.append(f"{stat.st_mtime_ns}.{stat.st_size}")
        except OSError:
            found.append("-")
    return " ".join(found)


def read_summary(path: Path, name: str) -> RunSummary:
    """A folder with a `run.json`, in short; one that is damaged says why.

    Args:
        name: How the list calls it.
    """
    try:
        return _summary(path, name)
    except (RunError, KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        told = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        return RunSummary(path, {**_empty(name), "state": "damaged", "problem": " ".join(told.split())})


def _empty(name: str) -> dict[str, Cell]:
    return {**dict.fromkeys(COLUMNS), "run": name, "problem": ""}


def _summary(path: Path, name: str) -> RunSummary:
    facts = _object(path / "run.json")
    if facts.get("format") != FORMAT:
        raise RunError(f"run.json has format {facts.get('format')!r}; this version reads {FORMAT}")
    experiment, results = dict(facts["experiment"]), path / "results.json"
    begun = datetime.fromtimestamp((path / "run.json").stat().st_mtime, UTC).isoformat(timespec="seconds")
    columns = _empty(name) | {
        "state": "finished" if (path / "tune.json").exists() else "unfinished",
        "kind": str(facts["kind"]),
        "data": str(experiment["data"]["source"]),
        "preset": str(experiment.get("title") or "custom"),
        "created": begun,
        "seeds": len(experiment["seeds"]),
        "epochs": epochs if isinstance(epochs := experiment["train"]["epochs"], int) else None,
        "quick": bool(experiment.get("quick", False)),
        "identity": str(facts["identity"]),
        "version": str(facts.get("spikewise_version", "")),
    }
    settings = dotted(experiment)
    if not results.exists():
        return RunSummary.of(path, columns, {}, settings)
    found = _object(results)
    networks = list(found["networks"])
    figures = {key: value for network in networks for key, value in _figures(network).items()}
    return RunSummary.of(path, columns | _told(found, networks), figures, settings)


def _told(results: Mapping[str, Any], networks: list[Mapping[str, Any]]) -> dict[str, Cell]:
    """What the list shows of the results."""
    main = next((one for one in networks if one["role"] == "spiking"), networks[0])
    others = {role: next((one for one in networks if one["role"] == role), None) for role in ("twin", "baseline")}
    accuracy, twin = main["metrics"]["accuracy"], others["twin"]
    pair = _pair(results, str(main["name"]), None if twin is None else str(twin["name"]))
    runs = list(main["runs"])
    return {
        "state": "finished",
        "kind": str(results["kind"]),
        "data": str(results["data"]["name"]),
        "created": _utc(str(results["created"])),
        "seeds": len(results["protocol"]["seeds"]),
        "epochs": _number(results["protocol"]["epochs"]),
        "accuracy": _number(accuracy["mean"]),
        "accuracy_low": _number(accuracy.get("low")),
        "accuracy_high": _number(accuracy.get("high")),
        "twin_accuracy": None if twin is None else _number(twin["metrics"]["accuracy"]["mean"]),
        "cnn_accuracy": None if (cnn := others["baseline"]) is None else _number(cnn["metrics"]["accuracy"]["mean"]),
        **pair,
        "energy_nj": _energy(results, main),
        "latency_ms": _number(main["cost"].get("latency_ms")),
        "train_seconds": _train_seconds(runs),
        "seconds": _number(results["seconds"]),
        "parameters": _number(main["parameters"]),
        "steps": _number(main["steps"]),
        "version": str(results["spikewise_version"]),
        "headline": str(results["verdict"]["headline"]),
    }


def _train_seconds(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """Of one training, the mean over seeds; None of a network that was made elsewhere."""
    if not any(run["epochs_run"] for run in runs):
        return None
    return sum(float(run["train_seconds"]) for run in runs) / len(runs)


def _pair(results: Mapping[str, Any], main: str, twin: str | None) -> dict[str, Cell]:
    """Difference to the twin, as the run itself compared the two."""
    for pair in results.get("comparisons") or ():
        if {pair["a"], pair["b"]} == {main, twin}:
            sign = 1 if pair["a"] == main else -1
            p = pair["p"] if pair.get("p_adjusted") is None else pair["p_adjusted"]
            significant = pair.get("significant")
            return {
                "difference": sign * float(pair["difference"]["mean"]),
                "p": _number(p),
                "significant": None if significant is None else bool(significant),
            }
    return {}


def _energy(results: Mapping[str, Any], main: Mapping[str, Any]) -> Cell:
    """By the model of the report's first screen (`report/front.py` has the rule for whole results)."""
    models = dict(main["cost"].get("energy_nanojoule") or {})
    anytime = (results.get("sections") or {}).get("anytime")
    chosen = anytime.get("energy_model") if isinstance(anytime, dict) else None
    return _number(models[chosen] if chosen in models else next(iter(models.values()), None))


def _figures(network: Mapping[str, Any]) -> dict[str, Cell]:
    name, cost = str(network["name"]), network["cost"]
    out: dict[str, Cell] = {f"{name}.{metric}": _number(one["mean"]) for metric, one in network["metrics"].items()}
    out |= {f"{name}.{key}": _number(cost.get(key)) for key in _COSTS}
    models = dict(cost.get("energy_nanojoule") or {})
    out[f"{name}.energy_nj"] = _number(next((value for key, value in models.items() if not key.endswith(_ZEROS)), None))
    return {**out, f"{name}.parameters": _number(network["parameters"]), f"{name}.steps": _number(network["steps"])}


def _number(value: object) -> float | int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r:.40} stands where a number belongs")
    return value


def _utc(created: str) -> str:
    return datetime.fromisoformat(created).astimezone(UTC).isoformat(timespec="seconds")


def _object(path: Path) -> dict[str, Any]:
    check_regular(path)
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path.name} is no JSON: {error}") from None
    except OSError as error:
        raise RunError(f"{path.name} cannot be read: {error.strerror or error}") from None
    if not isinstance(found, dict):
        raise RunError(f"{path.name} holds no JSON object")
    return found
