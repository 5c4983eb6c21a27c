"""Images whose classes stand in tables: which row is which image, and everything that does not fit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.classes import one_class
from spikewise.data.folder import Listing, Tree, several_names
from spikewise.data.found_tables import part_of_table
from spikewise.data.image_set import Role, SubjectsRule
from spikewise.data.label_table import LabelTable
from spikewise.data.level_tree import Place, in_class_order
from spikewise.data.named_files import ABSENT, SEVERAL, Named, find_named, path_of
from spikewise.data.names import file_name, listed, parent_of, role_of, shown
from spikewise.data.subjects import Subjects, said_subjects
from spikewise.errors import DataError, quoted
from spikewise.shell import word

__all__ = ["labelled_tree"]

_FEW = 5
"""Lines or names that a message gives."""
_OTHER_PART = (
    "Give the folder of the images that are meant, or say that such names are no parts: --set data.roles=false."
)


def labelled_tree(listing: Listing, tables: Sequence[LabelTable], *, roles: bool, skip_bad: bool) -> Tree:
    """The images of a folder that tables name, with the classes, subjects and parts that they say.

    Where they say no parts, folders called train, val or test do, if all of the images lie in some.

    Args:
        roles: Whether folders are parts.
        skip_bad: Leave out rows whose file is missing, with a word.
    Raises:
        DataError: rows whose file is missing or fits several images, that contradict each other, or that name an image
            of another part.
    """
    rows, cautions, ways = _rows(listing, tables, roles=roles, skip_bad=skip_bad)
    repeated = _check_repeated(listing, tables, rows)
    said = {listing.images[rows.positions[row]]: rows.places[row] for row in rows.first().tolist()}
    notes = [f"{_read(tables)} Files are told by {listed(dict.fromkeys(ways))}."]
    if repeated:
        notes.append(f"{repeated:,} rows of {_names(tables)} name an image once more and say the same.")
    if roles and not any(place.part for place in said.values()):
        said, parts = _parts_of_folders(listing, said)
        notes += parts
    entries = in_class_order(said)
    subjects, unread = _subjects([said[entry.file] for entry in entries], tables)
    parts_said = {place.part for place in said.values() if place.part}
    return Tree(
        entries,
        shared=several_names(parts_said, "values"),
        subjects=subjects,
        notes=tuple(notes),
        cautions=(*cautions, *_without_row(listing, tables, said), *unread),
        tables=tuple(table.file.path for table in tables),
    )


class _Rows(NamedTuple):
    """The rows of all tables whose images are there."""

    positions: Int64[np.ndarray, " R"]
    """Of their images, in the folder's list; sorted."""
    places: list[Place]
    table: Int64[np.ndarray, " R"]
    """Number of the table in which each stands."""
    lines: Int64[np.ndarray, " R"]
    """Where it stands there."""

    def first(self) -> Int64[np.ndarray, " I"]:
        """The first row of each image."""
        fresh: Int64[np.ndarray, " I"] = np.flatnonzero(np.diff(self.positions, prepend=-1))
        return fresh


def _rows(
    listing: Listing, tables: Sequence[LabelTable], *, roles: bool, skip_bad: bool
) -> tuple[_Rows, list[str], list[str]]:
    """The rows whose images are there, a word on others, and how files were told in each table."""
    positions, lines, places, cautions, ways = [], [], [], [], []
    for table in tables:
        found = _found(listing, table)
        _check_clear(listing, table, found.positions)
        if roles:
            _check_same_part(listing, table, found.positions)
        missing = np.flatnonzero(found.positions == ABSENT).tolist()
        if missing and (not skip_bad or len(missing) == len(table.names)):
            raise DataError(_missing(listing, table, missing))
        there = np.flatnonzero(found.positions != ABSENT)
        positions.append(found.positions[there])
        lines.append(table.lines[there])
        places += [table.places[row] for row in there.tolist()]
        ways.append(found.way)
        if missing:
            names = listed([table.names[row] for row in missing], _FEW)
            cautions.append(
                f"Files that {shown(table.file.path.name)} names and that are missing were left out "
                f"({len(missing):,}): {names}."
            )
    numbers = np.repeat(np.arange(len(tables)), [len(one) for one in lines])
    whole = np.concatenate(positions)
    order = np.argsort(whole, kind="stable")
    sorted_places = [places[row] for row in order.tolist()]
    return _Rows(whole[order], sorted_places, numbers[order], np.concatenate(lines)[order]), cautions, ways


