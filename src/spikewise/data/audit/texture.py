"""How sharp, noisy and coarse in grey levels images are: what cameras and programs leave in the pixels.

Sources: F. Crete et al., "The blur effect", SPIE 2007 (sharpness by blurring again); J. Immerkaer, "Fast noise variance
estimation", CVIU 1996 (noise); Z. Wang, A. Bovik, B. Evans, "Blind measurement of blocking artifacts", ICIP 2000.
"""

import numpy as np
from jaxtyping import Float32, Float64, UInt8

__all__ = ["colour_balance", "grey_levels", "sharpness"]

_NUMBERS = 2**23
"""Pixels at a time."""
_BLOCK = 8


def sharpness(images: UInt8[np.ndarray, "N C H W"]) -> Float64[np.ndarray, "N 5"]:
    """Of the grey image: fine structure against coarser, at two scales; noise; steps between JPEG blocks."""
    return np.concatenate([_sharpness(some.mean(axis=1, dtype=np.float32)) for some in _chunks(images)])


def grey_levels(images: UInt8[np.ndarray, "N C H W"]) -> Float64[np.ndarray, "N 4"]:
    """How many grey levels are used, the share of gaps between them, of black and of white pixels; first channel."""
    return np.concatenate([_grey_levels(some[:, 0]) for some in _chunks(images)])


def colour_balance(images: UInt8[np.ndarray, "N C H W"]) -> Float64[np.ndarray, "N F"]:
    """Share of each channel in the brightness, and how much channels differ within an image; nothing of grey images."""
    if images.shape[1] == 1:
        return np.zeros((len(images), 0))
    rows = []
    for some in _chunks(images):
        means = some.mean(axis=(2, 3), dtype=np.float64)
        differing = np.abs(some.astype(np.int16) - some[:, :1]).mean(axis=(2, 3), dtype=np.float64)
        rows.append(np.column_stack([means / np.maximum(means.sum(axis=1, keepdims=True), 1), differing]))
    return np.concatenate(rows)


def _chunks(images: UInt8[np.ndarray, "N C H W"]) -> list[UInt8[np.ndarray, "M C H W"]]:
    step = max(1, _NUMBERS // int(np.prod(images.shape[1:])))
    return [np.asarray(images[at : at + step]) for at in range(0, len(images), step)]


def _sharpness(grey: Float32[np.ndarray, "N H W"]) -> Float64[np.ndarray, "N 5"]:
    _, height, width = grey.shape
    fine = _change(grey)
    half = grey[:, : height // 2 * 2, : width // 2 * 2].reshape(len(grey), height // 2, 2, width // 2, 2)
    coarse = _change(half.mean(axis=(2, 4)))
    coarser = grey.std(axis=(1, 2)) + 1.0
    corner = grey[:, 1:, 1:] - grey[:, :-1, 1:] - grey[:, 1:, :-1] + grey[:, :-1, :-1]
    noise = np.median(np.abs(corner).reshape(len(grey), -1), axis=1) if corner.size else np.zeros(len(grey))
    columns = [fine / (coarse + 0.5), fine / coarser, np.abs(corner).mean(axis=(1, 2)) / (fine + 0.5), noise]
    return np.column_stack([*columns, _blocks(grey)]).astype(np.float64)


def _change(grey: Float32[np.ndarray, "N H W"]) -> Float32[np.ndarray, " N"]:
    """Mean difference of neighbouring pixels."""
    steps = [np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2) if grey.shape[axis] > 1]
    return np.asarray(sum(steps), np.float32) + np.zeros(len(grey), np.float32)


def _blocks(grey: Float32[np.ndarray, "N H W"]) -> Float64[np.ndarray, " N"]:
    """Steps across the borders of 8 x 8 blocks, against those within."""
    if grey.shape[2] < 2 * _BLOCK:
        return np.zeros(len(grey))
    steps = np.abs(np.diff(grey, axis=2)).mean(axis=1)
    border = np.arange(steps.shape[1]) % _BLOCK == _BLOCK - 1
    return np.asarray((steps[:, border].mean(axis=1) + 0.5) / (steps[:, ~border].mean(axis=1) + 0.5), np.float64)


def _grey_levels(grey: UInt8[np.ndarray, "N H W"]) -> Float64[np.ndarray, "N 4"]:
    count, pixels = len(grey), grey[0].size
    at = np.arange(count)[:, None] * 256 + grey.reshape(count, -1)
    held = np.bincount(at.ravel(), minlength=256 * count).reshape(count, 256)
    used = held > 0
    span = 256 - used.argmax(axis=1) - used[:, ::-1].argmax(axis=1)
    return np.column_stack([used.sum(axis=1), used.sum(axis=1) / span, held[:, 0] / pixels, held[:, 255] / pixels])
