"""Pairs of IDX files: images and their labels."""

import re
from collections.abc import Sequence
from pathlib import Path

from spikewise.data.arrays import Labelled, as_labels
from spikewise.data.idx import read_idx
from spikewise.data.image_set import Role
from spikewise.data.names import role_of
from spikewise.errors import DataError, MissingDataError

__all__ = ["idx_pairs", "is_idx", "read_pair"]

_NAME = re.compile(
    r"(?P<set>emnist-[a-z]+-)?(?P<role>[a-z0-9]+)[-_.](?P<what>images|labels)[-_.]idx\d-ubyte(?:\.gz)?", re.I
)


def read_pair(
    images: Path, labels: Path, role: Role, *, transposed: bool | None = None, first_label: int | None = None
) -> Labelled:
    """Read one pair.

    Args:
        transposed: Whether each image is stored with rows and columns exchanged; None: as EMNIST's files are, by name.
        first_label: Number of the first class; None: 1 for the letters of EMNIST, else 0.
    Raises:
        MissingDataError, DataError: as `read_idx`, and where the two do not fit together.
    """
    pixels, numbers = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or numbers.ndim != 1:
        raise DataError(
            f"{images} has shape {pixels.shape} and {labels} {numbers.shape}; expected images [N, H, W] and labels [N]."
        )
    if images.name.startswith("emnist-") if transposed is None else transposed:
        pixels = pixels.transpose(0, 2, 1)
    first = int(images.name.startswith("emnist-letters-")) if first_label is None else first_label
    return Labelled.pair(pixels, as_labels(numbers, f"{labels}") - first, role, images.name)


def is_idx(name: str) -> bool:
    """Whether a file is called as images or labels in IDX files are."""
    return _NAME.fullmatch(name) is not None


def idx_pairs(files: Sequence[Path], what: Path) -> list[tuple[Path, Path, Role]]:
    """Images, labels and role of each pair among the files; of a file and its .gz, the first counts.

    One file alone is joined by its sibling, and has no role.

    Raises:
        DataError: names that do not follow `train-images-idx3-ubyte`, or several sets in one folder.
        MissingDataError: images without labels, or labels without images.
    """
    found = {path: match for path in files if (match := _NAME.fullmatch(path.name))}
    if not found:
        raise DataError(
            f"{what} is none of: .npz, IDX (train-images-idx3-ubyte and train-labels-idx1-ubyte, .gz or not), folder."
        )
    sets = sorted({str(match["set"] or "").rstrip("-") for match in found.values()})
    if len(sets) > 1:
        raise DataError(f"{what} holds several sets ({', '.join(sets)}). Ask for one by name, for example {sets[-1]}.")
    pairs: dict[str, tuple[Path, Path, Role]] = {}
    for path, match in found.items():
        role = role_of(match["role"]) if len(files) > 1 else None
        pair = (_sibling(path, "images"), _sibling(path, "labels"))
        pairs.setdefault(match["role"].lower(), (*pair, Role.UNASSIGNED if role is None else role))
    return [pairs[key] for key in sorted(pairs, key=lambda key: pairs[key][2])]


def _sibling(path: Path, what: str) -> Path:
    number = {"images": "3", "labels": "1"}[what]
    name = re.sub(r"(?i)(idx)\d", rf"\g<1>{number}", re.sub("(?i)images|labels", what, path.name)).removesuffix(".gz")
    for sibling in (path.with_name(name), path.with_name(f"{name}.gz")):
        if sibling.exists():
            return sibling
    raise MissingDataError(f"{path} has no {what} beside it: {path.with_name(name)} is missing, with or without .gz.")
