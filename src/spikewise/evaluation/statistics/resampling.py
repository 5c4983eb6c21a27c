"""`Resampling`: how intervals are drawn, and which images are drawn together."""

from typing import Annotated

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from pydantic import Field

from spikewise.config import Config
from spikewise.errors import ShapeError

__all__ = ["Floats", "Groups", "Resampling", "count_units", "image_weights", "unit_of"]

Groups = Int[np.ndarray, " N"] | None
"""The subject of each image, where subjects are known."""
Floats = NDArray[np.float64]


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


def image_weights(groups: Groups, images: int, resampling: Resampling) -> Floats:
    """How often each resample [samples, N] holds each image: for metrics that can be computed from weights."""
    unit = unit_of(groups, images)
    units = int(unit.max()) + 1
    weights = np.empty((resampling.samples, images))
    generator, share = resampling.generator(), np.full(units, 1 / units)
    for row in weights:  # one at a time: of large sets their integers alone would be as large as the weights
        row[:] = generator.multinomial(units, share)[unit]
    return weights
