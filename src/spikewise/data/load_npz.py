"""Which members of an .npz are images and labels, and of which part."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewise.data.arrays import Labelled, as_labels
from spikewise.data.classes import unify
from spikewise.data.image_set import Role
from spikewise.data.names import role_of
from spikewise.data.npz import member_names, read_member
from spikewise.errors import DataError

__all__ = ["NpzParts", "read_npz"]

_IMAGES = ("images", "image", "x", "data")
_LABELS = ("labels", "label", "y", "targets", "target")


class NpzParts(NamedTuple):
    """What an .npz holds."""

    parts: list[Labelled]
    classes: list[str] | None
    """Where the labels are words: the words, sorted."""
    cautions: tuple[str, ...] = ()
    """Words that are one class, but are not written as one."""


def read_npz(path: Path) -> NpzParts:
    """Read every pair of images and labels of an .npz.

    Members are named as MedMNIST does (`train_images`, `train_labels`, `val_...`, `test_...`), as Keras does
    (`x_train`, `y_train`), or plainly (`images` or `x`, with `labels` or `y`).

    Raises:
        MissingDataError: no such file.
        DataError: no such members, or images and labels that do not fit together.
    """
    names = member_names(path)
    pairs = _pairs(names, path)
    labels = [as_labels(read_member(path, pair[1]), f"'{pair[1]}' in {path}") for pair in pairs]
    classes: list[str] | None = None
    cautions: tuple[str, ...] = ()
    if any(words.dtype.kind == "U" for words in labels):
        classes, labels, cautions = _number(labels, path)
    parts = [
        Labelled.pair(read_member(path, images), numbers, role, f"'{images}' in {path}")
        for (images, _, role), numbers in zip(pairs, labels, strict=True)
    ]
    return NpzParts(parts, classes, cautions)


def _pairs(names: Sequence[str], path: Path) -> list[tuple[str, str, Role]]:
    by_place: dict[tuple[Role, bool], str] = {}
    for name in names:
        place = _place(name)
        if place is not None and place in by_place:
            raise DataError(f"{path}: '{by_place[place]}' and '{name}' say they are the same thing. Keep one of them.")
        if place is not None:
            by_place[place] = name
    roles = sorted({role for role, _ in by_place})
    lone = [name for (role, labels), name in by_place.items() if (role, not labels) not in by_place]
    if not roles or lone or (len(roles) > 1 and Role.UNASSIGNED in roles):
        problem = f"'{lone[0]}' has no counterpart" if lone else "images and labels were not recognised"
        raise DataError(
            f"{path} holds {', '.join(names) or 'nothing'}: {problem}. Expected train_images and train_labels "
            "(and val_, test_), or x_train and y_train, or images and labels."
        )
    return [(by_place[role, False], by_place[role, True], role) for role in roles]


def _place(name: str) -> tuple[Role, bool] | None:
    """Role, and whether it is labels; None for a member that is neither."""
    words = re.split(r"[_\-./]", name.lower())
    what = [word for word in words if word in _IMAGES or word in _LABELS]
    roles = [role for word in words if (role := role_of(word)) is not None]
    if len(what) != 1 or len(what) + len(roles) != len(words) or len(roles) > 1:
        return None
    return (roles[0] if roles else Role.UNASSIGNED), what[0] in _LABELS


def _number(labels: list[NDArray[Any]], path: Path) -> tuple[list[str], list[NDArray[Any]], tuple[str, ...]]:
    if any(words.dtype.kind != "U" for words in labels):
        raise DataError(f"{path}: some labels are words and others numbers. Use one kind.")
    words, numbers = np.unique(np.concatenate(labels), return_inverse=True)
    classes = unify(str(word) for word in words)
    of_word = np.array([classes.label[str(word)] for word in words], np.int64)
    ends = np.cumsum([len(part) for part in labels])[:-1]
    return list(classes.names), np.split(of_word[numbers], ends), classes.cautions
