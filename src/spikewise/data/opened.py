"""An image before its pixels are read: its size as a viewer shows it, how pixels are stored, which way is up."""

import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from spikewise.data.config import MAX_PIXELS
from spikewise.data.plain_png import PlainPNG, read_plain_png
from spikewise.data.white import Kind
from spikewise.errors import DataError, MissingDataError, SpikewiseError

__all__ = ["Header", "Source", "header_of", "name_of", "opened", "orientation_of", "quietly", "read_header"]

Source = Path | bytes | Image.Image
"""One image: a file, the bytes of one, or a picture in memory."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")  # no format that runs a program (EPS) or opens others
_GREY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_TURNED = frozenset({5, 6, 7, 8})  # orientations that swap height and width
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 256, 257
_SHORT: Final = 3
_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files."""


class Header(NamedTuple):
    """What a file says of itself, before its pixels are read."""

    height: int
    width: int
    """As a viewer shows it: turned upright."""
    grey: bool
    animated: bool
    kind: Kind
    """How a pixel is stored."""
    see_through: bool
    """Whether it can be transparent."""


@contextmanager
def opened(source: Source, max_pixels: int) -> Iterator[tuple[Image.Image, Header]]:
    """The picture, its pixels not read yet, and its header; whatever goes wrong while it is open is said in words.

    Raises:
        MissingDataError: no such file.
        DataError: empty, truncated, not an image, too many pixels, or no memory for them.
    """
    try:
        plain = _plain(source, max_pixels)
        if plain is not None and (picture := plain.picture()) is not None:
            yield picture, _plain_header(plain)
            return
        with quietly(), _opened(source) as image:
            yield image, header_of(image, source, max_pixels)
    except SpikewiseError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{name_of(source)} needs more memory than is left. Make it smaller first, or refuse such files with "
            "data.max_pixels."
        ) from error
    except _FAILURES as error:
        raise _explain(source, error) from error


def read_header(source: Source, *, max_pixels: int = MAX_PIXELS) -> Header:
    """What a file says of itself; its pixels are not read.

    Raises:
        MissingDataError, DataError: as `opened`, as far as the header shows it.
    """
    plain = _plain(source, max_pixels)
    if plain is not None:
        return _plain_header(plain)
    with opened(source, max_pixels) as (_, header):
        return header


def _plain(source: Source, max_pixels: int) -> PlainPNG | None:
    plain = read_plain_png(source) if isinstance(source, Path) else None
    return plain if plain is not None and plain.height * plain.width <= max_pixels else None


def _plain_header(plain: PlainPNG) -> Header:
    return Header(plain.height, plain.width, plain.mode == "L", animated=False, kind="uint8", see_through=False)


def header_of(image: Image.Image, source: Source, max_pixels: int) -> Header:
    """What the file says of itself.

    Raises:
        DataError: more pixels than `max_pixels`.
    """
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"{name_of(source)} claims {width:,} x {height:,} pixels, more than max_pixels = {max_pixels:,}: "
            "a decompression bomb, or a picture to make smaller first."
        )
    tags = getattr(image, "tag_v2", None)
    if tags is not None and _unread(image) and isinstance(tags.get(_WIDTH), int) and isinstance(tags.get(_HEIGHT), int):
        width, height = tags[_WIDTH], tags[_HEIGHT]  # Pillow has exchanged `size` already, or has not, by its version
    if orientation_of(image) in _TURNED:
        width, height = height, width
    return Header(
        height,
        width,
        image.mode in _GREY or _has_grey_palette(image),
        bool(getattr(image, "is_animated", False)),
        _kind(image),
        image.mode in _ALPHA or "transparency" in image.info,
    )


def orientation_of(image: Image.Image) -> int:
    """Which way is up, from 1 (as stored) to 8; 1 where the file does not say it, or in a way that is broken."""
    tags = getattr(image, "tag_v2", None)
    exif = b"" if tags is not None else image.info.get("exif") or _late_exif(image)
    found = _orientation_in(exif) if tags is None else tags.get(_ORIENTATION)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def name_of(source: Source) -> str:
    """How errors name it."""
    return str(source) if isinstance(source, Path) else "the image"


