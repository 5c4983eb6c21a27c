"""What a folder of images says of each: by a table of labels, by levels that were given, or by class folders."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from spikewise.data.columns import Unclear, are_in
from spikewise.data.config import DataConfig
from spikewise.data.folder import Listing, Tree, class_tree, list_folder
from spikewise.data.found_tables import FoundTable, candidates, clear, no_table, opened, tables_in, unread_beside
from spikewise.data.label_file import SUFFIXES, open_label_file
from spikewise.data.label_parquet import lacks_reader
from spikewise.data.label_table import ReadColumns, read_tables
from spikewise.data.labelled_tree import labelled_tree
from spikewise.data.level_tree import level_tree
from spikewise.data.levels import words_of
from spikewise.data.names import as_path, listed, shown
from spikewise.errors import ConfigError, DataError
from spikewise.shell import word

__all__ = ["LAYOUT_OPTIONS", "laid_out_like", "read_layout", "table_paths"]

LAYOUT_OPTIONS = ("levels", "labels", "columns")
"""Settings that say how a folder is laid out."""
_LOOKED_AT = 100_000
"""Rows of a table that was not asked for; a word on it is not worth a second."""


def table_paths(config: DataConfig) -> tuple[Path, ...]:
    """Where the tables of labels lie that were asked for: in the folder of images, else where their paths lead."""
    if config.labels is None:
        return ()
    named = (config.labels,) if isinstance(config.labels, str) else config.labels
    return tuple(_table_path(as_path(name), as_path(config.source)) for name in named)


def _table_path(path: Path, source: Path) -> Path:
    inside = as_path(str(source / path))
    return inside if not path.is_absolute() and inside.is_file() else path


def laid_out_like(own: DataConfig, source: str, classes: Sequence[str]) -> dict[str, object]:
    """Settings with which another folder is read as one's own is: by levels that fit, by a table that is there.

    What does not fit is left to what any folder is read by.

    Args:
        classes: Those of one's own.
    """
    said: dict[str, object] = {"levels": None, "labels": None, "columns": {}}
    root = as_path(source)
    if not root.is_dir():
        return said
    listing = list_folder(root)
    if own.levels is not None:
        with contextlib.suppress(DataError):
            level_tree(listing, own.levels, roles=own.roles, expected=classes)
            said["levels"] = own.levels
        return said
    tables = table_paths(own)
    if tables:
        mine, there = as_path(own.source).absolute(), [table.absolute() for table in tables]
        inside = [one.relative_to(mine) if one.is_relative_to(mine) else Path(one.name) for one in there]
        same = mine == root.absolute()
        if same or all((root / one).is_file() for one in inside):
            labels = [shown(one) for one in (there if same else inside)]
            return {**said, "labels": labels, "columns": dict(own.columns)}
    headers = [one.file.header for one in candidates(tables_in(listing), own, root)] if own.columns else []
    if any(all(are_in(header, name) for name in own.columns.values()) for header in headers):
        said["columns"] = dict(own.columns)
    return said


def read_layout(listing: Listing, config: DataConfig, expected: Sequence[str] | None = None) -> Tree:
    """The images of a folder with what is said of each.

    Args:
        expected: Names of classes that a network knows; None: there must be two classes at least.
    Raises:
        ConfigError: settings that do not go together.
        DataError: the folder is not laid out so, or a table that does not fit it.
    """
    _check_together(config)
    complete = expected is None
    if config.levels is not None:
        return level_tree(listing, config.levels, roles=config.roles, expected=expected or ())
    paths = table_paths(config)
    if paths:
        return _by_stated(listing, paths, config, complete=complete)
    tables = tables_in(listing)
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


def _by_stated(listing: Listing, paths: Sequence[Path], config: DataConfig, *, complete: bool) -> Tree:
    """The images as tables say that were asked for."""
    return _tree(listing, opened(paths, listing, config), config, complete=complete)


def _tree(listing: Listing, chosen: Sequence[ReadColumns], config: DataConfig, *, complete: bool) -> Tree:
    tables = read_tables(chosen, stated="subject" in config.columns, complete=complete)
    return labelled_tree(listing, tables, roles=config.roles, skip_bad=config.skip_bad)


def _by_found(  # the last says what to fall back on
    listing: Listing,
    paths: Sequence[Path],
    config: DataConfig,
    why: str,
    *,
    complete: bool,
    instead: Tree | None = None,
) -> Tree:
    """The images as tables say that lie among them, if their columns are unmistakable.

    Args:
        why: What stands against class folders; empty where there is one alone.
        instead: What they are by their folders.
    """
    found = candidates(paths, config, listing.root)
    chosen = clear(found, config)
    if chosen:
        tree = _tree(listing, chosen, config, complete=complete)
        which = "The table was" if len(chosen) == 1 else "The tables were"
        said = f"{tree.notes[0]} {which} found by {'itself' if len(chosen) == 1 else 'themselves'}; another: "
        unread = unread_beside(found, chosen) if len(chosen) > 1 else []
        cautions = (f"{said}data.labels=PATH.", *tree.cautions, *unread)
        return tree._replace(notes=tree.notes[1:], cautions=cautions)
    if instead is not None and not config.columns and not complete:
        return instead
    for path in filter(lacks_reader, paths):
        open_label_file(path)  # which says what to install
    raise no_table(why or f"{listing.root} has images in one folder, which are one class by it.", found, paths, listing)


def _beside(listing: Listing, tree: Tree, paths: Sequence[Path], config: DataConfig) -> Tree:
    """Class folders that tables lie beside: one that says other classes of these images must not be passed over.

    Raises:
        DataError: it does.
    """
    unread = [
        f"The folders say the classes; {shown(path.name)} was not read, which needs the package pyarrow."
        for path in paths
        if lacks_reader(path)
    ]
    tree = tree._replace(cautions=(*tree.cautions, *unread))
    found = candidates(paths, config, listing.root)
    alone = [clear([one], config) for one in found]
    joint = clear(found, config)
    for chosen in [*([joint] if len(joint) > 1 else []), *filter(None, alone)]:
        try:
            tables = read_tables(chosen, stated=False, complete=False)
            other = labelled_tree(listing, tables, roles=False, skip_bad=True)
        except DataError:  # of something else
            continue
        if 2 * len(other.entries) < len(tree.entries):
            continue
        inside = ",".join(shown(one.file.path.relative_to(listing.root)) for one in chosen)
        way = f"--set {word(f'data.labels={inside}')}"
        if not _agree(tree, other):
            levels = "part/class" if tree.entries[0].role >= 0 else "class"
            raise DataError(
                f"The folders of {listing.root} say other classes than its table {inside}: "
                f"{listed(sorted({entry.class_name for entry in tree.entries}))} and "
                f"{listed(sorted({entry.class_name for entry in other.entries}))}. Say which are meant: {way} for the "
                f"table, or --set data.levels={levels} for the folders."
            )
        if other.subjects is not None:
            said = f"The folders say the classes; {inside} says subjects, too, which were not read: {way} reads it."
            return tree._replace(cautions=(*tree.cautions, said))
    return tree._replace(cautions=(*tree.cautions, *_attributes(found), *_unnamed(listing, tree, found)))


def _attributes(found: Sequence[FoundTable]) -> Iterator[str]:
    """A word on tables that say several things of an image, none of which is its class."""
    for one in found:
        if isinstance(one.columns, Unclear) and one.columns.attributes:
            name = shown(one.file.path.name)
            yield f"The folders say the classes; {name} was not read: {one.columns.attributes}."


def _unnamed(listing: Listing, tree: Tree, found: Sequence[FoundTable]) -> Iterator[str]:
    """A word on tables of these very images whose other columns have names that say nothing by themselves."""
    names: set[str] = set()
    for one in found:
        columns = one.columns
        if not isinstance(columns, Unclear) or columns.attributes or "file" not in columns.known:
            continue
        names = names or {_stem(entry.file) for entry in tree.entries}
        rows = one.file.rows([one.file.header.index(columns.known["file"])])
        try:
            told = _has_half(names, (row[0] for _, row in itertools.islice(rows, _LOOKED_AT)))
        except DataError:  # no table of labels
            continue
        if told:
            inside = shown(one.file.path.relative_to(listing.root))
            yield (
                f"The folders say the classes; {inside}, which has rows of these images, was not read: {columns.why}. "
                f"--set {word(f'data.labels={inside}')} asks which of its columns to read."
            )


def _has_half(names: set[str], files: Iterable[str]) -> bool:
    """Whether half of the names are among those of the files; no more is read than that takes."""
    seen: set[str] = set()
    for file in files:
        if (stem := _stem(file)) in names:
            seen.add(stem)
            if 2 * len(seen) >= len(names):
                return True
    return False


def _stem(file: str) -> str:
    """The name of a file without folders and ending, as `PurePath.stem` is, for very many of them."""
    name = str(file).replace("\\", "/").rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _agree(tree: Tree, other: Tree) -> bool:
    """Whether folders and a table tell the same images apart, whatever they call them."""
    folders = {entry.file: entry.class_name for entry in tree.entries}
    pairs = {(folders[entry.file], entry.class_name) for entry in other.entries}
    return len(pairs) == len({one for one, _ in pairs}) == len({one for _, one in pairs})
