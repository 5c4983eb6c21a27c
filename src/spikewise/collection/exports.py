"""Runs taken along: tables for papers and programs, and the page that links their reports."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from spikewise.collection.page import render_runs
from spikewise.collection.summaries import RunSummary
from spikewise.errors import ConfigError, DependencyError, unknown_choice
from spikewise.evaluation import Results
from spikewise.files import replace_file, write_text
from spikewise.report import paper_table
from spikewise.report.paper import Number, paper_numbers, paper_rows

__all__ = ["EXPORTS", "export_runs"]

EXPORTS: Final = ("csv", "latex", "md", "parquet", "html")
_DEFAULTS: Final = {"parquet": "runs.parquet", "html": "index.html"}
"""Files of what is no text for a terminal, in the collection's folder."""


def export_runs(folder: Path, runs: Sequence[RunSummary], to: str, out: Path | None) -> str | Path:
    """Write a table of runs, or give its text; see `Runs.export`."""
    if to not in EXPORTS:
        raise unknown_choice("format", to, EXPORTS)
    finished = [run for run in runs if run.has_results]
    if not finished and to != "html":
        raise ConfigError(f"There is no finished run among the {len(runs)} chosen in {folder}: nothing to export.")
    if out is None and to in _DEFAULTS:
        out = folder / _DEFAULTS[to]
    if to == "parquet":
        assert out is not None
        return _write_parquet(out, _rows(finished))
    text = _text(folder, runs, finished, to, out)
    if out is None:
        return text
    write_text(out, text)
    return out


def _text(folder: Path, runs: Sequence[RunSummary], finished: Sequence[RunSummary], to: str, out: Path | None) -> str:
    if to == "html":
        return render_runs(folder, runs, folder if out is None else out.parent)
    if to == "csv":
        return _csv(_rows(finished))
    return paper_table([_results(run) for run in finished], to, [run.path.name for run in finished])


def _results(run: RunSummary) -> Results:
    return Results.load(run.path / "results.json")


def _rows(runs: Iterable[RunSummary]) -> list[dict[str, Number]]:
    """A row for each network: which run it is of, and what `spikewise table` says of it."""
    return [
        {"run": run["run"], "preset": run["preset"], "identity": run["identity"], **paper_numbers(row)}
        for run in runs
        for row in paper_rows([_results(run)])
    ]


def _csv(rows: Sequence[dict[str, Number]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(str(value).lower() if isinstance(value, bool) else value for value in row.values())
    return file.getvalue()


def _write_parquet(out: Path, rows: Sequence[dict[str, Number]]) -> Path:
    try:
        import pyarrow  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise DependencyError(
            f"Parquet needs the package pyarrow ({error}): pip install 'spikewise[parquet]'"
        ) from None
    kinds: dict[type, Any] = {
        bool: pyarrow.bool_(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        str: pyarrow.string(),
    }
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    fields = [(name, kinds[_kind(name, values)]) for name, values in columns.items()]
    table = pyarrow.table(columns, schema=pyarrow.schema(fields))
    with replace_file(out) as temporary:
        parquet.write_table(table, temporary)
    return out


def _kind(name: str, values: Iterable[Number]) -> type:
    """Of a column, whatever is missing in it."""
    found = {type(value) for value in values if value is not None}
    if found == {int, float} or not found:
        return bool if name == "significant" else float
    return found.pop()
