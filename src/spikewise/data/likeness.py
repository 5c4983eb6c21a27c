"""How far an image lies from all training images, so that a network can say that it was never shown such a thing."""

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from spikewise.data.audit.shrink import averaging

__all__ = ["DIMENSIONS", "Likeness", "chroma", "grain", "has_colour", "likeness"]

_SIDE: Final = 8
"""Pixels of a thumbnail's sides."""
DIMENSIONS: Final = 32
"""Of the random directions on which thumbnails are kept: enough for distances, too few to show an image."""
_REFERENCES: Final = 2000
"""Training images that stand for all, evenly spaced."""
_FEWEST: Final = 20
_QUANTILE, _BEYOND = 0.99, 1.5
"""An image is far from all if its nearest reference is `_BEYOND` times as far as that of 99 of 100 references."""
_COLOURED, _COLOURLESS = 8.0, 2.0
"""Mean difference between the largest and the smallest channel, in grey levels: from the one on an image has colour,
up to the other it has none; between them lie tints of scanners and JPEG."""
_LEAST: Final = 1.0
"""Grey levels of grain that resampling takes and no one misses."""
_BLOCK: Final = 256


class Likeness(NamedTuple):
    """What a run keeps of its training images to judge others by; no image can be seen in it.

    A thumbnail (area averages of 8 x 8 pixels of each channel, in 0..1) is seen from 32 random directions, the same
    for all images of a shape; the distance of two images is that of these 32 numbers, which on average is that of the
    thumbnails. Source of the projection: Johnson and Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert
    space", 1984.
    """

    references: Float32[np.ndarray, "M 32"]
    far: float
    """Distance to the nearest reference beyond which an image is unlike all of them."""
    colour: float
    """Colourfulness that 99 of 100 references exceed; 0 for grey ones."""
    smooth: float
    """Grain, the mean difference of neighbouring pixels in grey levels, that 99 of 100 references exceed."""
    grainy: float
    """Grain that 1 of 100 references exceeds. A thumbnail has none, so it is looked at by itself."""

    def unlike(self, images: UInt8[np.ndarray, "N C H W"]) -> list[str | None]:
        """For each image, what sets it apart from the training images, in words; None where nothing does."""
        found = (_nearest(_seen(images), self.references), chroma(images), grain(images))
        return [self._said(*one) for one in zip(*(part.tolist() for part in found), strict=True)]

    def _said(self, distance: float, colour: float, fine: float) -> str | None:
        if self.colour >= _COLOURED and colour <= _COLOURLESS:
            return "has no colour; the training images have"
        if fine > _BEYOND * self.grainy or fine < self.smooth / _BEYOND - _LEAST:
            word = "grainier" if fine > self.grainy else "smoother"
            return (
                f"is far {word} than the training images (neighbouring pixels differ by {fine:.0f} grey levels, in "
                f"these mostly by {self.smooth:.0f} to {self.grainy:.0f})"
            )
        if distance > self.far:
            return (
                f"is far from every training image: {distance / self.far * _BEYOND:.1f} times as far from the nearest "
                "as 99 of 100 of these are from each other"
            )
        return None


def likeness(images: UInt8[np.ndarray, "N C H W"], index: Int64[np.ndarray, " n"]) -> Likeness | None:
    """Of the images at `index`; None where they are too few to say what is usual."""
    some = index[np.linspace(0, len(index) - 1, min(len(index), _REFERENCES)).astype(np.int64)]
    if len(some) < _FEWEST:
        return None
    blocks = [np.asarray(images[some[at : at + _BLOCK]]) for at in range(0, len(some), _BLOCK)]
    seen = np.concatenate([_seen(block) for block in blocks])
    own = _nearest(seen, seen, itself=True)
    colour = np.concatenate([chroma(block) for block in blocks])
    fine = np.quantile(np.concatenate([grain(block) for block in blocks]), (1 - _QUANTILE, _QUANTILE))
    far, hue = _BEYOND * np.quantile(own, _QUANTILE), np.quantile(colour, 1 - _QUANTILE)
    return Likeness(seen, float(far), float(hue), float(fine[0]), float(fine[1]))


def chroma(images: UInt8[np.ndarray, "N C H W"]) -> Float32[np.ndarray, " N"]:
    """Mean difference of the largest and the smallest channel of each image, in grey levels; 0 where it is grey."""
    if images.shape[1] == 1:
        return np.zeros(len(images), np.float32)
    spread = images.max(axis=1).astype(np.float32) - images.min(axis=1)
    return np.asarray(spread.mean(axis=(1, 2)), np.float32)


def grain(images: UInt8[np.ndarray, "N C H W"]) -> Float32[np.ndarray, " N"]:
    """Mean difference of neighbouring pixels of each image, in grey levels."""
    levels = images.astype(np.int16)
    parts = [np.abs(np.diff(levels, axis=axis)).mean(axis=(1, 2, 3)) for axis in (2, 3) if images.shape[axis] > 1]
    return np.asarray(np.mean(parts, axis=0) if parts else np.zeros(len(images)), np.float32)


def has_colour(image: UInt8[np.ndarray, "C H W"]) -> bool:
    """Whether a picture loses something as grey."""
    return bool(chroma(image[None])[0] >= _COLOURED)


def _seen(images: UInt8[np.ndarray, "N C H W"]) -> Float32[np.ndarray, "N 32"]:
    height, width = images.shape[2:]
    rows, columns = averaging(height, min(height, _SIDE)), averaging(width, min(width, _SIDE))
    thumbnails = rows @ images.astype(np.float32) @ columns.T / 255
    flat = thumbnails.reshape(len(images), -1)
    directions = np.random.default_rng(0).normal(size=(flat.shape[1], DIMENSIONS)).astype(np.float32) / np.sqrt(
        DIMENSIONS
    )
    return np.asarray(flat @ directions, np.float32)


def _nearest(
    seen: Float32[np.ndarray, "N 32"], references: Float32[np.ndarray, "M 32"], *, itself: bool = False
) -> Float32[np.ndarray, " N"]:
    """Distance to the nearest reference; with `itself`, to the nearest other one."""
    out = np.empty(len(seen), np.float32)
    squares = (references**2).sum(1)
    for start in range(0, len(seen), _BLOCK):
        part = seen[start : start + _BLOCK]
        distance = (part**2).sum(1)[:, None] + squares - 2 * part @ references.T
        if itself:
            distance[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        out[start : start + _BLOCK] = np.sqrt(np.maximum(distance.min(1), 0))
    return out
