"""Whether images of one subject on two sides of a split really resemble each other.

Subjects are read from names, and a publisher may have numbered each part from 1. Then images that share a number across
parts are as unlike as strangers, although images that share one within a part are not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.audit.look import Look
from spikewise.data.audit.shrink import shrink, standard
from spikewise.data.counter import permutation

__all__ = ["SubjectLikeness", "subject_likeness"]

_ASKED, _STRANGERS, _FEWEST = 400, 40, 30
_SURE = 3.0
"""Standard errors."""


class SubjectLikeness(NamedTuple):
    """How often an image of the same subject and class is closer than a stranger of that class; 0.5 is chance."""

    across: float
    across_error: float
    """Standard error over subjects."""
    within: float
    within_error: float

    @property
    def refuted(self) -> bool:
        """Whether kin within a part are alike, and those across parts clearly less so and no more than strangers."""
        gap = float(np.hypot(self.across_error, self.within_error))
        return (
            self.within - 0.5 > _SURE * self.within_error
            and self.within - self.across > _SURE * gap
            and self.across - 0.5 < _SURE * self.across_error
        )

    def describe(self) -> str:
        """The two shares in a sentence."""
        return (
            f"An image resembles one of the same subject in another part more than a stranger's in "
            f"{100 * self.across:.0f} % "
            f"of cases (within a part: {100 * self.within:.0f} %; chance: 50 %)."
        )


def subject_likeness(look: Look) -> SubjectLikeness | None:
    """Measure it on at most 400 subjects a side; none where there are fewer than 30 to ask."""
    across, within = _kin(look, across=True), _kin(look, across=False)
    if min(len(across), len(within)) < _FEWEST:
        return None
    scores = [_closer(look, pairs) for pairs in (across, within)]
    (a, a_error), (b, b_error) = ((float(s.mean()), float(s.std(ddof=1) / np.sqrt(len(s)))) for s in scores)
    return SubjectLikeness(a, a_error, b, b_error)


def _kin(look: Look, *, across: bool) -> list[tuple[int, int]]:
    """A pair of different images of one subject and class for each subject that has one: test and train, or train."""
    assert look.images.groups is not None
    _, subject = np.unique(look.images.groups, return_inverse=True)
    key = subject * len(look.images.classes) + look.labels
    order = permutation(len(key), 2)
    seen = look.part < 2 if across else look.part == 0
    partners: dict[int, list[int]] = {}
    for image in order[seen[order] & (look.part[order] >= 0)].tolist():
        partners.setdefault(int(key[image]), []).append(image)
    found: dict[int, tuple[int, int]] = {}
    for image in order[look.part[order] == (2 if across else 0)].tolist():
        mine = int(subject[image])
        if mine in found:
            continue
        other = next((p for p in partners.get(int(key[image]), []) if look.same[p] != look.same[image]), None)
        if other is not None:
            found[mine] = (image, other)
        if len(found) == _ASKED:
            break
    return list(found.values())


def _closer(look: Look, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """For each pair, the share of strangers (same class, same part as the second) that are further from the first."""
    assert look.images.groups is not None
    pools: dict[tuple[int, int], Int64[np.ndarray, " _"]] = {}
    order = permutation(len(look.labels), 3)
    out = np.empty(len(pairs))
    for at, (image, other) in enumerate(pairs):
        kind = int(look.labels[image]), int(look.part[other])
        if kind not in pools:
            pools[kind] = order[(look.labels[order] == kind[0]) & (look.part[order] == kind[1])][: 2 * _STRANGERS]
        pool = pools[kind]
        strangers = pool[look.images.groups[pool] != look.images.groups[image]][:_STRANGERS]
        small = shrink(look.images.images, (16, 16), np.concatenate([[image, other], strangers]))
        vectors = standard(small.reshape(len(small), -1))
        distance = np.linalg.norm(vectors[1:] - vectors[0], axis=1)
        out[at] = (
            0.5
            if len(strangers) == 0
            else ((distance[0] < distance[1:]).mean() + 0.5 * (distance[0] == distance[1:]).mean())
        )
    return out
