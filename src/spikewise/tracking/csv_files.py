"""CSV: a line for each figure, and the settings and final figures of a run beside it."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from spikewise.files import make_folder, storage_errors, write_text
from spikewise.tracking.curves import Curve

__all__ = ["CsvFiles"]

_CURVES, _SETTINGS, _SUMMARY = "curves.csv", "settings.csv", "summary.csv"
_HEADER: Final = ("training", "born", "step", "tag", "value", "time")
_KEY: Final = 4
"""Columns that tell a figure from all others."""
Row = tuple[str, ...]


class CsvFiles:
    """A folder for each run with `curves.csv`, `settings.csv` and `summary.csv`."""

    def __init__(self, folder: Path, out: str | None) -> None:
        self._root = Path(out) if out is not None else folder / "csv"
        self._known: dict[Path, set[Row]] = {}

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._root)

    def log(self, curve: Curve) -> int:
        """As a tracker does."""
        folder = make_folder(self._root / curve.run)
        told = [
            (curve.part, f"{curve.born:.6f}", str(point.step), tag, repr(value), f"{point.time:.6f}")
            for point in curve.points
            for tag, value in point.figures.items()
        ]
        count = self._add(folder / _CURVES, told) if told else 0
        named = [(curve.part, key, str(value)) for key, value in curve.settings.items()]
        final = [(curve.part, key, repr(value)) for key, value in curve.summary.items()]
        _renew(folder / _SETTINGS, ("training", "setting", "value"), named)
        return count + _renew(folder / _SUMMARY, ("training", "tag", "value"), final)

    def close(self) -> None:
        """Every file is whole at any time."""

    def _add(self, path: Path, rows: Sequence[Row]) -> int:
        """Append the rows whose training, step and tag are not there yet."""
        with storage_errors(path):
            known = self._known.pop(path, None)  # what a full disk cuts short is read back before more is written
            if known is None:
                known = _opened(path)
            fresh = [row for row in rows if row[:_KEY] not in known]
            with path.open("ab") as file:
                file.write(_text(fresh).encode())
        self._known[path] = known | {row[:_KEY] for row in fresh}
        return len(fresh)


def _opened(path: Path) -> set[Row]:
    """What is in a file, of which a killed writer may have left half a line; it begins with its header."""
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        path.write_bytes(_text([_HEADER]).encode())
    elif len(whole) < len(content):
        os.truncate(path, len(whole))
    return {tuple(row[:_KEY]) for row in _rows(whole.decode(errors="replace"))}


def _renew(path: Path, header: Row, rows: Sequence[Row]) -> int:
    """Write a small file anew where a training has other rows than are in it."""
    if not rows:
        return 0
    before = [tuple(row) for row in _rows(path.read_text(encoding="utf-8", errors="replace"))] if path.exists() else []
    others = [row for row in before[1:] if row[:1] != rows[0][:1]]
    fresh = set(rows) - set(before)
    if fresh:
        write_text(path, _text([header, *others, *rows]))
    return len(fresh)


def _rows(text: str) -> Iterable[list[str]]:
    return csv.reader(io.StringIO(text))


def _text(rows: Iterable[Row]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
