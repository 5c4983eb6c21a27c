"""Tables with a column for each class, of which every row has a 1 in one: one-hot labels."""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from spikewise.data.columns import BAR, Columns, Unclear
from spikewise.data.label_file import LabelFile
from spikewise.data.names import listed, role_of, shown
from spikewise.errors import DataError, quoted

__all__ = ["class_rows", "one_hot_columns"]

_ZERO, _ONE = (re.compile(rf"{number}(\.0*)?|{word}", re.IGNORECASE) for number, word in ((0, "false"), (1, "true")))
_FEWEST: Final = 2
_FEW: Final = 8
"""Columns that a message names."""
_INDEX: Final = re.compile(r"|index|unnamed: 0", re.IGNORECASE)
"""What programs call the column in which they number rows."""


def one_hot_columns(file: LabelFile, found: Unclear) -> Columns | Unclear:
    """The columns of classes of a table none of whose columns is called as the class is.

    Taken by itself where every other column but a row's number is one of 0 and 1, and each row has a single 1. Where
    some are, or their names are those of parts, it may be meant, and the setting is known.

    Args:
        found: what the names of columns say.
    """
    if found.lacking != ("class",) or found.choices or "class" in found.known:
        return found
    at = {role: file.header.index(name) for role, name in found.known.items()}
    free = [place for place, name in enumerate(file.header) if place not in at.values() and not _INDEX.fullmatch(name)]
    try:
        seen = _look(file, free)
    except DataError:  # a broken row: the names of columns are enough to say that it is not clear
        return found
    names = [file.header[place] for place in seen.columns]
    if len(names) < _FEWEST:
        return found
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice or seen.against is not None:
        said = f"{listed(names, _FEW)} hold 0 and 1, and {seen.against}: each image has one class here"
        said = f"several columns of 0 and 1 are called {listed(twice, _FEW)}" if twice else said
        return found._replace(why=f"{found.why}; {said}", attributes=said)
    parts = all(role_of(name) is not None for name in names)
    if len(names) < len(free) or parts or any(BAR in name for name in names):
        said = f"{listed(names, _FEW)} hold 0 and 1, one 1 in each row, and may be the classes"
        return found._replace(why=f"{found.why}; {said}", known={**found.known, "class": BAR.join(names)})
    return Columns(at["file"], seen.columns, at.get("subject"), at.get("part"))


class _Look(NamedTuple):
    """What the values of some columns are."""

    columns: tuple[int, ...]
    """Those of 0 and 1 alone."""
    against: str | None
    """The first row that has not a single 1 in these."""


def _look(file: LabelFile, places: Sequence[int]) -> _Look:
    kept = list(range(len(places)))
    for _, row in file.rows(places):
        if any(_digit(row[at]) is None for at in kept):
            kept = [at for at in kept if _digit(row[at]) is not None]
            if len(kept) < _FEWEST:
                return _Look((), None)
    columns = tuple(places[at] for at in kept)
    for line, row in file.rows(columns):
        if sum(one is True for one in map(_digit, row)) != 1:
            ones = [file.header[at] for at, value in zip(columns, row, strict=True) if _digit(value)]
            return _Look(columns, _against(line, ones))
    return _Look(columns, None)


def _against(line: int, ones: Sequence[str]) -> str:
    return f"line {line} has a 1 in {f'{len(ones)} of them ({listed(ones, _FEW)})' if ones else 'none'}"


@functools.lru_cache(1000)
def _digit(text: str) -> bool | None:
    """Whether a value is a 1; None where it is neither 0 nor 1."""
    return False if _ZERO.fullmatch(text) else (True if _ONE.fullmatch(text) else None)


def class_rows(file: LabelFile, columns: Columns) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """The line of each row, the name of its file, and its class, subject and part, the last two where they are read.

    Raises:
        DataError: a broken row, or one that has not a 1 in a single column of the classes.
    """
    rest = [place for place in columns[2:] if place is not None]
    wanted = [columns.file, *columns.classes, *rest]
    if len(columns.classes) == 1:
        for line, (name, *said) in file.rows(wanted):
            yield line, name, tuple(said)
        return
    last = 1 + len(columns.classes)
    names = [file.header[place] for place in columns.classes]
    known: dict[tuple[str, ...], str] = {}
    for line, row in file.rows(wanted):
        values = tuple(row[1:last])
        if values not in known:
            known[values] = _class_of(values, names, f"{file.path}, line {line}")
        yield line, row[0], (known[values], *row[last:])


def _class_of(values: Sequence[str], names: Sequence[str], where: str) -> str:
    for name, value in zip(names, values, strict=True):
        if _digit(value) is None:
            raise DataError(
                f"{where}: the column '{shown(name)}' holds {quoted(value, 60)}, where that of a class holds 0 or 1. "
                "Correct the line, or name other columns."
            )
    ones = [name for name, value in zip(names, values, strict=True) if _digit(value)]
    if len(ones) != 1:
        which = f"{len(ones)} classes ({listed(ones, _FEW)})" if ones else "no class"
        raise DataError(
            f"{where}: of the columns {listed(names, _FEW)} each row has a 1 in one, and this row gives {which}. "
            "Spikewise classifies each image into one class: keep one, or take the line out."
        )
    return ones[0]
