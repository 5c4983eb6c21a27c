"""Very large sets: what is linear is looked for among all images, the rest among some of them, and it is said.

Identical images, subjects, blank images and balance need one pass. Near-duplicates, altered copies, marks and probes
take more than a number of images, more memory than a set of large ones leaves, or more time than one of noise allows;
they are looked for among images that are drawn evenly, as many as these three admit.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.audit.altered import NO_COPIES
from spikewise.data.audit.look import Look, part_of
from spikewise.data.audit.near import NO_PAIRS, crowd
from spikewise.data.audit.records import AuditFinding, percentage
from spikewise.data.counter import permutation
from spikewise.data.duplicates import identical_images
from spikewise.data.image_set import ImageSet, Split

__all__ = ["DrawnImages", "look_at_all", "sample_of", "sampled_finding"]

_LARGE: Final = 100_000
"""Images up to which all of them are looked at."""
_MOST, _FEWEST = 50_000, 2_000
"""Images of a sample."""
_BYTES: Final = 1 << 30
"""Of the pixels of a sample, which are copied."""
_PAIRS: Final = 50_000_000
"""Candidates for near-duplicates among its images, which take a minute on one core."""
_DRAWN = 209  # purpose of random numbers


class DrawnImages(NamedTuple):
    """Some images of a set."""

    images: ImageSet
    split: Split | None
    positions: Int64[np.ndarray, " n"]
    """Where they stand in the set."""


def sample_of(images: ImageSet, split: Split | None) -> DrawnImages | None:
    """The images that are looked at closely; None where those are all."""
    if len(images) <= _LARGE:
        return None
    order = permutation(len(images), _DRAWN)
    count = min(_MOST, max(_FEWEST, _BYTES // max(int(images.images[:1].nbytes), 1)))
    expected = crowd(images.images, order[:count])
    if expected > _PAIRS:
        count = max(_FEWEST, int(count * (_PAIRS / expected) ** 0.5))
    return _drawn(images, split, np.sort(order[:count]))


def look_at_all(images: ImageSet, split: Split | None) -> Look:
    """What one pass tells: which images are the same, pixel for pixel."""
    same = identical_images(images.images, np.arange(len(images)))
    return Look(images, part_of(images, split), same, NO_PAIRS, NO_COPIES, same)


def sampled_finding(images: int, closely: int) -> Iterator[AuditFinding]:
    """What a reader has to know of an audit that did not look at all images closely."""
    share = closely / images
    yield AuditFinding(
        check="sampled",
        severity="info",
        title=f"{closely:,} of {images:,} images were looked at closely ({percentage(share)} %, evenly drawn)",
        effect="Identical images, subjects, blank images and balance were looked for among all. Near-duplicates, "
        "altered copies, marks, metadata and other shortcuts were looked for among these alone: of pairs of "
        f"near-duplicates about {percentage(share**2)} % are found, while a shortcut that many images have is found as "
        "in a "
        "smaller set.",
        remedy="Where near-duplicates are likely, audit parts of the set by themselves.",
        count=closely,
    )


def _drawn(images: ImageSet, split: Split | None, positions: Int64[np.ndarray, " n"]) -> DrawnImages:
    number = np.full(len(images), -1, np.int64)
    number[positions] = np.arange(len(positions))
    sources = images.sources
    some = replace(
        images,
        images=np.ascontiguousarray(images.images[positions]),
        labels=images.labels[positions],
        roles=images.roles[positions],
        groups=None if images.groups is None else images.groups[positions],
        sources=None if sources is None else tuple(sources[at] for at in positions.tolist()),
        fingerprint=hashlib.sha256(f"{images.fingerprint} {len(positions)} of {len(images)}".encode()).hexdigest(),
    )
    parts = None if split is None else Split(*(_inside(number[part]) for part in split))
    return DrawnImages(some, parts, positions)


def _inside(numbers: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " n"]:
    inside: Int64[np.ndarray, " n"] = numbers[numbers >= 0]
    return inside
