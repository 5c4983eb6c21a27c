"""What a folder of images says of each: by a table of labels, by levels that were given, or by class folders."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spikewise.data.columns import ROLES, ColumnRole, Columns, Unclear, choose_columns, setting
from spikewise.data.config import DataConfig
from spikewise.data.folder import Listing, Tree, class_tree, list_folder
from spikewise.data.label_file import SUFFIXES, LabelFile, open_label_file
from spikewise.data.label_table import labelled_tree, read_labels
from spikewise.data.level_tree import level_tree
from spikewise.data.levels import words_of
from spikewise.data.names import as_path, listed, shown
from spikewise.errors import ConfigError, DataError, MissingDataError
from spikewise.shell import word

__all__ = ["LAYOUT_OPTIONS", "laid_out_like", "read_layout", "table_path"]

LAYOUT_OPTIONS = ("levels", "labels", "columns")
"""Settings that say how a folder is laid out."""
_ANSWERS = ("image", "label", "probability")
"""How `spikewise predict --out FILE.csv` begins: answers of a network are no labels, unless it is said."""
_DEEP = 2
"""Folders down to which tables are looked for."""


def table_path(config: DataConfig) -> Path | None:
    """Where the table of labels lies, if one was asked for: in the folder of images, else where its path leads."""
    if config.labels is None:
        return None
    path, source = as_path(config.labels), as_path(config.source)
    inside = as_path(str(source / path))
    return inside if not path.is_absolute() and inside.is_file() else path


def laid_out_like(own: DataConfig, source: str) -> dict[str, object]:
    """Settings with which another folder is read as one's own is: by levels that fit, by a table that is there.

    What does not fit is left to what any folder is read by.
    """
    said: dict[str, object] = {"levels": None, "labels": None, "columns": {}}
    root = as_path(source)
    if not root.is_dir():
        return said
    listing = list_folder(root)
    if own.levels is not None:
        with contextlib.suppress(DataError):
            level_tree(listing, own.levels, roles=own.roles)
            said["levels"] = own.levels
        return said
    table = table_path(own)
    if table is not None:
        mine, there = as_path(own.source).absolute(), table.absolute()
        inside = there.relative_to(mine) if there.is_relative_to(mine) else Path(there.name)
        same = mine == root.absolute()
        if same or (root / inside).is_file():
            return {**said, "labels": shown(there if same else inside), "columns": dict(own.columns)}
    names = set(own.columns.values())
    if names and any(names <= set(one.file.header) for one in _candidates(_tables(listing), own)):
        said["columns"] = dict(own.columns)
    return said


def read_layout(listing: Listing, config: DataConfig, *, complete: bool = True) -> Tree:
    """The images of a folder with what is said of each.

    Args:
        complete: Whether there must be two classes at least.
    Raises:
        ConfigError: settings that do not go together.
        DataError: the folder is not laid out so, or a table that does not fit it.
    """
    _check_together(config)
    if config.levels is not None:
        return level_tree(listing, config.levels, roles=config.roles)
    path = table_path(config)
    tables = _tables(listing)
    if path is not None:
        return _by_stated(listing, _opened(path, listing, tables), config, complete=complete)
    if not tables:
        if config.columns:
            raise ConfigError(
                f"data.columns names columns of a table, and {listing.root} holds none ({', '.join(SUFFIXES)}). Say "
                "where it lies: --set data.labels=PATH."
            )
        return class_tree(listing, roles=config.roles)
    try:
        tree = class_tree(listing, roles=config.roles)
    except DataError as error:
        return _by_found(listing, tables, config, f"{error}", complete=complete)
    if config.columns or len({entry.class_name for entry in tree.entries}) == 1:
        return _by_found(listing, tables, config, "", complete=complete, instead=tree)
    return _beside(listing, tree, tables, config)


def _check_together(config: DataConfig) -> None:
    if config.levels is not None:
        words = words_of(config.levels).names
        if config.labels is not None or config.columns:
            raise ConfigError(
                "data.levels says that folders tell the classes, and data.labels or data.columns that a table does. "
                "Give one of the two."
            )
        if "subject" in words and (config.group_pattern is not None or not config.read_subjects):
            other = "data.group_pattern" if config.group_pattern is not None else "data.read_subjects=false"
            raise ConfigError(
                f"data.levels={config.levels} says that folders tell the subjects, and {other} "
                f"{'that file names do' if config.group_pattern is not None else 'that none are read'}. Give one of "
                "the two; * stands for a level that says nothing."
            )
        if "part" in words and not config.roles:
            raise ConfigError(
                f"data.levels={config.levels} has a level of parts, and data.roles=false says that no folder is one. "
                "Give one of the two."
            )
    if "subject" in config.columns and (config.group_pattern is not None or not config.read_subjects):
        other = "data.group_pattern" if config.group_pattern is not None else "data.read_subjects=false"
        raise ConfigError(
            f"data.columns names a column for the subjects, which {other} contradicts. Give one of the two."
        )
    if "part" in config.columns and not config.roles:
        raise ConfigError("data.columns names a column for the parts, which data.roles=false contradicts. Give one.")


class _Candidate(NamedTuple):
    """A table that lies in a folder, and which of its columns would be read."""

    file: LabelFile
    columns: Columns | Unclear


def _by_stated(listing: Listing, file: LabelFile, config: DataConfig, *, complete: bool) -> Tree:
    """The images as a table says that was asked for."""
    columns = _columns(file, config)
    if isinstance(columns, Unclear):
        raise DataError(_unclear(_Candidate(file, columns), listing))
    table = read_labels(file, columns, stated="subject" in config.columns, complete=complete)
    return labelled_tree(listing, table, skip_bad=config.skip_bad)


def _opened(path: Path, listing: Listing, tables: Sequence[Path]) -> LabelFile:
    try:
        return open_label_file(path)
    except MissingDataError:
        there = listed([table.relative_to(listing.root) for table in tables])
        raise MissingDataError(
            f"The table {shown(path)} is neither in {listing.root} nor where that path leads. "
            f"{f'There is {there}.' if there else 'There is no other table, either.'}"
        ) from None


def _columns(file: LabelFile, config: DataConfig) -> Columns | Unclear:
    wanted = config.read_subjects and config.group_pattern is None
    return choose_columns(file.header, config.columns, subjects=wanted, parts=config.roles)


def _tables(listing: Listing) -> list[Path]:
    return [
        listing.root / other
        for other in listing.others
        if other.suffix.lower() in SUFFIXES and len(other.parts) <= _DEEP + 1
    ]


def _candidates(paths: Sequence[Path], config: DataConfig) -> list[_Candidate]:
    found = []
    for path in paths:
        try:
            file = open_label_file(path)
        except DataError:  # no table
            continue
        if file.header[:3] == _ANSWERS:  # what a network took them for
            continue
        found.append(_Candidate(file, _columns(file, config)))
    return found


def _by_found(  # the last says what to fall back on
    listing: Listing,
    paths: Sequence[Path],
    config: DataConfig,
    why: str,
    *,
    complete: bool,
    instead: Tree | None = None,
) -> Tree:
    """The images as the one table says that lies among them, if its columns are unmistakable.

    Args:
        why: What stands against class folders; empty where there is one alone.
        instead: What they are by their folders.
    """
    found = _candidates(paths, config)
    clear = [one for one in found if isinstance(one.columns, Columns)]
    if len(clear) == 1:
        file, columns = clear[0]
        assert isinstance(columns, Columns)
        tree = labelled_tree(listing, read_labels(file, columns, stated="subject" in config.columns, complete=complete),
                             skip_bad=config.skip_bad)  # fmt: skip
        said = f"{tree.notes[0]} The table was found by itself; another: data.labels=PATH."
        return tree._replace(notes=tree.notes[1:], cautions=(said, *tree.cautions))
    if instead is not None and not config.columns and not complete:
        return instead
    why = why or f"{listing.root} has images in one folder, which are one class by it."
    ways = [f"\n  {_way(one, listing)}" for one in (clear or found)[:4]]
    if not ways:
        raise DataError(f"{why}\nNo table of labels is beside them, either: {_trouble(paths[0])}")
    several = "Several tables may" if len(clear) > 1 else "A table beside the images may"
    raise DataError(f"{why}\n{several} hold the labels; say which, and what of it:{''.join(ways)}")


def _trouble(path: Path) -> str:
    """Why a file is no table."""
    try:
        open_label_file(path)
    except DataError as error:
        return f"{error}"
    return f"{path} is one of answers (spikewise predict); to take them for labels, --set data.labels=PATH."


def _way(one: _Candidate, listing: Listing) -> str:
    """The settings that read a table, ready to copy, and which columns it has."""
    path = one.file.path
    inside = path.relative_to(listing.root) if path.is_relative_to(listing.root) else path
    text = f"--set {word(f'data.labels={shown(inside)}')}"
    columns = ", ".join(shown(name) for name in one.file.header[:20])
    more = f", ... ({len(one.file.header):,} in all)" if len(one.file.header) > 20 else ""
    if isinstance(one.columns, Unclear):
        text += f" {setting(_example(one))}"
    why = f"; {one.columns.why}" if isinstance(one.columns, Unclear) else ""
    return f"{text} (its columns: {columns}{more}{why})"


def _example(one: _Candidate) -> dict[ColumnRole, str]:
    """Columns to ask for: what is known of them, the first that may be meant, and words in capitals for the rest."""
    assert isinstance(one.columns, Unclear)
    names: dict[ColumnRole, str] = dict(one.columns.known)
    for role in ROLES:
        if role not in names and role in one.columns.choices:
            names[role] = one.columns.choices[role][0]
    for role in ROLES[:2]:
        names.setdefault(role, role.upper())
    return {role: names[role] for role in ROLES if role in names}


def _unclear(one: _Candidate, listing: Listing) -> str:
    assert isinstance(one.columns, Unclear)
    kinds = "" if "class" in one.columns.choices or "class" in one.columns.known else (
        " Labels that are spread over several columns (one-hot, multi-label) are not read."
    )  # fmt: skip
    return (
        f"Which columns of {one.file.path} to read is not clear. Name them:\n"
        f"  {_way(one, listing)}\n"
        f"subject and part are for those where there are any.{kinds}"
    )


def _beside(listing: Listing, tree: Tree, paths: Sequence[Path], config: DataConfig) -> Tree:
    """Class folders that a table lies beside: one that says other classes of these images must not be passed over.

    Raises:
        DataError: it does.
    """
    for file, columns in _candidates(paths, config):
        if not isinstance(columns, Columns):
            continue
        try:
            table = read_labels(file, columns, stated=False, complete=False)
            other = labelled_tree(listing, table, skip_bad=True)
        except DataError:  # of something else
            continue
        if 2 * len(other.entries) < len(tree.entries):
            continue
        inside = shown(file.path.relative_to(listing.root))
        way = f"--set {word(f'data.labels={inside}')}"
        if not _agree(tree, other):
            levels = "part/class" if tree.entries[0].role >= 0 else "class"
            raise DataError(
                f"The folders of {listing.root} say other classes than its table {inside}: "
                f"{listed(sorted({entry.class_name for entry in tree.entries}))} and "
                f"{listed(sorted({entry.class_name for entry in other.entries}))}. Say which are meant: {way} for the "
                f"table, or --set data.levels={levels} for the folders."
            )
        if columns.subject is not None and other.subjects is not None:
            said = f"The folders say the classes; {inside} says subjects, too, which were not read: {way} reads it."
            return tree._replace(cautions=(*tree.cautions, said))
    return tree


def _agree(tree: Tree, other: Tree) -> bool:
    """Whether folders and a table tell the same images apart, whatever they call them."""
    folders = {entry.file: entry.class_name for entry in tree.entries}
    pairs = {(folders[entry.file], entry.class_name) for entry in other.entries}
    return len(pairs) == len({one for one, _ in pairs}) == len({one for _, one in pairs})
