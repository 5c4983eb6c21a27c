"""From arrays of any layout to an `ImageSet`: uint8 [N, C, H, W], int64 labels, checked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int8, Int64, UInt8
from numpy.typing import NDArray
from PIL import Image

from spikewise.data.image_set import ImageSet, Role
from spikewise.errors import DataError

__all__ = ["Labelled", "as_images", "as_labels", "assemble", "check_labels", "fingerprint", "fit", "hash_images"]

_LARGEST_LABEL = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and labels of one role, as read."""

    images: UInt8[np.ndarray, "N C H W"]
    labels: Int64[np.ndarray, " N"]
    role: Role

    @classmethod
    def pair(cls, images: NDArray[Any], labels: NDArray[Any], role: Role, what: str) -> "Labelled":
        """Images and labels as read, checked and brought to one layout.

        Raises:
            DataError: different lengths, words as labels, or what `as_images` and `as_labels` refuse.
        """
        numbers = as_labels(labels, f"the labels of {what}")
        if numbers.dtype.kind == "U":
            raise DataError(f"The labels of {what} are words; number them 0, 1, 2, ...")
        pixels = as_images(images, f"the images of {what}")
        if len(pixels) != len(numbers):
            raise DataError(
                f"{what} has {len(pixels):,} images and {len(numbers):,} labels. One of the two is damaged."
            )
        return cls(pixels, numbers, role)


def as_images(array: NDArray[Any], what: str) -> UInt8[np.ndarray, "N C H W"]:
    """Grey [N, H, W] or colour [N, H, W, 3], [N, 3, H, W] as uint8 [N, C, H, W].

    Booleans become 0 and 255, 16-bit numbers are divided by 257, floats in 0..1 are multiplied by 255, any other
    number in 0..255 is rounded; what is right is decided for the whole array, never image by image.

    Args:
        what: Names the array in errors.
    Raises:
        DataError: another layout, or numbers outside 0..255.
    """
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    elif array.ndim != 4 or array.shape[1] not in (1, 3):
        raise DataError(
            f"{what} has shape {array.shape}; images are [N, H, W], [N, H, W, 3] or [N, 3, H, W]. "
            "Volumes, alpha channels and flattened pixels are not read: reshape them first."
        )
    if 0 in array.shape:
        raise DataError(f"{what} holds no images: its shape is {array.shape}.")
    return np.ascontiguousarray(_as_bytes(array, what))


def _as_bytes(array: NDArray[Any], what: str) -> UInt8[np.ndarray, "N C H W"]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype == np.uint16 and array.max() > 255:
        scaled: UInt8[np.ndarray, "N C H W"] = np.rint(array / 257.0).astype(np.uint8)
        return scaled
    if array.dtype.kind not in "iuf":
        raise DataError(f"{what} holds {array.dtype}, not numbers. Save the pixels as uint8.")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):  # also catches NaN
        raise DataError(f"{what} has pixels from {low:g} to {high:g}; expected 0..255, or 0..1 for floats.")
    scale = 255 if array.dtype.kind == "f" and high <= 1 else 1
    rounded: UInt8[np.ndarray, "N C H W"] = np.rint(array * scale).astype(np.uint8)
    return rounded


def as_labels(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Labels [N], [N, 1] or one-hot [N, K] as [N] of int64, or of text where they are words.

    Raises:
        DataError: several labels an image, fractions, or negative numbers.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf":
        if not (np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()):
            raise DataError(
                f"{what} has shape {array.shape} and gives an image several labels, or none (multi-label). "
                "Spikewise classifies each image into one class: keep one label per image."
            )
        array = array.argmax(axis=1)
    if array.ndim != 1:
        raise DataError(f"{what} has shape {array.shape}; labels are [N], [N, 1] or one-hot [N, K].")
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and not (array == np.rint(array)).all()):
        raise DataError(f"{what} holds {array.dtype} values that are not whole numbers; labels are 0, 1, 2, ...")
    if array.size and array.min() < 0:
        raise DataError(f"{what} has a negative label ({array.min()}); labels are 0, 1, 2, ...")
    if array.size and array.max() > _LARGEST_LABEL:
        raise DataError(f"{what} has a label out of range ({array.max()}); labels are 0, 1, 2, ...")
    return array.astype(np.int64)


