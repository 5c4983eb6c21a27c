"""Which images a run has had before it, by digests of their pixels: so that no copy of them is taken for others."""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt64

from spikewise.data.image_set import ImageSet, Split

__all__ = ["SeenImages", "pixel_digests"]


class SeenImages(NamedTuple):
    """Digests of the images of a run, sorted, each once; no image can be seen in them."""

    learned: UInt64[np.ndarray, " L"]
    """Of those that networks were trained on or chosen by."""
    tested: UInt64[np.ndarray, " T"]
    """Of those that were kept for the test."""

    @classmethod
    def of(cls, images: ImageSet, split: Split) -> "SeenImages":
        """Those of a divided set."""
        learned = pixel_digests(images.images, np.concatenate([split.train, split.validation]))
        return cls(np.unique(learned), np.unique(pixel_digests(images.images, split.test)))

    def learned_from(
        self, images: UInt8[np.ndarray, "N C H W"], index: Int64[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Which of the images at `index` are, pixel for pixel, among those that networks learned from."""
        return _among(pixel_digests(images, index), self.learned)

    def tested_on(self, images: UInt8[np.ndarray, "N C H W"], index: Int64[np.ndarray, " n"]) -> bool:
        """Whether one of the images at `index` is among those of the test."""
        return bool(_among(pixel_digests(images, index), self.tested).any())


def _among(digests: UInt64[np.ndarray, " n"], known: UInt64[np.ndarray, " K"]) -> Bool[np.ndarray, " n"]:
    """Which digests are among the known ones; these are sorted, and a few are looked up in millions without a look at
    each.
    """
    if not len(known):
        return np.zeros(len(digests), bool)
    at = np.searchsorted(known, digests)
    among: Bool[np.ndarray, " n"] = known[np.minimum(at, len(known) - 1)] == digests
    return among


def pixel_digests(images: UInt8[np.ndarray, "N C H W"], index: Int64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """64 bits of BLAKE2b over the pixels of each of these images.

    That one of a million images has the digest of another million's has a chance of 1 in 18 million. One image is read
    at a time, so that a memory map stays on disk.
    """
    digests = (hashlib.blake2b(images[at].tobytes(), digest_size=8).digest() for at in index)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
