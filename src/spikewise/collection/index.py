"""The index: what was read of each run folder, in a SQLite file of the user's cache; the folders stay the truth.

A row is good as long as the files of its folder have the sizes and times that it was read with. What is missing, stale
or damaged in the index is read from the folders again, so it may be deleted at any time.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from spikewise.collection.summaries import COLUMNS, RunSummary, folder_stamp, read_summary
from spikewise.data import Progress
from spikewise.data.locate import cache_folder
from spikewise.errors import RunError, StorageError
from spikewise.files import make_folder

__all__ = ["find_folders", "summaries_of"]

_LAYOUT: Final = "1 " + " ".join(COLUMNS)
"""Rows of another layout are read anew."""
_DEPTH: Final = 2
"""Levels below a folder in which runs are looked for: FOLDER/RUN and FOLDER/PROJECT/RUN."""
_PORTION: Final = 200
"""Runs that are written to the index at once."""
_PATIENCE: Final = 10.0
"""Seconds to wait for another process that writes the index."""


def find_folders(root: Path) -> list[Path]:
    """Run folders in a folder and in the folders in it; itself, if it is one. Links are not followed.

    Raises:
        RunError: it is not there, or cannot be read.
    """
    if not root.is_dir():
        raise RunError(f"{root} is not a folder. Runs lie where `--out` said; without it in 'runs'.")
    if (root / "run.json").exists():
        return [root]
    return sorted(_below(root, _DEPTH, first=True))


def _below(folder: Path, depth: int, *, first: bool = False) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            folders = [entry.path for entry in found if not entry.name.startswith(".") and _is_folder(entry)]
    except OSError as error:
        if first:
            raise RunError(f"{folder} cannot be read: {error.strerror or error}.") from error
        return
    for path in map(Path, folders):
        if os.path.lexists(path / "run.json"):
            yield path
        elif depth > 1:
            yield from _below(path, depth - 1)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def summaries_of(root: Path, tell: Progress | None = None) -> list[RunSummary]:
    """Every run below a folder, in the order of their names, from the index where it is good.

    Args:
        tell: Told how many of many folders were read.
    """
    folders = find_folders(root)
    stamps = {_name(root, path): (path, folder_stamp(path)) for path in folders}
    with _opened(root) as database:
        known = _stored(database)
        found, fresh = dict[str, RunSummary](), dict[str, tuple[str, RunSummary]]()
        for name, (path, stamp) in stamps.items():
            kept = known.get(name)
            one = _restored(path, kept) if kept is not None and kept[0] == stamp else None
            if one is None:
                one = read_summary(path, name)
                fresh[name] = stamp, one
            found[name] = one
            if len(fresh) == _PORTION:  # what is read is kept, though a first look be interrupted
                _store(database, fresh, ())
                fresh.clear()
                if tell is not None:
                    tell("reading runs", len(found), len(stamps))
        _store(database, fresh, known.keys() - stamps.keys())
    return [found[name] for name in sorted(found)]


def _name(root: Path, path: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()


def _restored(path: Path, row: tuple[str, str, str]) -> RunSummary | None:
    """A run as the index has it; None where its row is damaged."""
    try:
        columns = json.loads(row[1])
    except ValueError:
        return None
    return RunSummary(path, columns, row[2]) if isinstance(columns, dict) and columns.keys() == COLUMNS.keys() else None


@contextlib.contextmanager
def _opened(root: Path) -> Iterator[sqlite3.Connection | None]:
    """The index of a folder; None where there is none to be had: the folders tell all, only later."""
    database = None
    with contextlib.suppress(StorageError, OSError):
        place = make_folder(cache_folder(None) / "runs")
        file = place / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.sqlite"
        database = _connected(file) or _connected(file)
    try:
        yield database
    finally:
        if database is not None:
            database.close()


def _connected(file: Path) -> sqlite3.Connection | None:
    """A connection to a file that is an index of this layout, or becomes one; None: what was in its way is removed."""
    database = None
    try:
        database = sqlite3.connect(file, timeout=_PATIENCE)
        with database:
            database.execute("CREATE TABLE IF NOT EXISTS layout (text TEXT PRIMARY KEY)")
            database.execute(
                "CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, stamp TEXT, columns TEXT, details TEXT)"
            )
            if database.execute("SELECT text FROM layout").fetchall() != [(_LAYOUT,)]:
                database.execute("DELETE FROM layout")
                database.execute("DELETE FROM runs")
                database.execute("INSERT INTO layout VALUES (?)", (_LAYOUT,))
            database.execute("SELECT name, stamp, columns, details FROM runs LIMIT 1").fetchall()
    except sqlite3.DatabaseError as error:
        if database is not None:
            database.close()
        if not isinstance(error, sqlite3.OperationalError):  # it is no database; one that is busy or read only stays
            file.unlink(missing_ok=True)
        return None
    return database


def _stored(database: sqlite3.Connection | None) -> dict[str, tuple[str, str, str]]:
    if database is None:
        return {}
    try:
        rows = database.execute("SELECT name, stamp, columns, details FROM runs").fetchall()
    except sqlite3.DatabaseError:
        return {}
    return {name: (stamp, columns, details) for name, stamp, columns, details in rows}


def _store(database: sqlite3.Connection | None, fresh: dict[str, tuple[str, RunSummary]], gone: Iterable[str]) -> None:
    """Keep what was read; another process that reads the same writes the same."""
    removed = [(name,) for name in gone]
    if database is None or not (fresh or removed):
        return
    rows = [(name, stamp, json.dumps(dict(one.columns)), one.details) for name, (stamp, one) in fresh.items()]
    with contextlib.suppress(sqlite3.DatabaseError), database:  # a full disk, or one that is read only
        database.executemany("DELETE FROM runs WHERE name = ?", removed)
        database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", rows)
