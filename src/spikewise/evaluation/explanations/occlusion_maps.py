"""Occlusion: how much less probable an answer becomes when a square of the image is black.

Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, sec. 4.2.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from spikewise.evaluation.explanations.scoring import SeededNetwork, probabilities

__all__ = ["Squares", "occlusion", "squares_for"]


class Squares(NamedTuple):
    """The squares that are covered, one after the other."""

    side: int
    stride: int

    def corners(self, length: int) -> list[int]:
        """Where they begin along one side of the image; the last one ends at its edge."""
        last = max(0, length - self.side)
        return sorted({*range(0, last + 1, self.stride), last})


def squares_for(height: int, width: int) -> Squares:
    """Squares of about a seventh of the shorter side, at least two pixels, that overlap by half."""
    shorter = min(height, width)
    side = min(shorter, max(2, round(shorter / 7)))
    return Squares(side, max(1, side // 2))


def occlusion(
    seeded: SeededNetwork,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
    answers: Int[np.ndarray, " N"],
    squares: Squares | None = None,
) -> Float[np.ndarray, "N H W"]:
    """For each pixel the mean fall of the answer's probability over the black squares that cover it.

    Args:
        index: key of each image's random numbers; the same spikes are drawn for all squares of an image.
        answers: class whose probability is watched.
    """
    n, _, height, width = images.shape
    squares = squares or squares_for(height, width)
    places = [(y, x) for y in squares.corners(height) for x in squares.corners(width)]
    whole = probabilities(seeded, images, index)[np.arange(n), answers]
    total, covered = np.zeros((n, height, width)), np.zeros((height, width))
    changed = np.repeat(images[:, None], len(places), axis=1)
    for at, (y, x) in enumerate(places):
        changed[:, at, :, y : y + squares.side, x : x + squares.side] = 0
        covered[y : y + squares.side, x : x + squares.side] += 1
    said = probabilities(seeded, changed.reshape(-1, *images.shape[1:]), np.repeat(index, len(places)))
    left = said[np.arange(len(said)), np.repeat(answers, len(places))].reshape(n, len(places))
    for at, (y, x) in enumerate(places):
        fall = (whole - left[:, at])[:, None, None]
        total[:, y : y + squares.side, x : x + squares.side] += fall
    return total / covered
