"""Published sets that are read by path: told by their files, so that classes have their names there, too."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from spikewise.data.arrays import Labelled
from spikewise.data.catalog import CATALOG, KnownSet
from spikewise.data.idx import encode_idx
from spikewise.data.image_set import Role

__all__ = ["class_names", "published_idx", "published_npz"]

_EMNIST = re.compile(r"(emnist-[a-z]+)-.*", re.IGNORECASE)
_MEDMNIST = re.compile(r"([a-z]+mnist)(?:_\d+)?\.npz", re.IGNORECASE)


def published_idx(path: Path, parts: Sequence[Labelled]) -> KnownSet | None:
    """The set that IDX files are: EMNIST's say it in their names, of others the labels are those that were published.

    Args:
        path: Of one of the files.
    """
    named = _EMNIST.fullmatch(path.name)
    if named is not None:
        return CATALOG.get(named[1].lower())
    sums = {hashlib.sha256(encode_idx(part.labels.astype("u1"))).hexdigest() for part in parts if _fits_a_byte(part)}
    for known in CATALOG.values():
        if any(file.content_sha256 in sums for file in known.files if "labels" in file.name):
            return known
    return None


def published_npz(path: Path, parts: Sequence[Labelled]) -> KnownSet | None:
    """The set of MedMNIST that an .npz is, in any of its sizes: it has the name and as many images in each part."""
    named = _MEDMNIST.fullmatch(path.name)
    known = CATALOG.get(named[1].lower()) if named else None
    counts = {part.role: len(part.labels) for part in parts}
    wanted = (Role.TRAIN, Role.VALIDATION, Role.TEST)
    return known if known is not None and tuple(counts.get(role, 0) for role in wanted) == known.counts else None


def class_names(known: KnownSet, parts: Sequence[Labelled]) -> tuple[tuple[str, ...], str] | None:
    """The names of the labels up to the highest that there is, and a note; None where a label is beyond the set's."""
    highest = max(int(part.labels.max()) for part in parts)
    if known.multi_label or highest >= len(known.classes):
        return None
    return known.classes[: highest + 1], f"Its classes are named as those of {known.title}, by its files."


def _fits_a_byte(part: Labelled) -> bool:
    return bool(part.labels.min() >= 0 and part.labels.max() < 256)
