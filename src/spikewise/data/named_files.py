"""Files as a table names them: paths, or names, with or without what they end in."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.decode import SUFFIXES
from spikewise.data.names import file_name, stem_and_suffix

__all__ = ["Named", "find_named"]

ABSENT: Final = -1
SEVERAL: Final = -2


class Named(NamedTuple):
    """Which image each name stands for."""

    positions: Int64[np.ndarray, " R"]
    """In the list of images; `ABSENT` where there is none, `SEVERAL` where the name fits more than one."""
    way: str
    """How names were read, for people."""


class _Way(NamedTuple):
    """A way to read names."""

    says: str
    of_image: Callable[[str], str]
    of_name: Callable[[str], str]
    by_name: bool = False
    """Whether the folders in names are passed over."""


def find_named(names: Sequence[str], images: Sequence[str], root: Path, table: Path) -> Named:
    """Find the images that names stand for; all names of a table are read in one way, the first that finds most.

    Folders in names count once they find an image: `a/1.png`, where it is missing, is no other folder's `1.png`.

    Args:
        names: What a table says.
        images: Paths below `root`, with / between their parts.
        table: The table's file, beside which images may lie.
    """
    plain = [name.replace("\\", "/").removeprefix("./") for name in names]
    best = Named(np.full(len(names), ABSENT, np.int64), "")
    most = -1
    foldered = np.fromiter(("/" in name for name in plain), bool, len(plain))
    folders_count = False
    for way in _ways(root, table):
        if way.by_name and folders_count:
            break
        found = _found(plain, images, way)
        folders_count |= bool((foldered & (found != ABSENT)).any())
        count = int((found >= 0).sum())
        if count > most or (count == most and (best.positions == ABSENT).all()):
            best, most = Named(found, way.says), count
        if count == len(names):
            break
    return best


def _ways(root: Path, table: Path) -> list[_Way]:
    beside = os.path.relpath(table.parent.absolute(), root.absolute()).replace(os.sep, "/")

    def from_table(name: str) -> str:
        return os.path.normpath(f"{beside}/{name}").replace(os.sep, "/")

    same = beside == "."
    return [
        _Way("their paths", str, str),
        *(() if same else (_Way("their paths from the table's folder", str, from_table),)),
        _Way("their paths without what they end in", _without_suffix, str),
        *(() if same else (_Way("their paths from the table's folder, without what they end in", _without_suffix,
                                from_table),)),
        _Way("their names", file_name, file_name, by_name=True),
        _Way("their names without what they end in", lambda image: _without_suffix(file_name(image)), file_name,
             by_name=True),
    ]  # fmt: skip


def _without_suffix(path: str) -> str:
    stem, suffix = stem_and_suffix(file_name(path))
    return path[: len(path) - len(suffix)] if suffix.lower() in SUFFIXES and stem else path


def _found(names: Sequence[str], images: Sequence[str], way: _Way) -> Int64[np.ndarray, " R"]:
    place: dict[str, int] = {}
    for position, image in enumerate(images):
        key = way.of_image(image)
        place[key] = SEVERAL if key in place else position
    return np.fromiter((place.get(way.of_name(name), ABSENT) for name in names), np.int64, len(names))
