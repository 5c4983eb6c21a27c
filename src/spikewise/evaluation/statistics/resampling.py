"""`Resampling`: how intervals are drawn, and which images are drawn together."""

from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from pydantic import Field

from spikewise.config import Config
from spikewise.errors import ShapeError

__all__ = [
    "Floats",
    "Groups",
    "Resampling",
    "count_units",
    "image_weights",
    "over_resamples",
    "parts_of_samples",
    "unit_of",
]

Groups = Int[np.ndarray, " N"] | None
"""The subject of each image, where subjects are known."""
Floats = NDArray[np.float64]

_AT_ONCE = 6_000_000
"""Numbers of resamples that are in memory at a time: 500 resamples of 12,000 images, and fewer of more images."""
_TOGETHER = 8
"""Rows that linear algebra may take together: parts of such lengths are added up as the whole is, to the last bit."""

Key = TypeVar("Key")


class Resampling(Config):
    """How intervals are drawn; the same one gives the same interval."""

    seed: Annotated[int, Field(ge=0)] = 0
    samples: Annotated[int, Field(ge=100)] = 2000
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    def generator(self, stream: int = 0) -> np.random.Generator:
        """A fresh generator; the global seed is never touched."""
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, stream], dtype=np.uint64)))


def unit_of(groups: Groups, images: int) -> NDArray[np.int64]:
    """What each image is resampled with: its subject where subjects are known, else itself.

    Raises:
        ShapeError: there is not one group for each image.
    """
    if groups is None:
        return np.arange(images)
    if groups.shape != (images,):
        raise ShapeError(f"Expected one group for each of {images} images; got {groups.shape}.")
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def count_units(groups: Groups, images: int) -> int:
    """Number of subjects where they are known, else of images."""
    return images if groups is None else len(np.unique(groups))


def parts_of_samples(samples: int, numbers: int) -> list[int]:
    """How many resamples of so many numbers each are made at a time, so that memory does not grow with the images.

    All parts are about as large: linear algebra adds up small ones in another order.
    """
    most = max(1, _AT_ONCE // max(1, numbers) // _TOGETHER) * _TOGETHER
    step = -(-samples // (-(-samples // most) * _TOGETHER)) * _TOGETHER
    return [min(step, samples - at) for at in range(0, samples, step)]


def image_weights(groups: Groups, images: int, resampling: Resampling) -> Floats:
    """How often each resample [samples, N] holds each image: for metrics that can be computed from weights."""
    return next(_weights(groups, images, resampling, [resampling.samples]))


def over_resamples(
    figures: Callable[[Floats], dict[Key, Floats]], groups: Groups, images: int, resampling: Resampling
) -> dict[Key, Floats]:
    """Figures by name [samples, ...] of all resamples, of which few are in memory at a time.

    Args:
        figures: gives them by name [B, ...] for the weights [B, N] of some resamples.
    """
    parts = parts_of_samples(resampling.samples, images)
    made = [figures(weights) for weights in _weights(groups, images, resampling, parts)]
    return {name: np.concatenate([one[name] for one in made]) for name in made[0]}


def _weights(groups: Groups, images: int, resampling: Resampling, parts: list[int]) -> Iterator[Floats]:
    """`image_weights` in parts of so many resamples; each overwrites the one before."""
    unit = unit_of(groups, images)
    units = int(unit.max()) + 1
    whole = np.empty((max(parts), images))
    generator, share = resampling.generator(), np.full(units, 1 / units)
    for count in parts:
        weights = whole[:count]
        for row in weights:  # one at a time: of large sets their integers alone would be as large as the weights
            row[:] = generator.multinomial(units, share)[unit]
        yield weights
