"""Plain PNG files, read without Pillow's reader of PNG: the same picture, in less time where files are small.

A file is plain if it is small and whole (every checksum is right, nothing lies behind its end), if its pixels are
bytes of grey or colour, and if it has only such chunks beside them as change neither pixels nor which way is up. Any
other, a damaged one above all, is nobody's here: Pillow reads it, and what is wrong with it is said there.

Source: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5 and 11.
"""

import contextlib
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

__all__ = ["PlainPNG", "read_plain_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SMALLEST, _LARGEST = 57, 1 << 18
"""Bytes of a file: of one with nothing but its three chunks, and beyond which its opening no longer matters."""
_MOST_PIXELS = 1 << 22
_MODES: Final = {0: "L", 2: "RGB"}
"""By the type of colour; what has a palette, transparency or another depth is not plain."""
_HARMLESS: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
"""Chunks that change no pixel, and how long each is."""
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for nobody


class PlainPNG(NamedTuple):
    """A plain file: its header, and its pixels as it stores them."""

    height: int
    width: int
    mode: str
    """Pillow's: "L" or "RGB"."""
    packed: bytes

    def picture(self) -> Image.Image | None:
        """Its pixels, by the decoder in C that Pillow's reader uses, too; None where that makes no picture of them."""
        with contextlib.suppress(ValueError, OSError, TypeError, AttributeError, Image.DecompressionBombError):
            return Image.frombytes(self.mode, (self.width, self.height), self.packed, "zip", self.mode)
        return None


def read_plain_png(path: Path) -> PlainPNG | None:
    """The file, if it is a plain PNG; None where it is anything else, or not there."""
    if path.suffix.lower() != ".png":
        return None
    content = _content(path)
    if content is None or content[:8] != _SIGNATURE or content[12:16] != b"IHDR":
        return None
    width, height, *form = struct.unpack_from(">IIBBBBB", content, 16)
    depth, colour, *ways = form
    if depth != 8 or colour not in _MODES or any(ways) or not 0 < width * height <= _MOST_PIXELS:
        return None
    packed = _packed(content)
    return None if packed is None else PlainPNG(height, width, _MODES[colour], packed)


def _content(path: Path) -> bytes | None:
    """All bytes of a small file."""
    try:
        number = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode) or not _SMALLEST <= status.st_size <= _LARGEST:
            return None
        content = os.read(number, status.st_size)
        return content if len(content) == status.st_size else None
    except OSError:
        return None
    finally:
        os.close(number)


def _packed(content: bytes) -> bytes | None:
    """The compressed pixels of a whole file; None if it is not whole, or holds other than harmless chunks."""
    view, at, parts, ended = memoryview(content), 8, list[memoryview](), False
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if end + 4 > len(content) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return None
        if kind == b"IDAT":
            if ended:
                return None
            parts.append(view[at + 8 : end])
        elif kind == b"IEND":
            return b"".join(parts) if parts and not length and end + 4 == len(content) else None
        elif kind == b"IHDR":
            if at != 8 or length != 13:
                return None
        elif _HARMLESS.get(kind) != length:
            return None
        ended = ended or (bool(parts) and kind != b"IDAT")
        at = end + 4
    return None
