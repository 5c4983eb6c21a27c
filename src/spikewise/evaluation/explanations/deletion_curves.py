"""Does a map name the pixels that matter? Take them away, the most important first, and watch the answer.

Source: Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC 2018,
section 4.1 (deletion).
"""

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from spikewise.evaluation.explanations.scoring import SeededNetwork, probabilities

__all__ = ["SHARES", "Deleted", "deletion", "order_of", "without_a_map"]

SHARES: Final = tuple(k / 20 for k in range(21))
"""Shares of the pixels that are black."""
_SHUFFLES: Final = 3
Order = Int[np.ndarray, "N P"]
"""Pixels of each image, the one that is taken first in front."""


class Deleted(NamedTuple):
    """The probability of the answers while pixels are taken away."""

    curves: Float[np.ndarray, "N S"]
    """At each of the `SHARES`."""

    @property
    def areas(self) -> Float[np.ndarray, " N"]:
        """Area under each curve, by the trapezoidal rule: from 0 to 1."""
        return np.asarray((self.curves[:, 1:] + self.curves[:, :-1]) @ np.diff(SHARES) / 2)


def order_of(maps: Float[np.ndarray, "N H W"]) -> Order:
    """The highest value first; equal ones in the order of the pixels."""
    return np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")


def deletion(
    seeded: SeededNetwork,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
    answers: Int[np.ndarray, " N"],
    order: Order,
) -> Deleted:
    """Probability of each answer when the first pixels of `order` are black, for growing shares of them.

    Args:
        index: key of each image's random numbers.
    """
    n, channels, height, width = images.shape
    pixels = height * width
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(pixels), order.shape), axis=1)
    taken = np.array([round(share * pixels) for share in SHARES])
    keep = rank[:, None] >= taken[None, :, None]
    changed = images.reshape(n, 1, channels, pixels) * keep[:, :, None].astype(np.uint8)
    said = probabilities(seeded, changed.reshape(-1, channels, height, width), np.repeat(index, len(SHARES))).reshape(
        n, len(SHARES), -1
    )
    return Deleted(said[np.arange(n), :, answers])


def without_a_map(
    seeded: SeededNetwork,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
    answers: Int[np.ndarray, " N"],
) -> dict[str, Deleted]:
    """The two orders that need no map: random, and the brightest first."""
    shuffled = [deletion(seeded, images, index, answers, one) for one in _shuffles(images, seeded.seed)]
    bright = deletion(seeded, images, index, answers, order_of(images.mean(axis=1, dtype=np.float64)))
    return {"random": Deleted(np.mean([one.curves for one in shuffled], axis=0)), "brightest": bright}


def _shuffles(images: UInt8[np.ndarray, "N C H W"], seed: int) -> list[Order]:
    rng = np.random.default_rng(seed)
    pixels = np.tile(np.arange(images[0, 0].size), (len(images), 1))
    return [rng.permuted(pixels, axis=1) for _ in range(_SHUFFLES)]
