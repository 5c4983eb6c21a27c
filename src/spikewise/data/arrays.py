"""From arrays of any layout to an `ImageSet`: uint8 [N, C, H, W], int64 labels, checked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int8, Int64, UInt8
from numpy.typing import NDArray
from PIL import Image

from spikewise.data.config import DataConfig, Layout, Size
from spikewise.data.image_set import Aspect, ImageSet, Role
from spikewise.data.resize import OneSize, one_size, resized
from spikewise.data.white import Kind, Range, Whites, kind_of, merge, range_of, resolve_white, to_bytes
from spikewise.errors import DataError

__all__ = [
    "Labelled",
    "as_labels",
    "assemble",
    "channels_first",
    "check_complete",
    "check_labels",
    "fingerprint",
    "fit",
    "hash_images",
]

_LARGEST_LABEL = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and labels of one role, as read: what white is, and which axis is what, is settled for the whole set."""

    images: NDArray[Any]
    """[N, H, W], [N, C, H, W] or [N, H, W, C], of any type of number."""
    labels: Int64[np.ndarray, " N"]
    role: Role
    what: str
    """Names the images in errors."""

    @classmethod
    def pair(cls, images: NDArray[Any], labels: NDArray[Any], role: Role, what: str) -> "Labelled":
        """Images and labels as read, checked.

        Raises:
            DataError: different lengths, no images, words as labels, or what `as_labels` refuses.
        """
        numbers = as_labels(labels, f"the labels of {what}")
        if numbers.dtype.kind == "U":
            raise DataError(f"The labels of {what} are words; number them 0, 1, 2, ...")
        if images.ndim < 3:
            raise _no_images(what, images.shape)
        if 0 in images.shape:
            raise DataError(f"{what} holds no images: its shape is {images.shape}.")
        if len(images) != len(numbers):
            raise DataError(
                f"{what} has {len(images):,} images and {len(numbers):,} labels. One of the two is damaged."
            )
        return cls(images, numbers, role, what)


def channels_first(array: NDArray[Any], layout: Layout | None, what: str) -> NDArray[Any]:
    """Grey [N, H, W] or colour [N, H, W, 3], [N, 3, H, W] as [N, C, H, W].

    Args:
        layout: Order of four axes; None: the one in which there are 1 or 3 channels.
        what: Names the array in errors.
    Raises:
        DataError: another number of axes or channels, or both orders fit.
    """
    if array.ndim == 3:
        return array[:, None]
    if array.ndim != 4:
        raise _no_images(what, array.shape)
    orders = {"NCHW": array.shape[1] in (1, 3), "NHWC": array.shape[3] in (1, 3)}
    fitting = [order for order, fits in orders.items() if fits and layout in (None, order)]
    if len(fitting) > 1 and array.shape[1:] != (1, 1, 1):
        raise DataError(
            f"{what} has shape {array.shape}, which can be channels first or channels last. Say which it is: "
            "--set data.layout=NCHW or --set data.layout=NHWC."
        )
    if not fitting:
        raise _no_images(what, array.shape, layout)
    return array if fitting[0] == "NCHW" else array.transpose(0, 3, 1, 2)


def _no_images(what: str, shape: tuple[int, ...], layout: str | None = None) -> DataError:
    asked = f" (data.layout={layout})" if layout else ""
    return DataError(
        f"{what} has shape {shape}; images are [N, H, W], [N, H, W, 3] or [N, 3, H, W]{asked}. "
        "Volumes, alpha channels and flattened pixels are not read: reshape them first."
    )


def as_labels(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Labels [N], [N, 1] or one-hot [N, K] as [N] of int64, or of text where they are words.

    Raises:
        DataError: several labels an image, fractions, negative numbers, or bytes that are no UTF-8.
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
    if array.dtype.kind in "SU":
        return _words(array, what)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and not (array == np.rint(array)).all()):
        raise DataError(f"{what} holds {array.dtype} values that are not whole numbers; labels are 0, 1, 2, ...")
    if array.size and array.min() < 0:
        raise DataError(f"{what} has a negative label ({array.min()}); labels are 0, 1, 2, ...")
    if array.size and array.max() > _LARGEST_LABEL:
        raise DataError(f"{what} has a label out of range ({array.max()}); labels are 0, 1, 2, ...")
    return array.astype(np.int64)


def _words(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.dtype.kind == "U":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{what} holds bytes that are no text in UTF-8 ({error.reason}). Save words as str.") from None


def to_grey(images: UInt8[np.ndarray, "N 3 H W"]) -> UInt8[np.ndarray, "N 1 H W"]:
    """Luma of colour images, rounded as Pillow rounds it (ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B)."""
    grey = np.empty((len(images), 1, *images.shape[2:]), np.uint8)
    for start in range(0, len(images), 1024):
        red, green, blue = np.moveaxis(images[start : start + 1024].astype(np.uint32), 1, 0)
        grey[start : start + 1024, 0] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return grey


def fit(
    images: UInt8[np.ndarray, "N C H W"],
    size: tuple[int, int] | None,
    grey: bool | None,
    aspect: Aspect = "stretch",
) -> UInt8[np.ndarray, "N C2 H2 W2"]:
    """Images with the channels and the size (height, width) asked for; None leaves them as they are."""
    if grey and images.shape[1] == 3:
        images = to_grey(images)
    if grey is False and images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)
    if size is None or size == images.shape[2:]:
        return images
    fitted = np.empty((*images.shape[:2], *size), np.uint8)
    for source, target in zip(images, fitted, strict=True):
        for channel, out in zip(source, target, strict=True):
            out[:] = np.asarray(resized(Image.fromarray(channel), size, aspect))
    return fitted


