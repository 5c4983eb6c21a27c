"""`Look`: what every check of an audit needs, worked out once."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int8, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spikewise.data.audit.altered import Altered, altered_pairs
from spikewise.data.audit.files import FileFacts
from spikewise.data.audit.near import NearPairs, near_pairs
from spikewise.data.audit.records import ImagePlace
from spikewise.data.counter import permutation
from spikewise.data.duplicates import identical_images
from spikewise.data.image_set import ImageSet, Split
from spikewise.data.names import shown
from spikewise.errors import StorageError
from spikewise.files import make_folder, write_npz

__all__ = ["LISTED", "PARTS", "Look", "look_at", "part_of"]

PARTS: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")
LISTED = 200
"""Groups of images that a finding lists."""
_VERSION = 2
"""Of what counts as a near-duplicate."""
_PURPOSE = 208  # of random numbers
_MEMBERS = 20
"""Images of a group that a finding lists."""


@dataclass(frozen=True, eq=False)
class Look:
    """A set, its split, and which of its images are the same."""

    images: ImageSet
    part: Int8[np.ndarray, " N"]
    """0, 1, 2 for train, validation, test; -1 for images in none."""
    same: Int64[np.ndarray, " N"]
    """Number of the distinct image that each image is."""
    near: NearPairs
    """Among the first of each number."""
    altered: Altered
    """As `near`, among copies that were turned round, inverted, moved or given other tones."""
    alike: Int64[np.ndarray, " N"]
    """As `same`, with near-duplicates counted as one."""
    facts: Sequence[FileFacts] = ()
    """Of every image file below the set's folder, also of those that are not in the set."""
    altered_among: int | None = None
    """Images among which altered copies were looked for; None: all."""
    origin: Int64[np.ndarray, " N"] | None = None
    """Positions of the images in a larger set that they were drawn from."""

    @property
    def labels(self) -> Int64[np.ndarray, " N"]:
        """Of the set."""
        return self.images.labels

    @property
    def units(self) -> Int64[np.ndarray, " N"]:
        """Numbers what may not be separated: images alike, images of a subject, and whatever these connect."""
        if self.images.groups is None:
            return self.alike
        return join(len(self.labels), _chain(self.alike), _chain(self.images.groups))

    def place(self, index: int) -> ImagePlace:
        """One image in words."""
        part = int(self.part[index])
        return ImagePlace(
            index=index if self.origin is None else int(self.origin[index]),
            part=PARTS[part] if part >= 0 else None,
            label=self.images.classes[int(self.labels[index])],
            file=None if self.images.sources is None else shown(self.images.sources[index]),
        )

    def places(self, groups: Iterable[Int64[np.ndarray, " _"]]) -> tuple[tuple[ImagePlace, ...], ...]:
        """Groups of images in words, cut off beyond `LISTED` groups; of each group one image of each part first."""
        chosen = [self._by_parts(group) for group, _ in zip(groups, range(LISTED), strict=False)]
        return tuple(tuple(self.place(int(index)) for index in group[:_MEMBERS]) for group in chosen)

    def _by_parts(self, group: Int64[np.ndarray, " G"]) -> Int64[np.ndarray, " G"]:
        _, first = np.unique(self.part[group], return_index=True)
        return np.concatenate([np.sort(group[first]), np.delete(group, first)])


def look_at(
    images: ImageSet,
    split: Split | None,
    facts: Sequence[FileFacts] = (),
    *,
    cache: Path | None = None,
    altered_among: int | None = None,
) -> Look:
    """Find the images that are the same, and those that are nearly so.

    Args:
        cache: Folder that keeps the near-duplicates of a set, so that another split of it costs nothing.
        altered_among: Distinct images, drawn at random, among which altered copies are looked for; None is all.
    """
    same = identical_images(images.images, np.arange(len(images)))
    _, first = np.unique(same, return_index=True)
    near, altered, among = _kept_pairs(images, first, cache, altered_among)
    alike = join(len(images), _chain(same), (near.first, near.second), (altered.first, altered.second))
    return Look(images, part_of(images, split), same, near, altered, alike, facts, among)


def part_of(images: ImageSet, split: Split | None) -> Int8[np.ndarray, " N"]:
    """The part of each image; see `Look.part`."""
    part = np.full(len(images), -1, np.int8)
    for number, positions in enumerate(split or ()):
        part[positions] = number
    return part


def _kept_pairs(
    images: ImageSet, first: Int64[np.ndarray, " M"], cache: Path | None, among: int | None
) -> tuple[NearPairs, Altered, int | None]:
    """Near-duplicates from the cache, or found and put there; a cache that cannot be written is passed over.

    Those among all images are taken where they are there, whatever was asked for.
    """
    if among is not None and len(first) <= among:
        among = None
    few = first if among is None else np.sort(first[permutation(len(first), _PURPOSE)[:among]])
    if cache is None:
        return near_pairs(images.images, first), altered_pairs(images.images, few), among
    stem = f"{images.fingerprint[:32]}-{_VERSION}"
    whole, part = cache / f"{stem}.near.npz", cache / f"{stem}-{among}.near.npz"
    for path, size in ((whole, None), *([] if among is None else [(part, among)])):
        with contextlib.suppress(OSError, ValueError, KeyError, BadZipFile), np.load(path, allow_pickle=False) as kept:
            return (*_unpacked(kept), size)
    near, altered = near_pairs(images.images, first), altered_pairs(images.images, few)
    median = -1.0 if near.neighbour is None else near.neighbour
    arrays = near._replace(neighbour=median)._asdict() | {f"altered_{k}": v for k, v in altered._asdict().items()}
    with contextlib.suppress(StorageError):
        make_folder(cache)
        write_npz(whole if among is None else part, **{name: np.asarray(value) for name, value in arrays.items()})
    return near, altered, among


def _unpacked(kept: Mapping[str, np.ndarray]) -> tuple[NearPairs, Altered]:
    median = float(kept["neighbour"])
    return (
        NearPairs(
            kept["first"], kept["second"], kept["mirrored"], int(kept["candidates"]), None if median < 0 else median
        ),
        Altered(
            first=kept["altered_first"],
            second=kept["altered_second"],
            orientation=kept["altered_orientation"],
            inverted=kept["altered_inverted"],
            ranked=kept["altered_ranked"],
            moved=kept["altered_moved"],
            compared=int(kept["altered_compared"]),
        ),
    )


def members(numbers: Int64[np.ndarray, " N"], wanted: Iterable[int] | None = None) -> list[Int64[np.ndarray, " _"]]:
    """Positions of each number that occurs more than once, or of the wanted numbers."""
    order = np.argsort(numbers, kind="stable")
    _, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    keep = np.flatnonzero(counts > 1) if wanted is None else np.searchsorted(np.unique(numbers), sorted(wanted))
    return [order[starts[k] : starts[k] + counts[k]] for k in keep]


def join(count: int, *edges: tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]) -> Int64[np.ndarray, " N"]:
    """Number the connected components of `count` images."""
    a, b = (np.concatenate([pair[side] for pair in edges]) for side in (0, 1))
    _, numbers = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(count, count)), directed=False)
    return np.asarray(numbers, np.int64)


def _chain(numbers: Int64[np.ndarray, " N"]) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Edges from each image to the first of its number."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.arange(len(numbers)), first[inverse].astype(np.int64)
