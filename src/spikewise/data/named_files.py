"""Files as a table names them: paths, addresses, or names, with or without what they end in."""

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import numpy as np
from jaxtyping import Int64

from spikewise.data.decode import SUFFIXES
from spikewise.data.names import file_name, parent_of, shown, stem_and_suffix

__all__ = ["Named", "find_named", "path_of"]

ABSENT: Final = -1
SEVERAL: Final = -2
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


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
    taken_off: int = 0
    """How many of the folders in names are passed over, at least."""


_ALL: Final = 1000
"""More folders than any name has."""


def find_named(names: Sequence[str], images: Sequence[str], root: Path, table: Path) -> Named:
    """Find the images that names stand for; all names of a table are read in one way, the first that finds most.

    Folders in names count once they find an image: `a/1.png`, where it is missing, is no other folder's `1.png`.
    Folders that stand before all names, and addresses, are those of another place: they are passed over.

    Args:
        names: What a table says.
        images: Paths below `root`, with / between their parts.
        table: The table's file, beside which images may lie.
    """
    plain = [path_of(name) for name in names]
    best = Named(np.full(len(names), ABSENT, np.int64), "")
    most = -1
    foldered = np.fromiter(("/" in name for name in plain), bool, len(plain))
    counting: int | None = None
    keys: dict[Callable[[str], str], dict[str, int]] = {}
    for way in _ways(plain, images, root, table):
        if counting is not None and way.taken_off > counting:
            break
        place = keys.get(way.of_image) or keys.setdefault(way.of_image, _places(images, way.of_image))
        found = np.fromiter((place.get(way.of_name(name), ABSENT) for name in plain), np.int64, len(plain))
        if counting is None and (foldered & (found != ABSENT)).any():
            counting = way.taken_off
        count = int((found >= 0).sum())
        if count > most or (count == most and (best.positions == ABSENT).all()):
            best, most = Named(found, way.says), count
        if count == len(names):
            break
    return best


def path_of(name: str) -> str:
    """What a table says as a path: that of an address, and / between its parts."""
    address = _ADDRESS.match(name)
    if address is not None:
        return unquote(re.split(r"[?#]", name[address.end() :])[0])
    return name.replace("\\", "/").removeprefix("./")


def _ways(names: Sequence[str], images: Sequence[str], root: Path, table: Path) -> Iterator[_Way]:
    beside = os.path.relpath(table.parent.absolute(), root.absolute()).replace(os.sep, "/")

    def from_table(name: str) -> str:
        return os.path.normpath(f"{beside}/{name}").replace(os.sep, "/")

    same = beside == "."
    yield _Way("their paths", str, str)
    if not same:
        yield _Way("their paths from the table's folder", str, from_table)
    yield _Way("their paths without what they end in", _without_suffix, str)
    if not same:
        yield _Way("their paths from the table's folder, without what they end in", _without_suffix, from_table)
    wrapping, outer = _outer(images), _outer(names)
    inside, inside_stems = (functools.partial(cut, at=len(wrapping)) for cut in (_cut, _cut_both))
    forms: list[tuple[str, Callable[[str], str]]] = [("", str), (", without what they end in", _without_suffix)]
    if wrapping:
        forms += [(f" in {shown(wrapping)}", inside), (f" in {shown(wrapping)}, without what they end in",
                                                        inside_stems)]  # fmt: skip
    for depth, end in enumerate([0, *(at + 1 for at, letter in enumerate(outer) if letter == "/")]):
        below = f" below {shown(outer[:end])}" if end else ""
        for says, of_image in forms if end else forms[2:]:
            yield _Way(f"their paths{below}{says}", of_image, functools.partial(_cut, at=end), depth)
    first = next((parent_of(name) for name in names if "/" in name), "")
    said = f"; the folders before them, such as {shown(first or '/')}, are not here" if first else ""
    yield _Way(f"their names{said}", file_name, file_name, _ALL)
    yield _Way(f"their names without what they end in{said}", lambda image: _without_suffix(file_name(image)),
               file_name, _ALL)  # fmt: skip


def _outer(paths: Sequence[str]) -> str:
    """The folders that stand before all of some paths, with a / at the end; empty where there are none."""
    first, last = (min(paths), max(paths)) if paths else ("", "")
    shared = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[: first.rfind("/", 0, shared) + 1]


def _cut(path: str, at: int) -> str:
    return path[at:]


def _cut_both(path: str, at: int) -> str:
    return _without_suffix(path[at:])


def _without_suffix(path: str) -> str:
    stem, suffix = stem_and_suffix(file_name(path))
    return path[: len(path) - len(suffix)] if suffix.lower() in SUFFIXES and stem else path


def _places(images: Sequence[str], key_of: Callable[[str], str]) -> dict[str, int]:
    """Where each key stands in the list of images."""
    place: dict[str, int] = {}
    for position, image in enumerate(images):
        key = key_of(image)
        place[key] = SEVERAL if key in place else position
    return place
