"""Images that are the same, pixel for pixel, and subjects or images that stand on two sides of a split."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from spikewise.data.image_set import ImageSet, Split

__all__ = ["PartOverlap", "identical_images", "part_overlap"]


@dataclass(frozen=True)
class PartOverlap:
    """What stands on two sides of a split; all zero in a clean one."""

    groups: int | None
    """Subjects with images in more than one part; None where subjects are unknown."""
    group_images: int
    """Images of these subjects."""
    duplicates: int
    """Sets of pixel-identical images that lie in more than one part."""
    duplicate_images: int
    """Images in these sets."""
    duplicate_pairs: dict[str, int]
    """Sets of identical images shared by two parts: `train/validation`, `train/test`, `validation/test`."""
    contradictions: int
    """Sets of pixel-identical images with different labels, anywhere."""

    @property
    def clean(self) -> bool:
        """Whether no subject and no image stands on two sides."""
        return not self.groups and not self.duplicates

    def describe(self) -> str:
        """The report in one or two sentences."""
        subjects = "Subjects are unknown."
        if self.groups is not None:
            subjects = f"{self.groups} subject{'s straddle' if self.groups != 1 else ' straddles'} the parts."
        identical = f"image{'s straddle' if self.duplicates != 1 else ' straddles'} the parts"
        pairs = ", ".join(f"{pair} {count}" for pair, count in self.duplicate_pairs.items() if count)
        return f"{subjects} {self.duplicates} pixel-identical {identical}{f' ({pairs})' if pairs else ''}."


def identical_images(
    images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"]
) -> Int64[np.ndarray, " M"]:
    """Number the distinct images 0, 1, 2, ... by first occurrence; identical images get the same number.

    Reads one image at a time, so that a memory map stays on disk.
    """
    numbers: dict[bytes, int] = {}
    digests = (hashlib.blake2b(images[position].tobytes(), digest_size=16).digest() for position in positions)
    return np.fromiter((numbers.setdefault(digest, len(numbers)) for digest in digests), np.int64, len(positions))


def part_overlap(image_set: ImageSet, split: Split) -> PartOverlap:
    """Count the subjects and the identical images that stand on more than one side of a split.

    Only images that are in the split count. Published splits may leak; those made by `split` do not.
    """
    chosen = np.concatenate(split)
    part = np.repeat(np.arange(3), [len(positions) for positions in split])
    same = identical_images(image_set.images, chosen)
    labels = image_set.labels[chosen]
    seen = _presence(same, part)
    pairs = {"train/validation": (0, 1), "train/test": (0, 2), "validation/test": (1, 2)}
    crossing = seen.sum(axis=1) > 1
    groups, group_images = None, 0
    if image_set.groups is not None:
        _, numbers = np.unique(image_set.groups[chosen], return_inverse=True)
        crossed = _presence(numbers, part).sum(axis=1) > 1
        groups, group_images = int(crossed.sum()), int(crossed[numbers].sum())
    return PartOverlap(
        groups=groups,
        group_images=group_images,
        duplicates=int(crossing.sum()),
        duplicate_images=int(crossing[same].sum()),
        duplicate_pairs={name: int((seen[:, a] & seen[:, b]).sum()) for name, (a, b) in pairs.items()},
        contradictions=_contradictions(same, labels),
    )


def _presence(numbers: Int64[np.ndarray, " N"], part: Int64[np.ndarray, " N"]) -> np.ndarray:
    seen = np.zeros((int(numbers.max()) + 1 if len(numbers) else 0, 3), np.bool_)
    seen[numbers, part] = True
    return seen


def _contradictions(same: Int64[np.ndarray, " N"], labels: Int64[np.ndarray, " N"]) -> int:
    distinct = np.unique(np.stack([same, labels]), axis=1)[0]
    return int((np.bincount(distinct) > 1).sum()) if len(distinct) else 0
