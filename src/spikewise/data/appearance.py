"""How bright and how full of contrast images are, so that a network can say of others that they are unlike its own."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8

__all__ = ["Appearance", "appearance", "unlike"]

_MOST_IMAGES = 5000
"""Evenly spaced ones stand for all."""
_BLOCK = 256
_FAR = 4.0
"""Standard deviations (of the training images) beyond which an image is unlike them: 1 in 16,000 of a normal spread."""
_NARROW = 2.0
"""Least standard deviation in grey levels: images may all be equally bright, and resampling moves them a little."""


class Appearance(NamedTuple):
    """Mean and standard deviation, over images, of their brightness and their contrast, in grey levels 0..255."""

    brightness: float
    brightness_spread: float
    contrast: float
    """Of one image: the standard deviation of its pixels."""
    contrast_spread: float


def appearance(images: UInt8[np.ndarray, "N C H W"], index: Int64[np.ndarray, " n"]) -> Appearance:
    """Of the images at `index`; of many, evenly spaced ones are looked at."""
    some = index[np.linspace(0, len(index) - 1, min(len(index), _MOST_IMAGES)).astype(np.int64)]
    parts = [_measured(images[some[at : at + _BLOCK]]) for at in range(0, len(some), _BLOCK)]
    bright, contrast = np.concatenate(parts, axis=1)
    return Appearance(float(bright.mean()), float(bright.std()), float(contrast.mean()), float(contrast.std()))


def unlike(images: UInt8[np.ndarray, "N C H W"], typical: Appearance) -> list[str | None]:
    """For each image, what sets it apart from those that `typical` describes, in words; None where nothing does."""
    bright, contrast = _measured(images)
    return [_said(one, spread, typical) for one, spread in zip(bright.tolist(), contrast.tolist(), strict=True)]


def _measured(images: UInt8[np.ndarray, "N C H W"]) -> Float[np.ndarray, "2 N"]:
    flat = np.asarray(images).reshape(len(images), -1)
    return np.stack([flat.mean(axis=1, dtype=np.float64), flat.std(axis=1, dtype=np.float64)])


def _said(bright: float, contrast: float, typical: Appearance) -> str | None:
    brighter = (bright - typical.brightness) / max(typical.brightness_spread, _NARROW)
    fuller = (contrast - typical.contrast) / max(typical.contrast_spread, _NARROW)
    if max(abs(brighter), abs(fuller)) <= _FAR:
        return None
    inverted = abs(255 - bright - typical.brightness) <= _FAR * max(typical.brightness_spread, _NARROW)
    if abs(brighter) > _FAR and contrast > typical.contrast / 2 and inverted:  # resampling takes some of the contrast
        return (
            f"looks inverted: its mean brightness is {bright:.0f} of 255, in training it was {typical.brightness:.0f} "
            f"(usually within {2 * typical.brightness_spread:.0f})"
        )
    if abs(brighter) >= abs(fuller):
        word = "brighter" if brighter > 0 else "darker"
        return f"is far {word} ({bright:.0f} of 255) than the training images ({typical.brightness:.0f} in the mean)"
    word = "more" if fuller > 0 else "less"
    return (
        f"has far {word} contrast (standard deviation {contrast:.0f}) than the training images "
        f"({typical.contrast:.0f} in the mean)"
    )
