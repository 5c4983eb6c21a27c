"""Nine corruptions of images, with strengths relative to the image's size and range of values.

Each follows from (position of the image in its set, strength) alone: the same for every network and seed, and in any
batch. Random numbers are the same at every strength, so that a stronger corruption is the same one, further on.
Sources: Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
ICLR 2019 (kinds, five strengths, and the strengths of noise, contrast, brightness, JPEG and pixelation as in the code
published with it); occlusion: DeVries and Taylor, "Improved regularization of convolutional neural networks with
Cutout", arXiv 1708.04552, 2017.
"""

import io
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
import torch
from jaxtyping import Float64, Int64, UInt8
from PIL import Image

from spikewise.data.counter import uniform_at
from spikewise.errors import ConfigError, ShapeError

__all__ = ["CORRUPTIONS", "Corruption"]

Images = UInt8[np.ndarray, "N C H W"]
Index = Int64[np.ndarray, " N"]
Values = Float64[np.ndarray, "N C H W"]

_NOISE, _DIRECTION, _TURN, _HIDE_Y, _HIDE_X = range(200, 205)  # purposes of random numbers
_WHITE = 255
_MOST_VALUES = 1 << 22
"""Treated at once."""


class Corruption(NamedTuple):
    """One way to spoil images."""

    name: str
    parameter: str
    """What the strength is."""
    strengths: tuple[float, ...]
    change: Callable[[Images, Index, float], Images]

    def __call__(self, images: Images, index: Index, strength: float) -> Images:
        """Corrupted copies of the images at `index` of their set; strength 0 changes nothing.

        Raises:
            ShapeError: not uint8 [N, C, H, W], or not one position for each image.
            ConfigError: a negative strength.
        """
        if images.ndim != 4 or images.dtype != np.uint8 or index.shape != images.shape[:1]:
            raise ShapeError(
                f"Corruptions take uint8 [N, C, H, W] and positions [N]; got {images.dtype} {images.shape} "
                f"and {index.shape}."
            )
        if not strength >= 0:
            raise ConfigError(f"The strength of {self.name} is a number of at least 0; got {strength}.")
        if strength == 0 or not len(images):
            return images.copy()
        several = max(1, _MOST_VALUES // max(1, images[0].size))
        parts = [slice(start, start + several) for start in range(0, len(images), several)]
        return np.concatenate([self.change(images[part], index[part], strength) for part in parts])


def _gaussian_noise(images: Images, index: Index, strength: float) -> Images:
    chance = _uniform_at(index, _NOISE, images[0].size).reshape(images.shape)
    return _to_bytes(images + _WHITE * strength * scipy.special.ndtri(chance.clip(2.0**-54)))


def _blur(images: Images, index: Index, strength: float) -> Images:
    del index
    sd = strength * min(images.shape[2:])
    values = images.astype(np.float64)
    for axis in (2, 3):
        values = scipy.ndimage.gaussian_filter1d(values, sd, axis=axis, mode="nearest", truncate=3)
    return _to_bytes(values)


def _contrast(images: Images, index: Index, strength: float) -> Images:
    del index
    mean = images.mean(axis=(2, 3), keepdims=True)
    return _to_bytes((images - mean) * (1 - strength) + mean)


def _brightness(images: Images, index: Index, strength: float) -> Images:
    del index
    return _to_bytes(images + _WHITE * strength)


def _shift(images: Images, index: Index, strength: float) -> Images:
    height, width = images.shape[2:]
    angle = 2 * np.pi * _uniform_at(index, _DIRECTION, 1)[:, :, None]
    y, x = np.arange(height, dtype=np.float64)[None, :, None], np.arange(width, dtype=np.float64)[None, None, :]
    rows, columns = y - strength * height * np.sin(angle), x - strength * width * np.cos(angle)
    return _sampled(images, *np.broadcast_arrays(rows, columns))


def _rotation(images: Images, index: Index, strength: float) -> Images:
    height, width = images.shape[2:]
    angle = np.deg2rad(strength) * np.where(_uniform_at(index, _TURN, 1) < 0.5, -1.0, 1.0)[:, :, None]
    y = np.arange(height, dtype=np.float64)[None, :, None] - (height - 1) / 2
    x = np.arange(width, dtype=np.float64)[None, None, :] - (width - 1) / 2
    rows = np.cos(angle) * y + np.sin(angle) * x + (height - 1) / 2
    columns = np.cos(angle) * x - np.sin(angle) * y + (width - 1) / 2
    return _sampled(images, rows, columns)


def _occlusion(images: Images, index: Index, strength: float) -> Images:
    height, width = images.shape[2:]
    hidden = (
        _strip(_uniform_at(index, _HIDE_Y, 1), strength, height)[:, :, None]
        & _strip(_uniform_at(index, _HIDE_X, 1), strength, width)[:, None, :]
    )
    return np.where(hidden[:, None], np.uint8(0), images)


def _jpeg(images: Images, index: Index, strength: float) -> Images:
    del index

    def stored(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, format="JPEG", quality=round(100 - strength))
        return Image.open(file)

    return _through_pictures(images, stored)


def _pixelation(images: Images, index: Index, strength: float) -> Images:
    del index

    def coarse(picture: Image.Image) -> Image.Image:
        width, height = (max(1, round((1 - strength) * length)) for length in picture.size)
        return picture.resize((width, height), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)

    return _through_pictures(images, coarse)


CORRUPTIONS: Final = (
    Corruption("gaussian_noise", "sd, share of white", (0.08, 0.12, 0.18, 0.26, 0.38), _gaussian_noise),
    Corruption("blur", "sd, share of the shorter side", (0.04, 0.06, 0.08, 0.1, 0.13), _blur),
    Corruption("contrast", "share lost", (0.6, 0.7, 0.8, 0.9, 0.95), _contrast),
    Corruption("brightness", "added, share of white", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
    Corruption("shift", "share of the side", (0.04, 0.08, 0.12, 0.16, 0.2), _shift),
    Corruption("rotation", "degrees", (6.0, 12.0, 18.0, 24.0, 30.0), _rotation),
    Corruption("occlusion", "hidden, share of each side", (0.25, 0.375, 0.5, 0.625, 0.75), _occlusion),
    Corruption("jpeg", "100 - quality", (75.0, 82.0, 85.0, 90.0, 93.0), _jpeg),
    Corruption("pixelation", "share of the resolution lost", (0.4, 0.5, 0.6, 0.7, 0.75), _pixelation),
)
"""All corruptions, with their five strengths."""


def _uniform_at(index: Index, purpose: int, count: int) -> Float64[np.ndarray, "N count"]:
    """`count` numbers in [0, 1) for each image."""
    place = torch.from_numpy(np.ascontiguousarray(index))[:, None] * count + torch.arange(count)
    return np.asarray(uniform_at(place, purpose).numpy())


def _to_bytes(values: Values) -> Images:
    return np.asarray(np.rint(values).clip(0, _WHITE), dtype=np.uint8)


def _sampled(images: Images, rows: Float64[np.ndarray, "N H W"], columns: Float64[np.ndarray, "N H W"]) -> Images:
    """Each pixel from its place in the image, between pixels linearly; beyond the edge the edge goes on."""
    count, channels, height, width = images.shape
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, along = (rows - top)[:, None], (columns - left)[:, None]
    flat = images.reshape(count, channels, -1)

    def at(row: Int64[np.ndarray, "N H W"], column: Int64[np.ndarray, "N H W"]) -> Values:
        place = (row * width + column).reshape(count, 1, -1)
        return np.take_along_axis(flat, place, axis=2).reshape(images.shape).astype(np.float64)

    upper = at(top, left) * (1 - along) + at(top, right) * along
    lower = at(below, left) * (1 - along) + at(below, right) * along
    return _to_bytes(upper * (1 - down) + lower * down)


def _strip(chance: Float64[np.ndarray, "N 1"], share: float, length: int) -> np.ndarray:
    """Per image, a mask over one axis: a run of about `share` of it, at a random place."""
    run = min(length, max(1, round(share * length)))
    start = np.floor(chance * (length - run + 1))
    place = np.arange(length)[None]
    return np.asarray((place >= start) & (place < start + run))


def _through_pictures(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Colour images as such, others channel by channel."""
    if images.shape[1] == 3:
        pictures = images.transpose(0, 2, 3, 1)
        changed = [np.asarray(change(Image.fromarray(np.ascontiguousarray(one)))) for one in pictures]
        return np.stack(changed).transpose(0, 3, 1, 2)
    frames = np.ascontiguousarray(images).reshape(-1, *images.shape[2:])
    return np.stack([np.asarray(change(Image.fromarray(one))) for one in frames]).reshape(images.shape)