def _found(listing: Listing, table: LabelTable) -> Named:
    """Which image each row of a table names: of a table for a part first among the folders that are called so.

    Raises:
        DataError: one that lies in the folder of another part.
    """
    everything = find_named(table.names, listing.images, listing.root, table.file.path)
    if not table.part:
        return everything
    roles = {folder: role_of(_part_of(folder)) for folder in set(map(parent_of, listing.images))}
    own = [at for at, image in enumerate(listing.images) if roles[parent_of(image)] is role_of(table.part)]
    if own and len(own) < len(listing.images):
        found = find_named(table.names, [listing.images[at] for at in own], listing.root, table.file.path)
        if (found.positions >= 0).all():
            return Named(np.array(own, np.int64)[found.positions], found.way)
    for row in np.flatnonzero(everything.positions >= 0).tolist():
        image = listing.images[everything.positions[row]]
        if roles[parent_of(image)] not in (None, role_of(table.part)):
            raise DataError(
                f"{table.file.path}, line {table.lines[row]}: by its table {quoted(table.names[row])} is of the part "
                f"'{shown(table.part)}', and {shown(image)} lies in a folder of another. Correct one, or say that such "
                "names are none: --set data.roles=false."
            )
    return everything


def _check_same_part(listing: Listing, table: LabelTable, positions: Int64[np.ndarray, " R"]) -> None:
    """Refuse names, or else a table, of another part than the folders in which the images lie: they are not those.

    Where all names have folders of one part before them and the images lie in several, these folders say nothing.
    """
    rows = np.flatnonzero(positions >= 0).tolist()
    named, lying = _Parts(), _Parts()
    pairs = [(named.of(path_of(table.names[row])), lying.of(listing.images[positions[row]])) for row in rows]
    there = {lies for _, lies in pairs} - {None}
    said = {says for says, _ in pairs} - {None}
    if not said:
        called = part_of_table(table.file.path, listing.root)
        if role_of(called) is not None and there and role_of(called) not in there:
            raise DataError(
                f"{table.file.path} is called as the part '{shown(called)}', and its images lie in folders of another, "
                f"such as {shown(listing.images[positions[rows[0]]])}. {_OTHER_PART}"
            )
    if len(said) == 1 < len(there):
        return
    for row, (says, lies) in zip(rows, pairs, strict=True):
        if says is not None and lies is not None and says is not lies:
            raise DataError(
                f"{table.file.path}, line {table.lines[row]}: {quoted(table.names[row])} says another part than the "
                f"folder of {shown(listing.images[positions[row]])}, which it would name. {_OTHER_PART}"
            )


class _Parts:
    """The parts that folders before files say; of several the innermost."""

    def __init__(self) -> None:
        self._known: dict[str, Role | None] = {}

    def of(self, path: str) -> Role | None:
        """That of a file."""
        folder = parent_of(path)
        if folder not in self._known:
            roles = [role for role in map(role_of, folder.split("/")) if role is not None]
            self._known[folder] = roles[-1] if roles else None
        return self._known[folder]


def _names(tables: Sequence[LabelTable]) -> str:
    """The tables by their names, with their folders where names repeat."""
    names = [table.file.path.name for table in tables]
    if len(set(names)) < len(names):
        names = [f"{table.file.path.parent.name}/{table.file.path.name}" for table in tables]
    return listed(names)


def _read(tables: Sequence[LabelTable]) -> str:
    """What was read, and from where."""
    said = list(dict.fromkeys(table.columns.said(table.file.header) for table in tables))
    each = "; the part from what each table is called or where it lies" if any(table.part for table in tables) else ""
    latin = [table for table in tables if table.file.encoding == "latin-1"]
    letters = f" The letters of {_names(latin)} were taken for Latin-1, which is not UTF-8." if latin else ""
    return f"Labels were read from {_names(tables)}: {'; '.join(said)}{each}.{letters}"


