"""Images and labels that stand in memory, as a file that a run can be made of, resumed from and read back with."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spikewise.data import decode_image
from spikewise.data.incoming import as_array, one_by_one, whole_numbers
from spikewise.errors import DataError, quoted
from spikewise.files import make_folder, write_npz

__all__ = ["Data", "as_source"]

Data = str | Path | tuple[Any, Any] | Mapping[str, Any] | Sequence[tuple[Any, Any]]
"""A set's name or path; a pair (images, labels); a mapping with the two, as scikit-learn's loaders give; or a PyTorch
`Dataset`, whose items are pairs of an image and its label."""

_FORMS = (
    "Give a set's name or path, a pair (images, labels), images=... with labels=..., or a Dataset whose items are "
    "pairs of an image and its label."
)
_FOLDER = "arrays"


class _Pair(NamedTuple):
    images: Any
    labels: Any


def as_source(data: Data | None, images: Any, labels: Any, out: Path) -> str | None:
    """What `data.source` of an experiment is: the given name or path, or a file `OUT/arrays/arrays-DIGEST.npz`.

    The file is named by its content, so the same images find the run that was made of them before.

    Args:
        data: A name, a path, or images with labels; None where `images` and `labels` are given.
        images: Array or tensor [N, H, W], [N, H, W, C] or [N, C, H, W], or a list of pictures, files or arrays of one
            size, or a table's column of them.
        labels: [N] whole numbers or words.
        out: Where runs are kept.
    Raises:
        DataError: neither, both, or images and labels that do not fit together.
    """
    if images is None and labels is None:
        if data is None or isinstance(data, str | os.PathLike):
            return None if data is None else os.fspath(data)
        return _written(_pair_of(data), out)
    if images is None or labels is None:
        given, other = ("images", "labels") if labels is None else ("labels", "images")
        raise DataError(f"{given}=... was given without {other}=.... {_FORMS}")
    if data is not None:
        raise DataError(f"Both {quoted(data)} and images=... were given; they are two sets. Give one of them.")
    return _written(_Pair(images, labels), out)


def _pair_of(data: Any) -> _Pair:
    """Images and labels of whatever holds the two."""
    if isinstance(data, Mapping):  # scikit-learn's Bunch has `images` beside flattened `data`
        pixels = next((data[key] for key in ("images", "X", "x", "data") if key in data), None)
        truth = next((data[key] for key in ("labels", "target", "y") if key in data), None)
        if pixels is None or truth is None:
            raise DataError(f"A mapping with the keys {', '.join(map(str, data))} names no images and labels. {_FORMS}")
        return _Pair(pixels, truth)
    if isinstance(data, tuple) and len(data) == 2:
        return _Pair(*data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, bytes):
        return _items(data)
    raise DataError(f"An object of type {type(data).__name__} is no set of images. {_FORMS}")


def _items(data: Any) -> _Pair:
    """The pairs of a `Dataset`, which may go on for ever beyond its length."""
    images, labels = [], []
    for at in range(len(data)):
        item = data[at]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"Item {at} of the {type(data).__name__} is no pair of an image and its label. {_FORMS}")
        images.append(item[0])
        labels.append(item[1])
    return _Pair(images, labels)


def _written(pair: _Pair, out: Path) -> str:
    images, labels = _pixels(pair.images), _labels(pair.labels)
    if images.ndim == 2:
        raise DataError(
            f"The images have the shape {images.shape}: a row for each. Give them their height and width, such as "
            "X.reshape(-1, 28, 28)."
        )
    if not len(images):
        raise DataError(f"There are no images. {_FORMS}")
    if labels.shape[:1] != images.shape[:1]:
        raise DataError(f"There are {len(images):,} images and {labels.size:,} labels; give one label for each image.")
    digest = hashlib.sha256()
    for array in (images, labels):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    path = make_folder(out / _FOLDER).resolve() / f"arrays-{digest.hexdigest()[:8]}.npz"
    if not path.exists():
        write_npz(path, images=images, labels=labels)
    return str(path)


def _pixels(images: Any) -> NDArray[Any]:
    """One array of all images; pictures and files are decoded as everywhere, and stay as they are stored."""
    images = one_by_one(images)
    if isinstance(images, Iterable) and not hasattr(images, "__array__"):
        listed = list(images)
        if any(isinstance(one, str | bytes | os.PathLike | Image.Image) for one in listed):
            return _together([_decoded(one) for one in listed])
        if listed and not isinstance(listed[0], list | tuple):
            return _together([as_array(one) for one in listed])
        images = listed
    return as_array(images)


def _decoded(one: Any) -> NDArray[Any]:
    source = Path(one) if isinstance(one, str) else one
    if not isinstance(source, bytes | os.PathLike | Image.Image):
        raise DataError(f"A list of images mixes pictures with a {type(one).__name__}; give one kind.")
    return decode_image(source if isinstance(source, bytes | Image.Image) else Path(source))


def _together(images: list[NDArray[Any]]) -> NDArray[Any]:
    shapes = sorted({one.shape for one in images})
    if {len(shape) for shape in shapes} == {3} and {shape[0] for shape in shapes} == {1, 3}:
        images = [np.repeat(one, 3, axis=0) if one.shape[0] == 1 else one for one in images]  # grey among colour
        shapes = sorted({one.shape for one in images})
    if len(shapes) > 1:
        some = ", ".join("x".join(map(str, shape)) for shape in shapes[:3])
        raise DataError(
            f"The images are of {len(shapes)} shapes ({some}{', ...' if len(shapes) > 3 else ''}). Bring them to one "
            "size, or give a folder with one sub-folder for each class: its files are resized."
        )
    return np.stack(images)


def _labels(labels: Any) -> NDArray[Any]:
    """Labels [N] as an .npz holds them: 0, 1, 2, ... or words; other numbers are words, too."""
    if hasattr(labels, "detach"):
        labels = as_array(labels)
    try:
        array = np.asarray(whole_numbers(np.asarray(list(labels) if not hasattr(labels, "__array__") else labels)))
    except (TypeError, ValueError):
        raise DataError(f"Labels are one whole number or word for each image; got {quoted(labels)}.") from None
    if array.dtype.kind == "O":
        if not all(isinstance(one, str) for one in array.flat):
            kinds = ", ".join(sorted({type(one).__name__ for one in array.flat}))
            raise DataError(f"Labels are whole numbers or words, all of one kind; got {kinds}.")
        array = array.astype(str)
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    whole = array.dtype.kind in "iu" and array.ndim == 1 and array.size
    if whole and not np.array_equal(found := np.unique(array), np.arange(len(found))):
        width = len(str(int(np.abs(array).max())))  # words of one width keep the order of numbers
        return np.array([f"{int(one):0{width}d}" for one in array])
    return array
