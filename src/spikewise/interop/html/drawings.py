"""What drawings must look like to resemble the images of a set: how large, where, how thick, on which ground."""

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

__all__ = ["Drawings", "drawings_like"]

_INK: Final = 64
"""Levels above the ground from which a pixel is part of a drawing."""
_MOST: Final = 0.5
"""Share of the pixels that drawings cover at most."""


class Drawings(NamedTuple):
    """Medians over the images of a set, as shares of their height and width."""

    white: bool
    """Dark lines on a white ground, else bright ones on black."""
    height: float
    """Of the box around the ink."""
    width: float
    down: float
    """Centre of mass of the ink."""
    right: float
    pen: float
    """Width of a line, as a share of the height."""


def drawings_like(images: UInt8[np.ndarray, "N C H W"]) -> Drawings | None:
    """What the images have in common as drawings; None where they are none: coloured, or without an even ground."""
    if images.shape[1] != 1 or min(images.shape[2:]) < 6 or not len(images):
        return None
    grey = images[:, 0]
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    ground = float(np.median(border))
    if _INK / 2 < ground < 255 - _INK / 2 or np.mean(np.abs(border - ground) < _INK) < 0.75:
        return None
    white = ground > 127
    ink = (255 - grey if white else grey).astype(np.float64)
    marked = ink >= _INK
    inked = marked.any((1, 2))
    if inked.mean() < 0.5 or marked[inked].mean() > _MOST:
        return None
    return _measured(ink[inked], white)


def _measured(ink: Float[np.ndarray, "n H W"], white: bool) -> Drawings:
    _, height, width = ink.shape
    marked = ink >= _INK
    rows, columns = marked.any(2), marked.any(1)
    tall, wide = _extent(np.asarray(rows)) / height, _extent(np.asarray(columns)) / width
    mass = ink.sum((1, 2))
    down = (ink.sum(2) @ (np.arange(height) + 0.5)) / mass / height
    right = (ink.sum(1) @ (np.arange(width) + 0.5)) / mass / width
    around = np.pad(marked, ((0, 0), (1, 1), (1, 1)))
    edges = (around[:, 1:] != around[:, :-1]).sum((1, 2)) + (around[:, :, 1:] != around[:, :, :-1]).sum((1, 2))
    pen = 2 * mass / 255 / edges / height  # a line of length l and width w has area l w, and edges of 2 l
    return Drawings(white, *(float(np.median(found)) for found in (tall, wide, down, right, pen)))


def _extent(marked: Bool[np.ndarray, "n L"]) -> Int64[np.ndarray, " n"]:
    """From the first to the last that is marked, in each row."""
    first, last = marked.argmax(1), marked.shape[1] - marked[:, ::-1].argmax(1)
    return np.asarray(last - first)