def hash_images(images: UInt8[np.ndarray, "N C H W"]) -> str:
    """SHA-256 over shape and pixels, read piecewise so that a memory map stays on disk."""
    digest = hashlib.sha256(repr(images.shape).encode())
    for start in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[start : start + 1024]).data)
    return digest.hexdigest()


def assemble(
    name: str,
    parts: Sequence[Labelled],
    config: DataConfig,
    *,
    classes: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    most_labels: int | None = None,
) -> ImageSet:
    """One `ImageSet` from the parts of a set, under one order of axes and one white.

    Args:
        config: Size, channels, white and layout that were asked for.
        classes: Name of each label; None: the numbers themselves.
        most_labels: Refuse numbers from this on, where they are the names; None: as many as there are images.
    Raises:
        DataError: parts that do not fit together, labels out of range, or what `channels_first` or `resolve_white`
            refuses.
    """
    arrays = [channels_first(part.images, config.layout, part.what) for part in parts]
    target = _one_size(arrays, parts, config, name)
    kinds = [kind_of(images, f"the images of {part.what}") for images, part in zip(arrays, parts, strict=True)]
    whites = _whites(arrays, kinds, config, name)
    fitted = [
        fit(np.ascontiguousarray(to_bytes(images, kind, whites.of[kind])), target.size, config.grey, target.aspect)
        for images, kind in zip(arrays, kinds, strict=True)
    ]
    if len({images.shape[1] for images in fitted}) > 1:
        raise DataError(
            f"{name} mixes grey and colour images. "
            "Say which to make them: --set data.grey=true or --set data.grey=false."
        )
    images = fitted[0] if len(fitted) == 1 else np.concatenate(fitted)
    labels = np.concatenate([part.labels for part in parts])
    roles = np.concatenate([np.full(len(part.labels), part.role, np.int8) for part in parts])
    if not classes and labels.max() >= (
        most_labels or len(labels)
    ):  # not a name for each number up to it: that may be any many
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
        notes=(*notes, *target.said, *whites.cautions),
        cautions=(*target.said, *whites.cautions),
        whites=whites.of,
        aspect=target.aspect,
    )


def _one_size(arrays: Sequence[NDArray[Any]], parts: Sequence[Labelled], config: DataConfig, name: str) -> OneSize:
    """What `one_size` says of all images, each counted."""
    sizes: dict[bool, list[Size]] = {True: [], False: []}
    for images, part in zip(arrays, parts, strict=True):
        sizes[part.role is Role.TRAIN] += [images.shape[2:]] * len(images)
    return one_size(name, [*sizes[True], *sizes[False]], sizes[True], config.size, config.aspect, "black")


def _whites(arrays: Sequence[NDArray[Any]], kinds: Sequence[Kind], config: DataConfig, name: str) -> Whites:
    found: dict[Kind, list[Range]] = {}
    for images, kind in zip(arrays, kinds, strict=True):
        found.setdefault(kind, []).append(range_of(images))
    return resolve_white({kind: merge(ranges) for kind, ranges in found.items()}, config.white_number, name)


def check_labels(name: str, labels: Int64[np.ndarray, " N"], classes: Sequence[str]) -> None:
    """Every label names a class.

    Raises:
        DataError: a label out of range.
    """
    if labels.size and labels.max() >= len(classes):
        position = int(labels.argmax())
        raise DataError(
            f"{name}: image {position} has label {labels[position]}, and there are {len(classes)} classes "
            f"(0..{len(classes) - 1}). The labels file is damaged or belongs to another set."
        )


def check_complete(name: str, labels: Int64[np.ndarray, " N"], classes: Sequence[str], hint: str = "") -> None:
    """There are two classes or more, and each has images.

    Args:
        hint: Why there may be too few.
    Raises:
        DataError: an empty class, or fewer than two classes.
    """
    counts = np.bincount(labels, minlength=len(classes))
    empty = [f"{position} ({classes[position]})" for position, count in enumerate(counts) if not count]
    if empty:
        raise DataError(
            f"{name}: no image has label {', '.join(empty[:5])}. Number the classes 0, 1, 2, ... or fill it."
        )
    if len(classes) < 2:
        raise DataError(f"{name} has a single class ({classes[0]}); classification needs at least two. {hint}".rstrip())


def fingerprint(
    pixels: str,
    labels: Int64[np.ndarray, " N"],
    roles: Int8[np.ndarray, " N"],
    groups: Int64[np.ndarray, " N"] | None = None,
) -> str:
    """SHA-256 over the hash of the pixels, the labels, the roles and, where they are given, the subjects."""
    content = pixels.encode() + labels.astype("<i8").tobytes() + roles.astype("i1").tobytes()
    content += b"" if groups is None else b"subjects" + groups.astype("<i8").tobytes()
    return hashlib.sha256(content).hexdigest()
