"""The page of a collection: every run in one table, with the way to its report."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spikewise.collection.summaries import RunSummary
from spikewise.collection.wording import ends, shown
from spikewise.report.rendering import page

__all__ = ["render_runs"]


class _Line(NamedTuple):
    """A run in the table."""

    run: RunSummary
    link: str | None
    """Relative address of its report."""
    ends: str
    """Of the interval of its accuracy."""


def render_runs(folder: Path, runs: Sequence[RunSummary], place: Path) -> str:
    """One HTML page that loads nothing.

    Args:
        folder: Of the collection.
        place: The folder of the page, to which addresses are relative.
    """
    states = [str(run["state"]) for run in runs]
    return page(
        "runs_page.html.j2",
        name=folder.resolve().name,
        lines=[_Line(run, _address(run.report, place), ends(run)) for run in runs if run["state"] != "damaged"],
        shown=shown,
        damaged=[(str(run["run"]), str(run["problem"])) for run in runs if run["state"] == "damaged"],
        states={state: states.count(state) for state in dict.fromkeys(states)},
        sets=len({str(run["data"]) for run in runs if run["data"] is not None}),
    )


def _address(report: Path | None, place: Path) -> str | None:
    """From the page to a report; None where there is none, or no way."""
    if report is None:
        return None
    try:
        return Path(os.path.relpath(report.resolve(), place.resolve())).as_posix()
    except ValueError:  # on another drive
        return None
