"""`Standard`: what centres and scales the channels of images, found on the training images alone."""

from typing import Annotated

import numpy as np
from jaxtyping import Int64, UInt8
from pydantic import Field

from spikewise.config import Config
from spikewise.encoders import Direct, Encoder
from spikewise.errors import ConfigError

__all__ = ["Standard", "standard_of", "standardised"]

_LEVELS = 256
_AT_ONCE = 1 << 24
"""Pixels counted together."""


class Standard(Config):
    """Mean and standard deviation of the intensity (0..1) of each channel."""

    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    deviation: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]

    def model_post_init(self, context: object) -> None:
        """Check that means and deviations belong together."""
        del context
        if len(self.mean) != len(self.deviation):
            raise ConfigError(
                f"standardise has {len(self.mean)} means and {len(self.deviation)} deviations; give one of each for "
                "each channel."
            )


def standard_of(images: UInt8[np.ndarray, "N C H W"], index: Int64[np.ndarray, " M"]) -> Standard:
    """Mean and deviation of each channel over some of the images, from exact counts of the 256 levels.

    They are rounded to six digits, so that a file holds them whole; a channel of one level has the deviation 1.
    """
    channels = images.shape[1]
    counts = np.zeros((channels, _LEVELS), np.int64)
    together = max(1, _AT_ONCE // max(int(np.prod(images.shape[1:])), 1))
    for start in range(0, len(index), together):
        some = images[index[start : start + together]]
        for channel in range(channels):
            counts[channel] += np.bincount(some[:, channel].ravel(), minlength=_LEVELS)
    moments = [_moments([int(count) for count in row]) for row in counts]
    return Standard(mean=tuple(mean for mean, _ in moments), deviation=tuple(spread for _, spread in moments))


def standardised(encoder: Encoder, standard: Standard | None) -> Encoder:
    """An encoder that sends currents with its currents standardised, where nobody gave it means; others as they are."""
    if standard is None or not isinstance(encoder, Direct) or encoder.mean:
        return encoder
    return encoder.replace(mean=standard.mean, deviation=standard.deviation)


def _moments(counts: list[int]) -> tuple[float, float]:
    """Mean and deviation of intensities, from how often each level is there; in whole numbers until the last step."""
    total = sum(counts)
    first = sum(level * count for level, count in enumerate(counts))
    second = sum(level * level * count for level, count in enumerate(counts))
    white = _LEVELS - 1
    if not total:
        return 0.0, 1.0
    variance = (total * second - first * first) / (total * white) ** 2
    spread = float(f"{variance**0.5:.6g}")
    return float(f"{first / (total * white):.6g}"), spread or 1.0
