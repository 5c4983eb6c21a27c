"""Tables of labels that lie in a folder: which of them are clear, which belong together, and how to ask for one."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from spikewise.data.columns import ROLES, ColumnRole, Columns, Unclear, choose_columns, setting
from spikewise.data.config import DataConfig
from spikewise.data.folder import Listing
from spikewise.data.image_set import Role
from spikewise.data.label_file import SUFFIXES, LabelFile, open_label_file
from spikewise.data.label_parquet import lacks_reader
from spikewise.data.label_table import ReadColumns
from spikewise.data.names import listed, role_of, shown
from spikewise.data.one_hot import one_hot_columns
from spikewise.errors import DataError, MissingDataError
from spikewise.shell import word

__all__ = [
    "FoundTable",
    "candidates",
    "clear",
    "no_table",
    "opened",
    "part_of_table",
    "tables_in",
    "together",
    "unread_beside",
]

_ANSWERS: Final = ("image", "label", "probability")
"""How `spikewise predict --out FILE.csv` begins: answers of a network are no labels, unless it is said."""
_DEEP: Final = 2
"""Folders down to which tables are looked for."""
_SPLITS: Final = re.compile(r"[^\W\d_]+")
_HUMPS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FEW: Final = 4


class FoundTable(NamedTuple):
    """A table that lies in a folder, and which of its columns would be read."""

    file: LabelFile
    columns: Columns | Unclear
    part: str
    """What its name says of all its images, or that of its folder: train, val or test; empty where none does."""


def tables_in(listing: Listing) -> list[Path]:
    """Files that may be tables of labels."""
    return [
        listing.root / other
        for other in listing.others
        if other.suffix.lower() in SUFFIXES and len(other.parts) <= _DEEP + 1
    ]


def candidates(paths: Sequence[Path], config: DataConfig, root: Path) -> list[FoundTable]:
    """Those of some files that are tables which can be read here, and no answers of a network."""
    found = []
    for path in paths:
        if lacks_reader(path):
            continue
        try:
            file = open_label_file(path)
        except DataError:  # no table
            continue
        if file.header[:3] == _ANSWERS:  # what a network took them for
            continue
        found.append(_candidate(file, config, root))
    return found


def opened(paths: Sequence[Path], listing: Listing, config: DataConfig) -> list[ReadColumns]:
    """Tables that were asked for.

    Raises:
        MissingDataError: one is not there.
        DataError: one is no table, its columns are not clear, or some of their names say a part and others none.
    """
    found = [_candidate(_opened(path, listing), config, listing.root) for path in paths]
    for one in found:
        if isinstance(one.columns, Unclear):
            raise DataError(_unclear(one, listing))
    chosen = _read(found, config)
    without = [one.file.path.name for one in chosen if not one.part and one.columns.part is None]
    if without and len(without) < len(chosen):
        raise DataError(
            f"Of several tables the name, the folder or a column says the part, and nothing does of {listed(without)}. "
            "Call it as train.csv, val.csv and test.csv are, or say that no names are parts: --set data.roles=false."
        )
    return chosen


def clear(found: Sequence[FoundTable], config: DataConfig) -> list[ReadColumns]:
    """The one table that is clear; or all that are, if the name of each says another part; else none."""
    those = [one for one in found if isinstance(one.columns, Columns)]
    roles = [role_of(one.part) for one in those]
    if len(those) == 1 or (config.roles and None not in roles and len(set(roles)) == len(roles)):
        return _read(those, config)
    return []


def unread_beside(found: Sequence[FoundTable], chosen: Sequence[ReadColumns]) -> list[str]:
    """A word on tables that say by their names that they belong to those that are read, and are not."""
    read = {one.file.path for one in chosen}
    return [
        f"{shown(one.file.path.name)} was not read: {one.columns.why}."
        for one in found
        if one.part and one.file.path not in read and isinstance(one.columns, Unclear)
    ]


def together(found: Sequence[FoundTable]) -> list[FoundTable]:
    """What to offer where none is read by itself: those that are clear, else all."""
    return [one for one in found if isinstance(one.columns, Columns)] or list(found)


def _read(found: Sequence[FoundTable], config: DataConfig) -> list[ReadColumns]:
    parted = len(found) > 1 and config.roles
    return [
        ReadColumns(file, columns, part if parted else "")
        for file, columns, part in found
        if isinstance(columns, Columns)
    ]


def _candidate(file: LabelFile, config: DataConfig, root: Path) -> FoundTable:
    wanted = config.read_subjects and config.group_pattern is None
    columns = choose_columns(file.header, config.columns, subjects=wanted, parts=config.roles)
    if isinstance(columns, Unclear):
        columns = one_hot_columns(file, columns)
    return FoundTable(file, columns, part_of_table(file.path, root))


def part_of_table(path: Path, root: Path) -> str:
    """The part that a table's name says, or the name of a folder above it; empty where none or two do."""
    words = [one for piece in _SPLITS.findall(path.stem) for one in _HUMPS.split(piece)]
    above = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    said: dict[Role, str] = {}
    for name in (*words, *above):
        role = role_of(name)
        if role is not None:
            said.setdefault(role, name)
    return next(iter(said.values())) if len(said) == 1 else ""


