"""Arrays that a run left on disk, checked before anything is computed from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from spikewise.data.npz import member_names, read_member
from spikewise.errors import DataError
from spikewise.reading import REMEDY, check_regular, damaged

__all__ = ["NUMBERS", "check_array", "read_answers", "read_arrays"]

NUMBERS: Final = "biuf"
"""Kinds of NumPy's types that are numbers."""


def read_arrays(path: Path, remedy: str = REMEDY) -> dict[str, NDArray[Any]]:
    """Every array of an `.npz`, by name.

    Raises:
        RunError: it is missing, no file, or damaged.
    """
    check_regular(path, remedy)
    try:
        return {name: read_member(path, name) for name in member_names(path)}
    except DataError as error:
        raise damaged(path, error, remedy) from None


def read_answers(
    path: Path, classes: int | None = None
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"], Float[np.ndarray, "N K"]]:
    """Positions, labels and logits of a `test.npz`.

    Args:
        classes: How many there are; None: as many as there are logits.
    Raises:
        RunError: it is missing, damaged, or does not hold the answers of one network on some images.
    """
    arrays = read_arrays(path)
    index = check_array(path, arrays, "index", "iu", 1)
    labels = check_array(path, arrays, "labels", "iu", 1)
    logits = check_array(path, arrays, "logits", "f", 2)
    if not len(index) == len(labels) == len(logits) or not len(index):
        raise damaged(path, f"{len(index)} positions, {len(labels)} labels and {len(logits)} answers")
    known = logits.shape[1]
    if known < 2 or classes not in (None, known) or labels.min() < 0 or labels.max() >= known or index.min() < 0:
        raise damaged(path, f"labels, positions or classes beyond the {known} that it answers")
    return index.astype(np.int64), labels.astype(np.int64), logits


def check_array(  # what is known of an array
    path: Path, arrays: dict[str, NDArray[Any]], name: str, kinds: Iterable[str], axes: int, remedy: str = REMEDY
) -> NDArray[Any]:
    """The array of that name, of one of these kinds of type, with so many axes, and finite.

    Raises:
        RunError: it is not there, or another.
    """
    if name not in arrays:
        raise damaged(path, f"it lacks '{name}'", remedy)
    found = arrays[name]
    if found.dtype.kind not in kinds or found.ndim != axes:
        raise damaged(path, f"'{name}' is an array {found.shape} of {found.dtype}", remedy)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise damaged(path, f"'{name}' holds values that are no numbers", remedy)
    return found
