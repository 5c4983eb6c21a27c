"""Images whose classes stand in a table: which row is which image, and everything that does not fit."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.classes import one_class
from spikewise.data.columns import Columns
from spikewise.data.folder import Listing, Tree, several_names
from spikewise.data.image_set import SubjectsRule
from spikewise.data.label_file import LabelFile
from spikewise.data.level_tree import Place, in_class_order
from spikewise.data.named_files import ABSENT, SEVERAL, find_named
from spikewise.data.names import listed, role_of, shown
from spikewise.data.subjects import said_subjects
from spikewise.errors import DataError, quoted
from spikewise.shell import word

__all__ = ["LabelTable", "labelled_tree", "read_labels"]

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


def read_labels(file: LabelFile, columns: Columns, *, stated: bool, complete: bool = True) -> LabelTable:
    """Read the rows of a table, each with a class.

    Raises:
        DataError: a row without a value, no rows, parts that are none, or labels that are no classes.
    """
    wanted = [place for place in columns if place is not None]
    kept: dict[tuple[str, ...], Place] = {}
    names, places, lines, lacking = [], [], [], []
    for line, (name, *said) in file.rows(wanted):
        key = tuple(said)
        place = kept.get(key)
        if place is None:
            place = kept[key] = _place(columns, key)
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
        raise DataError(_lack(file, wanted, columns, lacking))
    _check_parts(file, columns, {place.part for place in kept.values()})
    counts = Counter(place.class_name for place in places)
    renamed = _whole_numbers(counts)
    if renamed:
        places = [place._replace(class_name=renamed[place.class_name]) for place in places]
        counts = Counter(place.class_name for place in places)
    if complete:
        _check_classes(file, columns, counts)
    return LabelTable(file, tuple(names), tuple(places), np.array(lines, np.int64), columns, stated)


def _place(columns: Columns, said: Sequence[str]) -> Place:
    rest = iter(said[1:])
    subject = "" if columns.subject is None else next(rest)
    return Place("" if columns.part is None else next(rest), said[0], subject)


def _lack(file: LabelFile, wanted: Sequence[int], columns: Columns, lacking: Sequence[tuple[object, ...]]) -> str:
    """What to say of rows without a value."""
    line, *first = lacking[0]
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
    column, rows = f"The column '{shown(file.header[columns.class_name])}' of {file.path}", sum(counts.values())
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


def labelled_tree(listing: Listing, table: LabelTable, *, skip_bad: bool) -> Tree:
    """The images of a folder that a table names, with the classes, subjects and parts that it says.

    Args:
        skip_bad: Leave out rows whose file is missing, with a word.
    Raises:
        DataError: rows whose file is missing or fits several images, or that contradict each other.
    """
    found = find_named(table.names, listing.images, listing.root, table.file.path)
    _check_clear(listing, table, found.positions)
    missing = np.flatnonzero(found.positions == ABSENT)
    if len(missing) and (not skip_bad or len(missing) == len(table.names)):
        raise DataError(_missing(listing, table, missing.tolist()))
    rows = np.flatnonzero(found.positions != ABSENT)
    order = rows[np.argsort(found.positions[rows], kind="stable")]
    at = found.positions[order]
    first = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
    repeated = _check_repeated(listing, table, order, at)
    said = {listing.images[found.positions[row]]: table.places[row] for row in order[first].tolist()}
    entries = in_class_order(said)
    columns, path = table.columns, table.file.path
    notes = [f"{_read(table)} Files are told by {found.way}."]
    if repeated:
        notes.append(f"{repeated:,} rows of {path.name} name an image once more and say the same.")
    cautions = [*_left_out(listing, table, missing.tolist(), said)]
    subjects = None
    if columns.subject is not None:
        rule = SubjectsRule(
            f"the column '{shown(table.file.header[columns.subject])}' of {shown(path.name)}",
            "stated" if table.stated else "likely",
        )
        subjects = said_subjects([one_class(said[entry.file].subject) for entry in entries], rule)
    parts = {place.part for place in said.values() if place.part}
    return Tree(entries, (), several_names(parts, "values"), subjects, tuple(notes), tuple(cautions), path)


def _read(table: LabelTable) -> str:
    names = zip(("file", "class", "subject", "part"), table.columns, strict=True)
    said = ", ".join(f"{role} from '{shown(table.file.header[at])}'" for role, at in names if at is not None)
    latin = " Its letters were taken for Latin-1, which is not UTF-8." if table.file.encoding == "latin-1" else ""
    return f"Labels were read from {shown(table.file.path.name)}: {said}.{latin}"


def _check_clear(listing: Listing, table: LabelTable, positions: Int64[np.ndarray, " R"]) -> None:
    unclear = np.flatnonzero(positions == SEVERAL)
    if not len(unclear):
        return
    row = int(unclear[0])
    name = table.names[row].replace("\\", "/").rpartition("/")[2]
    those = [image for image in listing.images if image.rpartition("/")[2].startswith(name)]
    raise DataError(
        f"{table.file.path}, line {table.lines[row]}: {quoted(table.names[row])} fits several images of {listing.root}"
        f" ({listed(those, 3)}), as {len(unclear):,} of {len(positions):,} rows do. Name the files with their folders "
        "and with what they end in."
    )


def _missing(listing: Listing, table: LabelTable, missing: Sequence[int]) -> str:
    lines = "\n".join(f"  line {table.lines[row]}: {quoted(table.names[row])}" for row in missing[:_FEW])
    column = shown(table.file.header[table.columns.file])
    if len(missing) == len(table.names):
        return (
            f"None of the {len(missing):,} files that {table.file.path} names in the column '{column}' is in "
            f"{listing.root}:\n{lines}\nThat folder holds images such as {shown(listing.images[0])}. Give the folder "
            f"of the images, or the column of the files: --set {word('data.columns.file=NAME')}."
        )
    return (
        f"{len(missing):,} of {len(table.names):,} files that {table.file.path} names in the column '{column}' are not "
        f"in {listing.root}:\n{lines}\nAdd them, take out their rows, or leave them out with --skip-bad (data.skip_bad "
        "= true)."
    )


def _check_repeated(
    listing: Listing, table: LabelTable, order: Int64[np.ndarray, " R"], at: Int64[np.ndarray, " R"]
) -> int:
    """How many rows name an image that another named before; they must say the same."""
    again = np.flatnonzero(at[1:] == at[:-1]) + 1
    for place in again.tolist():
        one, other = sorted((int(order[place - 1]), int(order[place])))
        if table.places[one] != table.places[other]:
            told = list(_differences(table.places[one], table.places[other]))
            raise DataError(
                f"{shown(listing.images[at[place]])} stands in {table.file.path} twice and differently: lines "
                f"{table.lines[one]} and {table.lines[other]} give it the {'; the '.join(told)}. Keep the line that "
                "is right."
            )
    return len(again)


def _differences(one: Place, other: Place) -> Iterator[str]:
    for what, mine, theirs in zip(("part", "class", "subject"), one, other, strict=True):
        if mine != theirs:
            yield f"{what} {quoted(mine, 60)} and {quoted(theirs, 60)}"


def _left_out(listing: Listing, table: LabelTable, missing: Sequence[int], said: Mapping[str, Place]) -> Iterator[str]:
    """A word on rows without a file, and on images without a row."""
    path = shown(table.file.path.name)
    if missing:
        names = listed([table.names[row] for row in missing], _FEW)
        yield f"Files that {path} names and that are missing were left out ({len(missing):,}): {names}."
    rest = len(listing.images) - len(said)
    if rest:
        first = next(image for image in listing.images if image not in said)
        yield f"Images that {path} does not name were left out ({rest:,}), such as {shown(first)}."
