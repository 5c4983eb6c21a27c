"""`table` and `figures`: what a paper needs of finished runs."""

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Final

from spikewise.api.runs import Run
from spikewise.errors import ConfigError, unknown_choice
from spikewise.evaluation import Results
from spikewise.experiments import RunFolder
from spikewise.report import draw_figures, paper_table
from spikewise.report.figures import FIGURE_FORMATS

__all__ = ["figures", "millimetres", "table"]

_UNITS: Final = {"mm": 1.0, "cm": 10.0, "in": 25.4, "pt": 25.4 / 72.27}
_LENGTH: Final = re.compile(r"\s*(\d{1,6}(?:\.\d{0,6})?)\s*(mm|cm|in|pt)\s*")
_NARROWEST, _WIDEST = 20.0, 1000.0
"""Millimetres."""


def table(*runs: str | PathLike[str], format: str = "md") -> str:
    """The networks of one or several runs as a table for a paper, one row a network.

    Each row has the mean test accuracy with its interval, the difference to the spiking network of the same run with a
    star where it is significant, and computed energy, latency and training time.

    Args:
        runs: Runs, or their folders.
        format: "latex" (booktabs), "csv" (plain numbers in fixed units, named in the header) or "md".
    Raises:
        ConfigError: no run, or no such format.
        RunError: a folder holds no finished run.
    """
    if not runs:
        raise ConfigError("A table needs at least one run, such as spikewise.table('runs/compare-digits-...').")
    found = [run.results if isinstance(run, Run) else _results(Path(run)) for run in runs]
    names = [Path(run).resolve().name for run in runs]
    return paper_table(found, format, names)


def figures(
    run: str | PathLike[str],
    *,
    formats: Sequence[str] = FIGURE_FORMATS,
    width: str | None = None,
    out: str | Path | None = None,
) -> list[Path]:
    """Draw every figure of a run's report as files, and return their paths.

    Args:
        formats: of "svg", "pdf" and "png"; each has its legend, letters are letters.
        width: of every figure, such as "85mm", "8.5cm", "3.3in" or "240pt", letters in proportion; None is as drawn.
        out: Another folder than `figures` of the run; without it the report links to the new files, too.
    Raises:
        ConfigError: no such format, or no such width.
        RunError: no finished run, or a damaged one.
    """
    formats = (formats,) if isinstance(formats, str) else formats
    for name in formats:
        if name not in FIGURE_FORMATS:
            raise unknown_choice("format", name, list(FIGURE_FORMATS))
    folder = RunFolder.open(Path(run))
    size = None if width is None else millimetres(width)
    return draw_figures(folder.path, formats, width_mm=size, out=None if out is None else Path(out))


def millimetres(width: str) -> float:
    """A width in millimetres.

    Raises:
        ConfigError: it is no length with its unit, or no width that a figure can have.
    """
    found = _LENGTH.fullmatch(width)
    if found is None:
        raise ConfigError(f"A width is a number with its unit, such as 85mm, 8.5cm, 3.3in or 240pt; got '{width}'.")
    size = float(found[1]) * _UNITS[found[2]]
    if not _NARROWEST <= size <= _WIDEST:
        raise ConfigError(f"A figure is from {_NARROWEST:g} to {_WIDEST:g} mm wide; '{width}' is {size:g} mm.")
    return size


def _results(folder: Path) -> Results:
    return Results.load(RunFolder.open(folder).results)
