"""What a run folder notes of its images beside their fingerprint, so that it can say what has changed."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewise.data import ImageSet
from spikewise.data.names import listed

__all__ = ["NotedImages"]

_OF_LABELS = "the labels of images"
_OF_SUBJECTS = "who is on an image"


class NotedImages(NamedTuple):
    """Images as a run has them; a fingerprint holds the numbers of labels, and no names."""

    fingerprint: str
    classes: tuple[str, ...]
    """Name of each label, in label order."""
    total: int
    labels: str
    """SHA-256 of the labels, image by image; so are the next two, of parts and of subjects."""
    parts: str
    subjects: str
    """Empty where none are known."""

    @classmethod
    def of(cls, images: ImageSet) -> "NotedImages":
        """Those of a set."""
        subjects = "" if images.groups is None else _digest(images.groups)
        return cls(
            images.fingerprint, images.classes, len(images), _digest(images.labels), _digest(images.roles), subjects
        )

    def as_json(self) -> dict[str, Any]:
        """All but the fingerprint, which stands by itself in run.json."""
        return {key: value for key, value in self._asdict().items() if key != "fingerprint"}

    def changes_from(self, fingerprint: str, noted: Mapping[str, Any] | None) -> str | None:
        """What of these images is not as a run has them, in words; None where all is.

        Args:
            fingerprint: of the run's images.
            noted: what `as_json` gave then; None in folders of versions that noted less.
        """
        noted = noted or {}
        names = _renamed(tuple(noted["classes"]), self.classes) if "classes" in noted else None
        if fingerprint == self.fingerprint:  # which does not hold subjects that names of files tell
            subjects = None if self._same_subjects(noted) else _OF_SUBJECTS
            return "; ".join(filter(None, (names, subjects))) or None
        total = noted.get("total")
        if not isinstance(total, int):
            return names or "their pixels, labels, parts or subjects"
        if total != self.total:
            return f"{self.total:,} images in place of {total:,}" + (f", and {names}" if names else "")
        mine = self.as_json()
        words = {"labels": _OF_LABELS, "parts": "the parts of the split", "subjects": _OF_SUBJECTS}
        changed = [say for key, say in words.items() if noted.get(key) != mine[key]]
        if names:  # labels are numbered by the names
            changed = [names, *(say for say in changed if say != _OF_LABELS)]
        return "; ".join(changed) or "the pixels of images"

    def are_divided_as(self, fingerprint: str, noted: Mapping[str, Any] | None) -> bool:
        """Whether these are a run's images, with the same subjects, whatever their classes are called: then a split of
        them is the run's.

        Args:
            fingerprint, noted: as `changes_from` takes them.
        """
        return fingerprint == self.fingerprint and self._same_subjects(noted or {})

    def _same_subjects(self, noted: Mapping[str, Any]) -> bool:
        return bool(noted.get("subjects", self.subjects) == self.subjects)


def _renamed(then: tuple[str, ...], now: tuple[str, ...]) -> str | None:
    """How the names of classes differ."""
    if then == now:
        return None
    if sorted(then) == sorted(now):
        return f"the order of the classes: {listed(now)}, in place of {listed(then)}"
    gone, new = ([name for name in one if name not in other] for one, other in ((then, now), (now, then)))
    if len(then) == len(now):
        return f"the names of classes: {listed(_quoted(new))} in place of {listed(_quoted(gone))}"
    return f"the classes: {listed(now)}, in place of {listed(then)}"


def _quoted(names: list[str]) -> list[str]:
    return [f"'{name}'" for name in names]


def _digest(numbers: NDArray[np.integer[Any]]) -> str:
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()
