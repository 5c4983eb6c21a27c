"""A run in a list, as text."""

from collections.abc import Sequence
from typing import Final

from spikewise.collection.summaries import Cell, RunSummary
from spikewise.evaluation import units
from spikewise.report.numbers import NONE, duration, percent, points

__all__ = ["ends", "listed", "shown"]

_INTERVAL: Final = "interval"
_COLUMNS: Final = (
    ("run", "run"), ("data", "data"), ("preset", "preset"), ("accuracy", "accuracy"), ("interval", _INTERVAL),
    ("− twin", "difference"), ("energy", "energy_nj"), ("latency", "latency_ms"), ("created", "created"), ("", "state"),
)  # fmt: skip
"""Heads of a list, and the columns below them."""
_FIRST_TO_GO: Final = ("latency_ms", "preset", "energy_nj", "created", _INTERVAL)
_GAP: Final = 2
"""Letters between two columns."""


def listed(runs: Sequence[RunSummary], width: int | None = None) -> list[list[str]]:
    """A head and a row for each run; of columns that are all empty there are none.

    Args:
        width: In letters; what does not fit is left out, least wanted columns first. None: as wide as it is.
    """
    columns = [
        (column, [head, *(ends(run) if column == _INTERVAL else shown(column, run) for run in runs)])
        for head, column in _COLUMNS
    ]
    columns = [(column, told) for column, told in columns if any(told[1:])]
    for gone in _FIRST_TO_GO:
        if width is None or sum(max(map(len, told)) + _GAP for _, told in columns) <= width:
            break
        columns = [(column, told) for column, told in columns if column != gone]
    return [list(row) for row in zip(*(told for _, told in columns), strict=True)]


def ends(run: RunSummary) -> str:
    """The interval of the accuracy; empty where there is none."""
    low, high = _number(run["accuracy_low"]), _number(run["accuracy_high"])
    return "" if low is None or high is None else f"{percent(low).removesuffix(' %')} to {percent(high)}"


def shown(column: str, run: RunSummary) -> str:  # noqa: PLR0911  # one line for each kind of column
    """A column as a person reads it; a dash where there is nothing."""
    value, number = run[column], _number(run[column])
    if value is None:
        return NONE
    if column == "state":
        return "" if value == "finished" else str(value)
    if column == "preset":
        return "" if value == "custom" else str(value)
    if column == "created":
        return str(value)[:16].replace("T", " ")
    if number is None:
        return str(value)
    if column == "difference":
        return points(number) + ("*" if run["significant"] else "")
    if "accuracy" in column:
        return percent(number)
    if "energy" in column:
        return units.energy(number)
    if "latency" in column:
        return units.latency(number)
    return duration(number, aligned=True) if column.endswith("seconds") else str(value)


def _number(value: Cell) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