def to_grey(images: UInt8[np.ndarray, "N 3 H W"]) -> UInt8[np.ndarray, "N 1 H W"]:
    """Luma of colour images, rounded as Pillow rounds it (ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B)."""
    grey = np.empty((len(images), 1, *images.shape[2:]), np.uint8)
    for start in range(0, len(images), 1024):
        red, green, blue = np.moveaxis(images[start : start + 1024].astype(np.uint32), 1, 0)
        grey[start : start + 1024, 0] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return grey


def fit(
    images: UInt8[np.ndarray, "N C H W"], size: tuple[int, int] | None, grey: bool | None
) -> UInt8[np.ndarray, "N C2 H2 W2"]:
    """Images with the channels and the size (height, width) asked for; None leaves them as they are."""
    if grey and images.shape[1] == 3:
        images = to_grey(images)
    if grey is False and images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)
    if size is None or size == images.shape[2:]:
        return images
    resized = np.empty((*images.shape[:2], *size), np.uint8)
    for source, target in zip(images, resized, strict=True):
        for channel, out in zip(source, target, strict=True):
            out[:] = np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.BILINEAR))
    return resized


def hash_images(images: UInt8[np.ndarray, "N C H W"]) -> str:
    """SHA-256 over shape and pixels, read piecewise so that a memory map stays on disk."""
    digest = hashlib.sha256(repr(images.shape).encode())
    for start in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[start : start + 1024]).data)
    return digest.hexdigest()


def assemble(
    name: str,
    parts: Sequence[Labelled],
    *,
    classes: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    size: tuple[int, int] | None = None,
    grey: bool | None = None,
) -> ImageSet:
    """One `ImageSet` from the parts of a set.

    Args:
        classes: Name of each label; None: the numbers themselves.
    Raises:
        DataError: parts that do not fit together, labels out of range, an empty class, a single class.
    """
    shapes = {part.images.shape[1:] for part in parts}
    if len(shapes) > 1 and size is None:
        raise DataError(
            f"{name} mixes images of {_list(shapes)} (channels, height, width). "
            "Bring them to one: for example data.size=28 data.grey=true (on the command line: --set data.size=28)."
        )
    fitted = [fit(part.images, size, grey) for part in parts]
    if len({images.shape[1] for images in fitted}) > 1:
        raise DataError(
            f"{name} mixes grey and colour images. "
            "Say which to make them, data.grey=true or data.grey=false (on the command line: --set data.grey=true)."
        )
    images = fitted[0] if len(fitted) == 1 else np.concatenate(fitted)
    labels = np.concatenate([part.labels for part in parts])
    roles = np.concatenate([np.full(len(part.labels), part.role, np.int8) for part in parts])
    if not classes and labels.max() >= len(labels):  # not a name for each number up to it: that may be any many
        raise DataError(
            f"{name} has label {labels.max()} and only {len(labels)} images, so some label in between has none. "
            "Number the classes 0, 1, 2, ... without gaps."
        )
    classes = classes or [str(label) for label in range(int(labels.max()) + 1)]
    check_labels(name, labels, classes)
    return ImageSet(
        name=name,
        images=images,
        labels=labels,
        classes=tuple(classes),
        roles=roles,
        fingerprint=fingerprint(hash_images(images), labels, roles),
        notes=tuple(notes),
    )


def check_labels(name: str, labels: Int64[np.ndarray, " N"], classes: Sequence[str]) -> None:
    """Every label names a class and every class has images.

    Raises:
        DataError: a label out of range, an empty class, fewer than two classes.
    """
    if labels.size and labels.max() >= len(classes):
        position = int(labels.argmax())
        raise DataError(
            f"{name}: image {position} has label {labels[position]}, and there are {len(classes)} classes "
            f"(0..{len(classes) - 1}). The labels file is damaged or belongs to another set."
        )
    counts = np.bincount(labels, minlength=len(classes))
    empty = [f"{position} ({classes[position]})" for position, count in enumerate(counts) if not count]
    if empty:
        raise DataError(
            f"{name}: no image has label {', '.join(empty[:5])}. Number the classes 0, 1, 2, ... or fill it."
        )
    if len(classes) < 2:
        raise DataError(f"{name} has a single class ({classes[0]}); classification needs at least two.")


def fingerprint(pixels: str, labels: Int64[np.ndarray, " N"], roles: Int8[np.ndarray, " N"]) -> str:
    """SHA-256 over the hash of the pixels, the labels and the roles."""
    content = pixels.encode() + labels.astype("<i8").tobytes() + roles.astype("i1").tobytes()
    return hashlib.sha256(content).hexdigest()


def _list(shapes: set[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in sorted(shapes))
