"""Rows of tables of labels: each with a name, a class and what else is read; labels that are none are refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.columns import Columns
from spikewise.data.label_file import LabelFile
from spikewise.data.level_tree import Place
from spikewise.data.names import listed, role_of, shown
from spikewise.data.one_hot import class_rows
from spikewise.errors import DataError, quoted
from spikewise.shell import word

__all__ = ["LabelTable", "ReadColumns", "read_labels", "read_tables"]

_NO_VALUES = frozenset({"", "nan", "null", "n/a", "#n/a", "<na>"})
"""What programs write where there is no value."""
_FEW = 5
"""Lines or names that a message gives."""
_MANY_CLASSES = 20
"""Up to so many are never too many for a few rows."""
_JOINED = ("|", ";", ",")
"""Signs between the labels of an image that has several."""


class LabelTable(NamedTuple):
    """The rows of a table, with the columns that are read."""

    file: LabelFile
    names: tuple[str, ...]
    """Of the images."""
    places: tuple[Place, ...]
    lines: Int64[np.ndarray, " R"]
    """Where each row ends in the file, counted from 1."""
    columns: Columns
    stated: bool
    """Whether the columns were named by whoever ran this."""
    part: str = ""
    """Of all its images, as its name says it; empty where that says none, or a column does."""


def read_labels(
    file: LabelFile, columns: Columns, *, stated: bool, complete: bool = True, part: str = ""
) -> LabelTable:
    """Read the rows of a table, each with a class.

    Args:
        part: What the table's own name says of all its images; a column says it of each.
    Raises:
        DataError: a row without a value, no rows, parts that are none, or labels that are no classes.
    """
    kept: dict[tuple[str, ...], Place] = {}
    names, places, lines, lacking = [], [], [], []
    for line, name, said in class_rows(file, columns):
        place = kept.get(said)
        if place is None:
            place = kept[said] = _place(columns, said, part)
        broken = [value for value in (name, *said) if "\n" in value or "\r" in value]
        if broken:
            raise DataError(
                f"{file.path}: the row that ends in line {line} has a value over several lines, such as a quotation "
                f"mark that is never closed makes: {quoted(broken[0], 60)}. Mend the mark, or write it in one line."
            )
        if name == "" or any(value.casefold() in _NO_VALUES for value in said):
            lacking.append((line, name, *said))
        names.append(name)
        places.append(place)
        lines.append(line)
    if not names:
        raise DataError(f"{file.path} names columns and no images. Add a line for each image.")
    if lacking:
        raise DataError(_lack(file, columns, lacking))
    _check_parts(file, columns, {place.part for place in kept.values()})
    counts = Counter(place.class_name for place in places)
    renamed = _whole_numbers(counts)
    if renamed:
        places = [place._replace(class_name=renamed[place.class_name]) for place in places]
        counts = Counter(place.class_name for place in places)
    if complete:
        _check_classes(file, columns, counts)
    return LabelTable(file, tuple(names), tuple(places), np.array(lines, np.int64), columns, stated,
                      part if columns.part is None else "")  # fmt: skip


class ReadColumns(NamedTuple):
    """A table, which of its columns are read, and what its own name says."""

    file: LabelFile
    columns: Columns
    part: str
    """Of all its images; empty where the name says none."""


def read_tables(chosen: Sequence[ReadColumns], *, stated: bool, complete: bool) -> list[LabelTable]:
    """The rows of tables that belong together.

    Args:
        stated: Whether the columns were named by whoever ran this.
        complete: Whether there must be two classes at least.
    Raises:
        DataError: as `read_labels`, of all tables together where they are many.
    """
    alone = len(chosen) == 1
    tables = [
        read_labels(file, columns, stated=stated, complete=complete and alone, part=part)
        for file, columns, part in chosen
    ]
    if complete and not alone:
        counts = Counter(place.class_name for table in tables for place in table.places)
        _check_classes(chosen[0].file, chosen[0].columns, counts)
    return tables


def _place(columns: Columns, said: Sequence[str], part: str) -> Place:
    rest = iter(said[1:])
    subject = "" if columns.subject is None else next(rest)
    return Place(part if columns.part is None else next(rest), said[0], subject)


def _lack(file: LabelFile, columns: Columns, lacking: Sequence[tuple[object, ...]]) -> str:
    """What to say of rows without a value."""
    line, *first = lacking[0]
    wanted = [place for place in (columns.file, columns.classes[0], *columns[2:]) if isinstance(place, int)]
    at = next(place for place, value in zip(wanted, first, strict=True) if str(value).casefold() in _NO_VALUES)
    way = {columns.subject: " Or say data.read_subjects=false: the column is not read then.",
           columns.part: " Or say data.roles=false: the column is not read then."}.get(at, "")  # fmt: skip
    more = f", and {len(lacking) - 1:,} more lines lack one" if len(lacking) > 1 else ""
    lines = listed([one[0] for one in lacking[1:]], _FEW)
    return (
        f"{file.path}, line {line}: no value in the column '{shown(file.header[at])}'{more}"
        f"{f' (lines {lines})' if more else ''}. Fill it in, or take the line out.{way}"
    )


def _check_parts(file: LabelFile, columns: Columns, parts: set[str]) -> None:
    strange = sorted(part for part in parts if part and role_of(part) is None)
    if strange and columns.part is not None:
        raise DataError(
            f"The column '{shown(file.header[columns.part])}' of {file.path} holds {listed(_quoted_all(strange))}, "
            "which are no parts of a split: a part is called train, val or test. If the column says something else, "
            "--set data.roles=false leaves it out."
        )


def _quoted_all(names: Sequence[str]) -> list[str]:
    """Names as a message quotes them."""
    return [quoted(name, 60) for name in names]


def _whole_numbers(counts: Mapping[str, int]) -> dict[str, str]:
    """Whole numbers that were written as fractions (1.0), as programs do with columns that lack a value somewhere."""
    numbers = {name: _number(name) for name in counts}
    if any(value is None or not value.is_integer() for value in numbers.values()) or not any("." in n for n in counts):
        return {}
    return {name: str(int(value)) for name, value in numbers.items() if value is not None}


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", ".")) if len(text) < 40 and text.isascii() else None
    except ValueError:
        return None
    return value if value is not None and np.isfinite(value) and "_" not in text else None


def _check_classes(file: LabelFile, columns: Columns, counts: Mapping[str, int]) -> None:
    """Refuse labels that are amounts, names of images, or several in one."""
    column, rows = f"The column '{shown(file.header[columns.classes[0]])}' of {file.path}", sum(counts.values())
    numbers = [_number(name) for name in counts]
    fractions = [name for name, value in zip(counts, numbers, strict=True) if value is not None and value % 1]
    if fractions and all(value is not None for value in numbers):
        raise DataError(
            f"{column} holds numbers with fractions, such as {listed(fractions, 3)}: amounts (regression), and no "
            "classes. Spikewise classifies; divide the range into named classes, or name another column."
        )
    if len(counts) > _MANY_CLASSES and 2 * len(counts) > rows:
        raise DataError(
            f"{column} holds {len(counts):,} different values in {rows:,} rows, such as "
            f"{listed(_quoted_all(list(counts)), 3)}: most classes would have one image. Name the column of the class: "
            f"--set {word('data.columns.class=NAME')}; there are {listed(file.header, 40)}."
        )
    several = [name for name in counts if _is_several(name, counts)]
    if several:
        raise DataError(
            f"{column} gives an image several labels (multi-label), such as {quoted(several[0])}. Spikewise classifies "
            "each image into one class: keep one label per image."
        )


def _is_several(name: str, counts: Mapping[str, int]) -> bool:
    return any(
        sign in name and all(part.strip() in counts for part in name.split(sign)) and len(set(name.split(sign))) > 1
        for sign in _JOINED
    )
