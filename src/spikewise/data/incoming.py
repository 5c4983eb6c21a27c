"""Images that come after training, in whatever form, as the pixels of a network that has its shape and its white."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from spikewise.data.arrays import fit
from spikewise.data.config import MAX_PIXELS, Background, Layout
from spikewise.data.decode import Frame, Source, decode, read_header
from spikewise.data.image_set import Aspect
from spikewise.data.likeness import has_colour
from spikewise.data.white import Kind, Range, kind_of, merge, range_of, to_bytes, white_of_more
from spikewise.errors import ShapeError

__all__ = ["Reading", "as_array", "one_by_one", "whole_numbers"]

_WHAT = "the array of images"
_OBJECTS = "OUT"
"""Kinds of arrays that hold something other than numbers: anything, or words."""


@dataclass(frozen=True)
class Reading:
    """How images are brought to what a network reads."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    whites: Mapping[Kind, float] = field(default_factory=dict)
    """What white was in the images it learned from, by how they were stored."""
    background: Background = "black"
    aspect: Aspect = "stretch"
    max_pixels: int = MAX_PIXELS
    """A file or picture of more pixels is refused."""

    def pixels(
        self, images: Any, *, white: float | None = None, layout: Layout | None = None
    ) -> UInt8[np.ndarray, "N C H W"]:
        """Files and pictures, brought to the network's size; arrays, tensors and lists of them, which have it.

        Args:
            images: One image, or several. An array of three axes is [N, H, W] where that fits, else one image.
            white: The number that is white; None: as in the images that the network learned from.
            layout: Order of the axes, where both fit.
        Raises:
            ShapeError: no images, an array of another shape, or one that fits in both orders.
            DataError: no image, or numbers that do not lie between black and white.
        """
        return np.require(self._pixels(images, white, layout), requirements=["C", "W"])  # as PyTorch wants them

    def _pixels(self, images: Any, white: float | None, layout: Layout | None) -> UInt8[np.ndarray, "N C H W"]:
        if _is_source(images):
            return self._decoded(images, white)[None]
        images = one_by_one(images)
        array = _whole(images)
        if array is not None:
            return self._read([array], white, layout)
        found = [one if _is_source(one) else as_array(one) for one in images]
        if not found:
            raise ShapeError("There are no images to classify.")
        arrays = [one for one in found if isinstance(one, np.ndarray)]
        read = iter(self._read([one[None] for one in arrays], white, layout) if arrays else ())
        return np.stack([next(read) if isinstance(one, np.ndarray) else self._decoded(one, white) for one in found])

    def drops_colour(self, source: "str | Source") -> bool:
        """Whether a picture has colours that the network, which reads grey, does not see.

        Raises:
            DataError: it cannot be decoded.
        """
        channels, height, width = self.shape
        if channels != 1 or read_header(Path(source) if isinstance(source, str) else source).grey:
            return False
        stored = replace(self, shape=(3, height, width))
        return has_colour(stored._decoded(source, None))

    def _decoded(self, source: "str | Source", white: float | None) -> UInt8[np.ndarray, "C H W"]:
        source = Path(source) if isinstance(source, str) else source
        name = str(source) if isinstance(source, Path) else "the image"
        channels, height, width = self.shape
        return decode(
            source,
            frame=Frame((height, width), self.aspect, self.background),
            grey=channels == 1,
            max_pixels=self.max_pixels,
            white_of=lambda kind, found: self._white(kind, found, white, name),
        ).pixels

    def _read(
        self, arrays: Sequence[NDArray[Any]], white: float | None, layout: Layout | None
    ) -> UInt8[np.ndarray, "N C H W"]:
        """Arrays of images under one white, one array after another."""
        placed = [_channels_first(array, self.shape, layout) for array in arrays]
        ranges: dict[Kind, list[Range]] = {}
        kinds = [kind_of(array, _WHAT) for array in placed]
        for kind, array in zip(kinds, placed, strict=True):
            ranges.setdefault(kind, []).append(range_of(array))
        whites = {kind: self._white(kind, merge(found), white, _WHAT) for kind, found in ranges.items()}
        grey = self.shape[0] == 1
        return np.concatenate(
            [
                fit(np.ascontiguousarray(to_bytes(array, kind, whites[kind])), None, grey)
                for kind, array in zip(kinds, placed, strict=True)
            ]
        )

    def _white(self, kind: Kind, found: Range, said: float | None, what: str) -> float:
        return white_of_more(kind, found, self.whites, what, said=said)


