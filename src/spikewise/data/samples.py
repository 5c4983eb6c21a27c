"""Samples as scikit-learn hands them over, tables or images of any form, as intensities 0..255."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image

from spikewise.data.config import Layout
from spikewise.data.decode import decode_image
from spikewise.data.incoming import as_array, one_by_one
from spikewise.data.white import Kind, kind_of, range_of, resolve_white, to_bytes, white_of_more
from spikewise.errors import ConfigError, DataError, ShapeError

__all__ = ["ImageScale", "Rows", "TableScale", "image_scale", "rows_of", "table_scale"]

_FEW = (1, 2, 3)
"""Channels of an image that need no word; four are colour with transparency."""
_MANY_TIMES, _NEXT_TO_NOTHING, _LIT = 3.0, 0.02, 8


class Rows(NamedTuple):
    """Samples with one row each, and how an image stands in a row."""

    rows: Any
    """What scikit-learn is to check."""
    given: tuple[int, ...] | None
    """Axes of an image in the order of a row; None for features."""
    layout: Layout
    kind: Kind | None
    """How pixels were stored; None for features."""

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width of an image."""
        if self.given is None:
            return None
        if len(self.given) == 2:
            return (1, *self.given)
        first, second, third = self.given
        return (third, first, second) if self.layout == "NHWC" else (first, second, third)

    def arranged(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Checked rows as images [N, C, H, W]; features as images of one line."""
        if self.given is None:
            return rows.reshape(len(rows), 1, 1, -1)
        images = rows.reshape(len(rows), *self.given)
        if images.ndim == 3:
            return images[:, None]
        return images.transpose(0, 3, 1, 2) if self.layout == "NHWC" else images


def rows_of(X: Any, image_shape: Any, layout: Layout | None, *, like: Rows | None = None) -> Rows:
    """Samples in any form, one row each.

    Args:
        image_shape: (height, width), (channels, height, width) or (height, width, channels) of an image in a row; None
            for features, or where X has the axes.
        layout: Order of an image's three axes; None: the one in which there are few channels.
        like: The samples of `fit`: others are brought to their order of axes.
    Raises:
        ConfigError: a layout that is none.
        ShapeError: axes that are no image's, that fit in both orders, or not those of `like`.
    """
    if layout not in (None, "NCHW", "NHWC"):
        raise ConfigError(f"layout is 'NCHW' (channels first) or 'NHWC' (channels last); got {layout!r}.")
    X = _gathered(X)
    found = X.shape[1:] if isinstance(X, np.ndarray) and X.ndim in (3, 4) else None
    asked = _checked_shape(image_shape)
    if found is None and asked is None and (like is None or like.given is None):
        return Rows(X, None, "NCHW", None)
    if like is not None:
        return _like(X, found, like)
    given = found or asked
    assert given is not None
    if found is not None and asked is not None and tuple(found) != asked:
        raise ShapeError(f"image_shape is {asked}, and the images in X are {tuple(found)}. Leave it out, or mend it.")
    order = layout or (_order(given) if len(given) == 3 else "NCHW")
    columns = np.shape(X)[1:]
    if found is None and (len(columns) != 1 or columns[0] != np.prod(given)):
        raise ShapeError(
            "image_shape is (height, width), (channels, height, width) or (height, width, channels) of the pixels in "
            f"a row of X; got {given} for {columns}."
        )
    return Rows(X if found is None else _flat(X), tuple(given), order, _kind(X))


def _flat(images: Any) -> Any:
    """A row for each image; also where there is none, for which -1 stands for nothing."""
    return images.reshape(len(images), math.prod(images.shape[1:]))


def _gathered(X: Any) -> Any:
    """Tensors, and lists of images, as one array; tables as they are."""
    if isinstance(X, torch.Tensor):
        return as_array(X)
    X = one_by_one(X)
    if not isinstance(X, list | tuple) or not X:
        return X
    if all(isinstance(one, Image.Image) for one in X):
        return _stacked([decode_image(one) for one in X])
    if all(isinstance(one, np.ndarray | torch.Tensor) for one in X):
        return _stacked([as_array(one) for one in X])
    if isinstance(X[0], Sequence) and X[0] and isinstance(X[0][0], Sequence) and not isinstance(X[0][0], str):
        return as_array(X)
    return X


def _stacked(images: list[NDArray[Any]]) -> NDArray[Any]:
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        listed = ", ".join("x".join(map(str, shape)) for shape in shapes[:4])
        raise ShapeError(f"X holds images of {len(shapes)} shapes ({listed}). Bring them to one size and mode first.")
    return np.stack(images)


def _checked_shape(image_shape: Any) -> tuple[int, ...] | None:
    if image_shape is None:
        return None
    sides = tuple(image_shape) if isinstance(image_shape, list | tuple | np.ndarray) else ()
    if len(sides) not in (2, 3) or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
        raise ShapeError(
            "image_shape is (height, width), (channels, height, width) or (height, width, channels) of an image in a "
            f"row of X; got {image_shape!r}."
        )
    return tuple(int(side) for side in sides)


def _order(given: Sequence[int]) -> Layout:
    """Which axis is the channels'."""
    first, _, last = given
    if last in _FEW and first not in _FEW:
        return "NHWC"
    if first in (*_FEW, 4) and last not in (*_FEW, 4):
        return "NCHW"
    if first in _FEW and last in _FEW:
        problem = "can be channels first or channels last"
    elif last == 4:
        problem = "has four channels if they come last: leave transparency out (X[..., :3])"
    else:
        problem = "has more than four channels in either order"
    raise ShapeError(
        f"Images of shape {tuple(given)}: this {problem}{', or' if last == 4 else ';'} say layout='NCHW' or "
        "layout='NHWC'."
    )


def _like(X: Any, found: tuple[int, ...] | None, like: Rows) -> Rows:
    if found is None:
        return like._replace(rows=X, kind=None if like.given is None else _kind(X))
    shape = like.shape
    ways: dict[tuple[int, ...], Layout] = {}
    if shape is not None:
        channels, height, width = shape
        ways = {(height, width, channels): "NHWC", (channels, height, width): "NCHW"}
        ways |= {(height, width): "NCHW"} if channels == 1 else {}
        ways |= {} if like.given is None else {like.given: like.layout}
    if tuple(found) not in ways:
        wanted = f"{like.given[0] if like.given else ''}" if shape is None else "x".join(map(str, shape))
        raise ShapeError(
            f"The images in X are {'x'.join(map(str, found))}; in fit they were "
            f"{wanted + ' (channels, height, width)' if shape else 'rows of features'}."
        )
    images = Rows(X, tuple(found), ways[tuple(found)], None).arranged(_flat(X))
    if like.given is not None and len(like.given) == 3 and like.layout == "NHWC":
        images = images.transpose(0, 2, 3, 1)
    return like._replace(rows=_flat(images), kind=_kind(X))


def _kind(X: Any) -> Kind | None:
    dtype = getattr(X, "dtype", None)
    array = np.zeros(1, dtype) if isinstance(dtype, np.dtype) else np.asarray(X)
    return kind_of(array, "X") if array.dtype.kind in "biuf" else None


@dataclass(frozen=True)
class ImageScale:
    """Black and white of images, as `fit` saw them."""

    low: float
    """Black: 0, or the smallest number where some are negative."""
    high: float
    kind: Kind
    cautions: tuple[str, ...] = field(default=())

    def scaled(self, rows: NDArray[Any], kind: Kind | None) -> UInt8[np.ndarray, "N F"]:
        """Rows of pixels as bytes.

        Raises:
            DataError: numbers far from those of `fit`.
        """
        kind, found = kind or self.kind, range_of(rows)
        if self.low == 0:
            return to_bytes(rows, kind, white_of_more(kind, found, {self.kind: self.high}, "X"))
        width = (self.high - self.low) or 1.0
        if found.low < self.low - width or found.high > self.high + width:
            raise DataError(
                f"X runs from {found.low:g} to {found.high:g}, and in fit it ran from {self.low:g} to {self.high:g}. "
                "Scale both in the same way."
            )
        return to_bytes((rows - self.low) / width, "float", 1)


def image_scale(rows: NDArray[Any], kind: Kind | None, white: float | None) -> ImageScale:
    """What black and white are in the images of `fit`, by the rule for files and arrays.

    Where that would ask, the largest number seen is white; where numbers are negative, the smallest is black.

    Raises:
        DataError: `white` was said, and numbers are negative.
    """
    kind, found = kind or "float", range_of(rows)
    try:
        whites = resolve_white({kind: found}, white, "X")
    except DataError:
        if white is not None:
            raise
        return ImageScale(min(found.low, 0.0), found.high if found.high > found.low else found.low + 1, kind)
    return ImageScale(0.0, whites.of[kind], kind, whites.cautions)


@dataclass(frozen=True)
class TableScale:
    """Smallest and largest value of each feature, as `fit` saw them."""

    low: Float[np.ndarray, " F"]
    high: Float[np.ndarray, " F"]

    def scaled(self, rows: NDArray[Any]) -> UInt8[np.ndarray, "N F"]:
        """Each feature from its smallest to its largest value; what is beyond is clipped."""
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        shares = (rows - self.low) / width
        _warn_if_far(shares[:, self.high > self.low], rows[:, self.high > self.low])
        return np.asarray(np.rint(shares.clip(0, 1) * 255), np.uint8)


def table_scale(rows: NDArray[Any]) -> TableScale:
    """Of the features of `fit`."""
    return TableScale(np.asarray(rows.min(axis=0), np.float64), np.asarray(rows.max(axis=0), np.float64))


def _warn_if_far(shares: Float[np.ndarray, "N F"], rows: NDArray[Any]) -> None:
    """Rows in other units than those of `fit` would all be clipped, or all be dark: never in silence."""
    lit = np.abs(shares[shares != 0])
    if lit.size < _LIT or rows.min() == rows.max():  # one value everywhere stands for something, not for other units
        return
    beyond, nothing = (lit > _MANY_TIMES).mean() > 0.5, lit.max() < _NEXT_TO_NOTHING
    if beyond or nothing:
        how = "lie far outside the range" if beyond else "fill less than 2 % of the range"
        warnings.warn(
            f"The values of X ({rows.min():g} to {rows.max():g}) {how} that each feature had in fit: the answers are "
            "worth little. Scale both in the same way.",
            UserWarning,
            stacklevel=4,
        )
