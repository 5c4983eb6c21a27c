"""The answer among scores, as `spikewise.ties` gives it to an image at place 0, for integers as for floats."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from spikewise.ties import PLACE_0

__all__ = ["answered", "chosen"]


def chosen(scores: NDArray[Any], membranes: NDArray[Any]) -> Int64[np.ndarray, " B"]:
    """The class of each image: highest score, then highest membrane, then the draw."""
    best = scores == scores.max(1, keepdims=True)
    lowest = np.iinfo(np.int64).min if membranes.dtype.kind == "i" else -np.inf
    high = best & (membranes == np.where(best, membranes, lowest).max(1, keepdims=True))
    drawn = PLACE_0 % high.sum(1, keepdims=True)
    return np.asarray((high & (high.cumsum(1) - 1 == drawn)).argmax(1))


def answered(scores: NDArray[Any], classes: NDArray[Any], unit: float) -> Float[np.ndarray, "B K"]:
    """Scores in real numbers, in which the answer stands highest; each step up is the smallest there is."""
    real = scores.astype(np.float64) * unit
    at = np.arange(len(real)), classes
    others = real.copy()
    others[at] = -np.inf
    real[at] = np.maximum(real[at], np.nextafter(others.max(1), np.inf))
    return real
