"""One image file of any common kind as uint8 [C, H, W]; whatever is wrong with it is said in words."""

import io
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from spikewise.data.config import MAX_PIXELS
from spikewise.errors import DataError, MissingDataError

__all__ = ["SUFFIXES", "Header", "decode_image", "decode_with_header", "read_header"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm", ".pbm"})
"""What counts as an image file in a folder (upper or lower case)."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")  # no format that runs a program (EPS) or opens others
_GREY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width
_ORIENTATION = 0x0112
_FAILURES = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)


class Header(NamedTuple):
    """What a file says of itself, before its pixels are read."""

    height: int
    width: int
    grey: bool
    animated: bool


def decode_image(
    source: Path | bytes,
    *,
    size: tuple[int, int] | None = None,
    grey: bool | None = None,
    max_pixels: int = MAX_PIXELS,
) -> UInt8[np.ndarray, "C H W"]:
    """Decode a PNG, JPEG, BMP, TIFF, GIF, WebP or PNM image.

    EXIF orientation is obeyed. Of an animation the first frame counts. Transparent pixels are composited on black
    (nothing there, so no spikes); an alpha channel that is zero everywhere is unused (32-bit BMP) and ignored.
    16-bit values are divided by 257, never stretched; floats must lie in 0..1. A JPEG that is to be made smaller is
    decoded at 1/2, 1/4 or 1/8 size where that still covers `size`; resizing is bilinear, averaging when it shrinks,
    and does not keep the aspect ratio.

    Args:
        size: Height and width in pixels; None keeps the image's own.
        grey: True: one channel; false: three; None: as stored.
        max_pixels: Refuse more pixels than this.
    Raises:
        MissingDataError: no such file.
        DataError: empty, truncated, not an image, too many pixels.
    """
    return decode_with_header(source, size=size, grey=grey, max_pixels=max_pixels)[0]


def decode_with_header(
    source: Path | bytes, *, size: tuple[int, int] | None, grey: bool | None, max_pixels: int
) -> tuple[UInt8[np.ndarray, "C H W"], Header]:
    """As `decode_image`, with the file's header."""
    try:
        with _open(source) as image:
            header = _header(image, source, max_pixels)
            mode = "L" if (header.grey if grey is None else grey) else "RGB"
            target = size or (header.height, header.width)
            turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
            image.draft(mode, target if turned else target[::-1])
            plain = _flatten(image, mode)
            if image.getexif().get(_ORIENTATION, 1) != 1:
                plain = ImageOps.exif_transpose(_with_exif(plain, image))
            if plain.size != target[::-1]:
                plain = plain.resize(target[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(plain)
    except _FAILURES as error:
        raise _explain(source, error) from error
    return (pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)), header


def read_header(source: Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Header:
    """What a file says of itself; its pixels are not read.

    Raises:
        MissingDataError, DataError: as `decode_image`, as far as the header shows it.
    """
    try:
        with _open(source) as image:
            return _header(image, source, max_pixels)
    except _FAILURES as error:
        raise _explain(source, error) from error


def _open(source: Path | bytes) -> Image.Image:
    if isinstance(source, Path) and source.is_fifo():  # opening one would wait for somebody to write
        raise DataError(f"{source} is a pipe, not a file; a single image can come on standard input, named -.")
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{_name(source)} claims too many pixels ({error}): a decompression bomb, refused.") from error


def _header(image: Image.Image, source: Path | bytes, max_pixels: int) -> Header:
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"{_name(source)} claims {width:,} x {height:,} pixels, more than max_pixels = {max_pixels:,}: "
            "a decompression bomb, or a picture to make smaller first."
        )
    if image.getexif().get(_ORIENTATION, 1) in _TURNED:
        width, height = height, width
    return Header(height, width, image.mode in _GREY or _has_grey_palette(image), getattr(image, "is_animated", False))


def _has_grey_palette(image: Image.Image) -> bool:
    if image.mode not in ("P", "PA"):
        return False
    colours = np.asarray(image.getpalette("RGB") or [0, 1, 2]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    """The image in "L" or "RGB", deep numbers scaled to 8 bits and transparency composited on black."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_bytes(image)).convert(mode)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema() in ((0, 0), (255, 255)):
            return image.convert("RGB").convert(mode)
        flat = Image.new("RGB", image.size)
        flat.paste(image.convert("RGB"), mask=alpha)
        return flat.convert(mode)
    if image.mode in ("1", "L", "RGB"):
        return image.convert(mode)
    return image.convert("RGB").convert(mode)  # palette, CMYK, YCbCr, HSV


def _to_bytes(image: Image.Image) -> UInt8[np.ndarray, "H W"]:
    values = np.asarray(image)
    limit = 1 if image.mode == "F" else 65535
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= limit):
        raise ValueError(f"pixels run from {low:g} to {high:g}, expected 0..{limit}; save it with 8 or 16 bits")
    scaled = values * 255.0 if image.mode == "F" else values / 257.0
    return np.rint(scaled).astype(np.uint8)


def _with_exif(plain: Image.Image, original: Image.Image) -> Image.Image:
    plain = plain.copy()
    plain.getexif()[_ORIENTATION] = original.getexif()[_ORIENTATION]
    return plain


def _explain(source: Path | bytes, error: BaseException) -> DataError:
    if isinstance(error, DataError):
        return error
    if isinstance(error, FileNotFoundError):
        return MissingDataError(f"{_name(source)} does not exist.")
    if isinstance(error, UnidentifiedImageError):
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        found = "it is empty" if size == 0 else "it is damaged, or of a kind other than PNG, JPEG, BMP, TIFF, GIF, WebP"
        return DataError(f"{_name(source)} is not an image: {found}.")
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{_name(source)} cannot be read: {error.strerror}.")
    return DataError(f"{_name(source)} cannot be decoded: {error}.")


def _name(source: Path | bytes) -> str:
    return str(source) if isinstance(source, Path) else "the image"
