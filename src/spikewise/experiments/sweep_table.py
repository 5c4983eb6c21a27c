"""The table of a sweep: a row for each cell, seed and network, made from the run folders alone."""

import csv
import io
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from spikewise.errors import RunError
from spikewise.evaluation import NetworkResult, Results, SeedResult
from spikewise.experiments.sweep_folder import Placed, SweepFolder
from spikewise.files import replace_file, write_text

__all__ = ["Row", "Value", "positive_of", "rows_of", "write_tables"]

Value = str | int | float | None
Row = dict[str, Value]

_FACTS = (
    "positive",
    "role",
    "parameters",
    "time_steps",
    "synaptic_operations",
    "spike_rate",
    "epochs",
    "train_seconds",
)


def rows_of(folder: SweepFolder) -> list[Row]:
    """All rows; cells that have no results have rows without figures, and say why."""
    rows = [row for placed in folder.cells for row in _rows_of_cell(folder, placed)]
    factors = [*folder.cells[0].cell.levels] if folder.cells else []
    found = dict.fromkeys(key for row in rows for key in row)
    figures = sorted(key for key in found if key.startswith(("validation_", "test_")))
    # Figures by metric: validation stands beside test.
    figures.sort(key=lambda key: key.partition("_")[2])
    columns = ["run", *factors, "network", "seed", "status", *_FACTS, *figures, "error"]
    return [{column: row.get(column) for column in columns} for row in rows]


def positive_of(rows: Iterable[Row]) -> str | None:
    """The positive class of all rows; None where they have none, or several."""
    named = {row.get("positive") for row in rows if row["status"] == "done"}
    found = named.pop() if len(named) == 1 else None
    return None if found is None else str(found)


def write_tables(folder: SweepFolder, rows: Sequence[Row]) -> None:
    """Write `table.csv` and `table.sqlite`, each whole or not at all.

    SQLite, not Parquet, because Python itself and every language's standard tools read it; Parquet needs a library.
    """
    columns = list(rows[0]) if rows else []
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder.path / "table.csv", text.getvalue())
    with replace_file(folder.path / "table.sqlite") as temporary:
        _write_sqlite(temporary, columns, rows)


def _rows_of_cell(folder: SweepFolder, placed: Placed) -> list[Row]:
    start: Row = {"run": placed.run.name, **placed.cell.levels}
    error = folder.failure(placed)
    try:
        results = Results.load(placed.run / "results.json") if placed.finished else None
    except RunError as damage:
        results, error = None, str(damage)
    if results is not None:
        return [
            start | _figures(network, run, results.data.positive)
            for network in results.networks
            for run in network.runs
        ]
    status = "failed" if error else "unfinished" if placed.run.exists() else "waiting"
    expected = placed.cell.experiment
    return [
        {**start, "network": side, "seed": seed, "status": status, "error": error}
        for side in expected.sides
        for seed in expected.seeds
    ]


def _figures(network: NetworkResult, run: SeedResult, positive: str | None) -> Row:
    rates = run.spike_rates.values()
    facts: Row = {
        "network": network.name,
        "seed": run.seed,
        "status": "done",
        "positive": positive,
        "role": network.role,
        "parameters": network.parameters,
        "time_steps": network.steps,
        "synaptic_operations": network.cost.synaptic_operations,
        "spike_rate": sum(rates) / len(rates) if rates else None,
        "epochs": run.epochs_run,
        "train_seconds": run.train_seconds,
    }
    validation: Row = {f"validation_{name}": value for name, value in run.validation.items()}
    return facts | validation | {f"test_{name}": value for name, value in run.test.items()}


def _write_sqlite(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(f"CREATE TABLE runs ({names})")
            places = ", ".join("?" for _ in columns)
            database.executemany(f"INSERT INTO runs VALUES ({places})", (tuple(row.values()) for row in rows))
    finally:
        database.close()