def as_array(images: Any) -> NDArray[Any]:
    """An array of what is one already, of a tensor on any device, or of nested lists of numbers.

    Raises:
        ShapeError: lists of different lengths, or no numbers.
    """
    if isinstance(images, torch.Tensor):
        tensor = images.detach().cpu()
        return np.asarray((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
    try:
        array = np.asarray(images)
    except ValueError:
        raise ShapeError("A list of images needs rows of one length, and images of one shape.") from None
    if array.dtype.kind not in "biuf":
        what = f"an array of {array.dtype}" if array.ndim else type(images).__name__
        raise ShapeError(f"Images are files, pictures or arrays of numbers; got {what}.")
    return array


def one_by_one(images: Any) -> Any:
    """The list of images that a table's column holds, or an array of objects: a file, a picture or an array in each.

    Anything else stays as it is.
    """
    if _is_source(images) or isinstance(images, torch.Tensor) or not hasattr(images, "__array__"):
        return images
    array = np.asarray(images)
    if array.ndim != 1 or array.dtype.kind not in _OBJECTS:
        return images
    listed = list(array)
    return listed if all(_is_source(one) or np.ndim(one) for one in listed) else images


def whole_numbers(labels: Any) -> Any:
    """Whole numbers that stand among objects, as in many a table's column, as numbers; other labels as they are."""
    if getattr(getattr(labels, "dtype", None), "kind", "") != "O":
        return labels
    array = np.asarray(labels)
    return array.astype(np.int64) if all(isinstance(one, Integral) for one in array.flat) else labels


class _Fit(NamedTuple):
    """A way to read an array as images [N, C, H, W]."""

    array: NDArray[Any]
    layout: Layout | None


def _channels_first(array: NDArray[Any], shape: tuple[int, int, int], layout: Layout | None) -> NDArray[Any]:
    """One image or several as [N, C, H, W], with 1 or 3 channels, in the network's height and width."""
    _, height, width = shape
    if not array.size:
        raise ShapeError("There are no images to classify.")
    ways = [way for way in _ways(array, shape[0]) if layout is None or way.layout in (None, layout)]
    fitting = [way for way in ways if way.array.shape[2:] == (height, width) and way.array.shape[1] in {1, 3, shape[0]}]
    fitting = [way for way in fitting if way.array.shape[1] == shape[0]] or fitting
    if not fitting:
        wanted = "x".join(map(str, shape))
        raise ShapeError(
            f"The network reads images of {wanted} (channels, height, width); got an array of shape {array.shape}. "
            f"Arrays are [N, {height}, {width}], [N, C, {height}, {width}] or [N, {height}, {width}, C]; "
            "files and pictures are brought to the size."
        )
    first = fitting[0]
    if array.ndim == 4 and {way.layout for way in fitting} == {"NCHW", "NHWC"} and first.array.shape[1:] != (1, 1, 1):
        raise ShapeError(
            f"An array of shape {array.shape} can be channels first or channels last. Say which it is: "
            "layout='NCHW' or layout='NHWC'."
        )
    return first.array


def _ways(array: NDArray[Any], channels: int) -> list[_Fit]:
    """Every way to read an array, the likeliest first."""
    if array.ndim == 2:
        return [_Fit(array[None, None], None)]
    if array.ndim == 3:
        several = [_Fit(array[:, None], None)]
        one = [_Fit(array[None], "NCHW"), _Fit(array[None].transpose(0, 3, 1, 2), "NHWC")]
        return several + one if channels == 1 else one + several
    if array.ndim == 4:
        return [_Fit(array, "NCHW"), _Fit(array.transpose(0, 3, 1, 2), "NHWC")]
    return []


def _whole(images: Any) -> NDArray[Any] | None:
    """The array that all images stand in, if they do; None for a list of separate images."""
    if isinstance(images, torch.Tensor) or hasattr(images, "__array__"):
        return as_array(images)
    if not isinstance(images, Iterable):
        raise ShapeError(f"Images are files, pictures or arrays of numbers; got {type(images).__name__}.")
    return None


def _is_source(one: Any) -> bool:
    return isinstance(one, str | bytes | os.PathLike | Image.Image)