def _subjects(places: Sequence[Place], tables: Sequence[LabelTable]) -> tuple[Subjects | None, list[str]]:
    """The subjects of images, if every table says them."""
    columns = [table.columns.subject for table in tables]
    named = [at for at in columns if at is not None]
    if not named:
        return None, []
    if len(named) < len(columns):
        lacking = [table for table, at in zip(tables, columns, strict=True) if at is None]
        return None, [f"Subjects were not read: {_names(lacking)} says none."]
    names = {f"'{shown(table.file.header[at])}'" for table, at in zip(tables, named, strict=True)}
    rule = SubjectsRule(
        f"the column {' or '.join(sorted(names))} of {_names(tables)}",
        "stated" if tables[0].stated else "likely",
    )
    return said_subjects([one_class(place.subject) for place in places], rule), []


def _parts_of_folders(listing: Listing, said: Mapping[str, Place]) -> tuple[dict[str, Place], list[str]]:
    """The same with the parts that folders called train, val or test say, and a note on it.

    One part alone says nothing: the others' images have no labels, most likely.
    """
    named = {folder: _part_of(folder) for folder in {parent_of(image) for image in said}}
    if len({role_of(part) for part in named.values() if part}) < 2:
        return dict(said), []
    without = next((image for image in said if not named[parent_of(image)]), None)
    if without is not None:
        those = listed(sorted({part for part in named.values() if part}))
        raise DataError(
            f"Images of {listing.root} that a table names lie in folders for parts ({those}), and others in none, such "
            f"as {shown(without)}. Put all of them into parts, give the table a column for the part, or say that these "
            "folders are none: --set data.roles=false."
        )
    parted = {image: place._replace(part=named[parent_of(image)]) for image, place in said.items()}
    parts = sorted({place.part for place in parted.values()}, key=lambda part: role_of(part) or Role.TRAIN)
    return parted, [f"The parts are those of the folders: {listed(parts)}."]


def _part_of(folder: str) -> str:
    """The outermost of some folders that is called as a part."""
    return next((name for name in folder.split("/") if role_of(name) is not None), "")


def _check_clear(listing: Listing, table: LabelTable, positions: Int64[np.ndarray, " R"]) -> None:
    unclear = np.flatnonzero(positions == SEVERAL)
    if not len(unclear):
        return
    row = int(unclear[0])
    name = file_name(path_of(table.names[row]))
    those = [image for image in listing.images if file_name(image).startswith(name)]
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
        f"in {listing.root}:\n{lines}\nAdd them, take out their rows, or leave them out with --skip-bad."
    )


def _check_repeated(listing: Listing, tables: Sequence[LabelTable], rows: _Rows) -> int:
    """How many rows name an image that another named before; they must say the same."""
    again = np.flatnonzero(rows.positions[1:] == rows.positions[:-1]) + 1
    for row in again.tolist():
        one, other = rows.places[row - 1], rows.places[row]
        if one != other:
            told = "; the ".join(_differences(one, other))
            mine, theirs = (tables[number].file.path for number in rows.table[row - 1 : row + 1])
            first, second = rows.lines[row - 1 : row + 1]
            where = f"{mine} twice and differently: lines {first} and {second} give"
            if mine != theirs:
                where = f"{mine}, line {first}, and in {theirs}, line {second}, and differently: they give"
            image = shown(listing.images[rows.positions[row]])
            raise DataError(f"{image} stands in {where} it the {told}. Keep the line that is right.")
    return len(again)


def _differences(one: Place, other: Place) -> Iterator[str]:
    for what, mine, theirs in zip(("part", "class", "subject"), one, other, strict=True):
        if mine != theirs:
            yield f"{what} {quoted(mine, 60)} and {quoted(theirs, 60)}"


def _without_row(listing: Listing, tables: Sequence[LabelTable], said: Mapping[str, Place]) -> Iterator[str]:
    """A word on images without a row."""
    rest = len(listing.images) - len(said)
    if rest:
        first = next(image for image in listing.images if image not in said)
        verb = "does" if len(tables) == 1 else "do"
        yield f"Images that {_names(tables)} {verb} not name were left out ({rest:,}), such as {shown(first)}."