def _opened(path: Path, listing: Listing) -> LabelFile:
    try:
        return open_label_file(path)
    except MissingDataError:
        there = listed([table.relative_to(listing.root) for table in tables_in(listing)])
        raise MissingDataError(
            f"The table {shown(path)} is neither in {listing.root} nor where that path leads. "
            f"{f'There is {there}.' if there else 'There is no other table, either.'}"
        ) from None


def no_table(why: str, found: Sequence[FoundTable], paths: Sequence[Path], listing: Listing) -> DataError:
    """The error where no table is taken by itself, with the settings that would take one.

    Args:
        why: What stands against class folders.
    """
    offered = together(found)
    ways = [f"\n  {way}" for way in _ways(offered, listing)]
    if not ways:
        return DataError(f"{why}\nNo table of labels is beside them, either: {_trouble(paths[0])}")
    several = len(offered) > 1 and isinstance(offered[0].columns, Columns)
    who = "Several tables may" if several else "A table beside the images may"
    return DataError(f"{why}\n{who} hold the labels; say which, and what of it:{''.join(ways)}")


def _ways(offered: Sequence[FoundTable], listing: Listing) -> Iterator[str]:
    yield from (_way(one, listing) for one in offered[:_FEW])
    those = [one for one in offered if isinstance(one.columns, Columns)]
    if len({(one.file.header, bool(one.part)) for one in those}) == 1 < len(those):
        names = ",".join(_inside(one, listing) for one in those)
        if len(names) < 200:
            yield f"--set {word(f'data.labels={names}')} (all of them together)"


def _trouble(path: Path) -> str:
    """Why a file is no table."""
    try:
        open_label_file(path)
    except DataError as error:
        return f"{error}"
    return f"{path} is one of answers (spikewise predict); to take them for labels, --set data.labels=PATH."


def _inside(one: FoundTable, listing: Listing) -> str:
    path = one.file.path
    return shown(path.relative_to(listing.root) if path.is_relative_to(listing.root) else path)


def _way(one: FoundTable, listing: Listing) -> str:
    """The settings that read a table, ready to copy, and which columns it has."""
    text = f"--set {word(f'data.labels={_inside(one, listing)}')}"
    columns = ", ".join(shown(name) for name in one.file.header[:20])
    more = f", ... ({len(one.file.header):,} in all)" if len(one.file.header) > 20 else ""
    if isinstance(one.columns, Unclear):
        text += f" {setting(_example(one.columns))}"
    why = f"; {one.columns.why}" if isinstance(one.columns, Unclear) else ""
    return f"{text} (its columns: {columns}{more}{why})"


def _example(unclear: Unclear) -> dict[ColumnRole, str]:
    """Columns to ask for: what is known of them, the first that may be meant, and words in capitals for the rest."""
    names: dict[ColumnRole, str] = dict(unclear.known)
    for role in ROLES:
        if role not in names and role in unclear.choices:
            names[role] = unclear.choices[role][0]
    for role in ROLES[:2]:
        names.setdefault(role, role.upper())
    return {role: names[role] for role in ROLES if role in names}


def _unclear(one: FoundTable, listing: Listing) -> str:
    assert isinstance(one.columns, Unclear)
    kinds = "" if "class" in one.columns.choices or "class" in one.columns.known else (
        " A column of 0 and 1 for each class is class=NAME|NAME|NAME; images of several classes (multi-label) are not "
        "read."
    )  # fmt: skip
    return (
        f"Which columns of {one.file.path} to read is not clear. Name them:\n"
        f"  {_way(one, listing)}\n"
        f"subject and part are for those where there are any.{kinds}"
    )
