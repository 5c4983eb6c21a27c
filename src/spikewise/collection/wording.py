"""A run in a list, as text."""

from typing import Final

from spikewise.collection.summaries import Cell, RunSummary
from spikewise.evaluation import units
from spikewise.report.numbers import NONE, duration, percent, points

__all__ = ["COLUMNS_SHOWN", "cells", "ends", "shown"]

COLUMNS_SHOWN: Final = (
    ("run", "run"), ("data", "data"), ("preset", "preset"), ("accuracy", "accuracy"), ("interval", ""),
    ("− twin", "difference"), ("energy", "energy_nj"), ("latency", "latency_ms"), ("created", "created"), ("", "state"),
)  # fmt: skip
"""Heads of a list, and the columns below them."""


def cells(run: RunSummary) -> list[str]:
    """Under `COLUMNS_SHOWN`."""
    return [ends(run) if not column else shown(column, run) for _, column in COLUMNS_SHOWN]


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
    return duration(number) if column.endswith("seconds") else str(value)


def _number(value: Cell) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
