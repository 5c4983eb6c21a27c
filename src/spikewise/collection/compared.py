"""`runs compare`: networks of several runs side by side, with what differs in their settings and paired tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spikewise.api import summary, versus
from spikewise.collection.summaries import Cell, RunSummary, read_summary
from spikewise.errors import ConfigError, RunError
from spikewise.evaluation import NetworkResult, PairComparison, Results
from spikewise.report.numbers import NONE, p_value, points

__all__ = ["ComparedRuns", "compare"]

_FIGURES = ("test accuracy", "interval", "balanced accuracy", "F1", "parameters", "energy", "training", "latency")
"""Beginnings, or parts, of the figures of a run's own table that several runs are compared by."""
_TABLE = list[list[str]]


class ComparedRuns(NamedTuple):
    """Networks of several runs."""

    names: tuple[str, ...]
    networks: tuple[tuple[Results, NetworkResult], ...]
    settings: dict[str, tuple[str, ...]]
    """By key, those that are not the same for all."""
    pairs: tuple[PairComparison, ...]
    """On the test images that all share; none where they were tested on different ones."""
    why: str
    """Why there are none; else empty."""

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        return [self.why] if self.why else [pair.sentence for pair in self.pairs]

    def figures(self) -> tuple[list[str], _TABLE]:
        """A head and a row for each figure."""
        columns = [_column(*one) for one in self.networks]
        keys = dict.fromkeys(key for column in columns for key in column)
        return ["", *self.names], [[key, *(column.get(key, NONE) for column in columns)] for key in keys]

    def tests(self) -> tuple[list[str], _TABLE]:
        """A head and a row for each pair."""
        rows = []
        for pair in self.pairs:
            low, high = pair.difference.low, pair.difference.high
            ends = "" if low is None or high is None else f"{points(low)} to {points(high)}"
            words = {True: "significant", False: "not significant", None: "cannot tell"}[pair.significant]
            rows.append([f"{pair.a} − {pair.b}", points(pair.difference.mean), ends, p_value(pair.deciding_p), words])
        level = self.pairs[0].difference.level if self.pairs else 0.95
        return ["accuracy", "points", f"{100 * level:g} % interval", "p", ""], rows

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        figures = [
            {"name": name, "metrics": {key: one.model_dump(mode="json") for key, one in network.metrics.items()},
             "cost": network.cost.model_dump(mode="json")}
            for name, (_, network) in zip(self.names, self.networks, strict=True)
        ]  # fmt: skip
        pairs = [pair.model_dump(mode="json") for pair in self.pairs]
        return {"networks": figures, "settings": self.settings, "pairs": pairs, "why": self.why or None}


def compare(networks: Sequence[str | Path], *, data_dir: Path | None = None) -> ComparedRuns:
    """Put networks of finished runs side by side.

    Args:
        networks: two or more run folders, each as RUN or RUN:NETWORK; without a network it is the spiking one.
        data_dir: where known sets are looked for first; subjects are read from there.
    Raises:
        ConfigError: fewer than two, the same one twice, or no network of that name.
        RunError: a folder holds no finished run.
    """
    if len(networks) < 2:
        raise ConfigError(f"A comparison needs two networks; got {len(networks)}. Name runs as RUN or RUN:NETWORK.")
    found = [_named(str(one)) for one in networks]
    told = [f"{path}:{network.name}" for path, _, network in found]
    pairs: tuple[PairComparison, ...] = ()
    why = ""
    try:
        pairs = versus(told, data_dir=data_dir).pairs
    except RunError as error:  # different images can be put side by side all the same
        why = f"No difference is computed. {error}"
    names = _names([(path, network.name) for path, _, network in found])
    return ComparedRuns(
        names,
        tuple((results, network) for _, results, network in found),
        _settings([one[0] for one in found]),
        pairs,
        why,
    )


def _named(told: str) -> tuple[Path, Results, NetworkResult]:
    path, colon, name = told.rpartition(":")
    if not colon or Path(told).exists():
        path, name = told, ""
    results = Results.load(Path(path) / "results.json")
    if name:
        return Path(path), results, results.network(name)
    spiking = next((one for one in results.networks if one.role == "spiking"), results.networks[0])
    return Path(path), results, spiking


def _names(found: Sequence[tuple[Path, str]]) -> tuple[str, ...]:
    """The run's name, with the network's where one run has several of them."""
    folders = [path.resolve().name for path, _ in found]
    return tuple(
        folder if folders.count(folder) == 1 else f"{folder}:{name}"
        for folder, (_, name) in zip(folders, found, strict=True)
    )


def _settings(paths: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    runs: list[RunSummary] = [read_summary(path, path.name) for path in paths]
    keys = dict.fromkeys(key for run in runs for key in run.settings if key != "whole")  # which decides nothing
    rows = {key: tuple(_said(run.settings.get(key)) for run in runs) for key in keys}
    return {key: row for key, row in rows.items() if len(set(row)) > 1}


def _said(value: Cell) -> str:
    return NONE if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _column(results: Results, network: NetworkResult) -> dict[str, str]:
    """The figures of one network, from the run's own table."""
    header, *rows = summary(results)
    at = header.index(network.name)
    return {row[0].strip(): row[at] for row in rows if row[at] and any(word in row[0] for word in _FIGURES)}