_lock = threading.Lock()
_users = 0
_filters = warnings.catch_warnings()


@contextmanager
def quietly() -> Iterator[None]:
    """Pillow's warnings about metadata are no news to a user; threads share one filter, for filters are global."""
    global _users, _filters  # noqa: PLW0603
    with _lock:
        if not _users:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _filters.__exit__(None, None, None)


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image):
        if not (isinstance(source, TiffImageFile) and _unread(source) and source.filename):
            yield source
            return
        source = Path(os.fsdecode(source.filename))
    if isinstance(source, Path) and source.is_fifo():  # opening one would wait for somebody to write
        raise DataError(f"{source} is a pipe, not a file; a single image can come on standard input, named -.")
    # Never by path: Pillow maps uncompressed files into memory and then turns the map instead of the picture.
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            image = Image.open(file, formats=_FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DataError(
                f"{name_of(source)} claims too many pixels ({error}): a decompression bomb, refused."
            ) from error
        with image:
            yield image


def _kind(image: Image.Image) -> Kind:
    """How a pixel is stored; colour of 16 bits, which Pillow halves, counts as what it was."""
    if image.mode == "1":
        return "bool"
    if image.mode == "F":
        return "float"
    if image.mode == "I":  # Pillow reads deep PNG and PNM files into it, scaled to 16 bits
        return "uint16" if image.format in ("PNG", "PPM") else "integer"
    return "uint16" if image.mode.startswith("I;16") or _is_deep_colour(image) else "uint8"


def _is_deep_colour(image: Image.Image) -> bool:
    return _unread(image) and ";16" in str(getattr(image, "tile", [(0, 0, 0, "")])[0][3])


def _unread(image: Image.Image) -> bool:
    """Whether the pixels still stand in the file."""
    return bool(getattr(image, "tile", None))


def _has_grey_palette(image: Image.Image) -> bool:
    if image.mode not in ("P", "PA"):
        return False
    colours = np.asarray(image.getpalette("RGB") or [0, 1, 2]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _orientation_in(exif: object) -> int | None:
    """The orientation in a block of EXIF, read by itself: what else stands there decides nothing.

    Source: TIFF revision 6.0, section 2; Exif 2.32, section 4.6.
    """
    if not isinstance(exif, bytes):
        return None
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    (at,) = struct.unpack(f"{order}I", exif[4:8])
    if at + 2 > len(exif):
        return None
    (count,) = struct.unpack(f"{order}H", exif[at : at + 2])
    for start in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, values = struct.unpack(f"{order}HHI", exif[start : start + 8])
        if tag == _ORIENTATION:
            (value,) = struct.unpack(f"{order}H", exif[start + 8 : start + 10])
            return int(value) if kind == _SHORT and values == 1 else None
    return None


def _late_exif(image: Image.Image) -> bytes | None:
    """The EXIF that a PNG may hold behind its pixels, which Pillow has not seen before it reads those."""
    file = getattr(image, "fp", None)
    if image.format != "PNG" or file is None or file.closed:
        return None
    here = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"eXIf":
                return bytes(file.read(length))
            file.seek(length + 4, io.SEEK_CUR)
    finally:
        file.seek(here)
    return None


def _explain(source: Source, error: BaseException) -> DataError:
    name = name_of(source)
    if isinstance(error, FileNotFoundError) and isinstance(source, Path) and source.is_symlink():
        return DataError(f"{name} is a link to a file that does not exist.")
    if isinstance(error, FileNotFoundError):
        return MissingDataError(f"{name} does not exist.")
    if isinstance(error, UnidentifiedImageError):
        size = len(source) if isinstance(source, bytes) else source.stat().st_size if isinstance(source, Path) else 1
        found = "it is empty" if size == 0 else "it is damaged, or of a kind other than PNG, JPEG, BMP, TIFF, GIF, WebP"
        return DataError(f"{name if isinstance(source, Path) else 'what was given'} is not an image: {found}.")
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{name} cannot be read: {error.strerror}.")
    said = str(error) if isinstance(error, OSError | SyntaxError) and str(error).isprintable() else "it is damaged"
    return DataError(f"{name} cannot be decoded: {said or 'it is damaged'}.")
