"""What an image file holds besides pixels: segments, texts, tags, and what follows its end. Nothing is decoded.

Sources: "Portable Network Graphics", W3C 2003, section 5; ITU-T T.81 (JPEG), annex B; Exif 2.32, section 4.6.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

__all__ = ["container_facts", "tag_facts"]

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PARTS, _READ, _TAIL = 500, 65_536, 65_536
"""Segments of a file that are looked at, and bytes of a segment and of the end."""
_WORDS = 60
"""Characters of a value that are kept."""
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a length."""
_OF_THE_PIXELS = frozenset({256, 257, 273, 278, 279, 322, 323, 324, 325, 34665, 34853})
"""TIFF and EXIF tags that follow from the size of the image or lead to other tags."""


def container_facts(path: Path) -> dict[str, str]:
    """Name and value (or a check sum of it) of every part of a PNG or JPEG file that holds no pixels.

    Returns:
        What could be read before the file ends or breaks off; nothing for other formats.
    """
    facts: dict[str, str] = {}
    with path.open("rb") as file:
        start = file.read(8)
        parts = _png(file) if start == _PNG else _jpeg(file) if start.startswith(_JPEG) else iter(())
        for name, value in parts:
            facts.setdefault(name, value)
    return facts


def tag_facts(image: Image.Image) -> dict[str, str]:
    """EXIF and TIFF tags of an opened image, and what else its header says in words or numbers."""
    facts = {}
    for kind, tags, names in _tag_tables(image):
        for tag, value in list(tags.items())[:_PARTS]:
            if tag not in _OF_THE_PIXELS:
                facts[f"{kind} {names.get(tag, f'tag {tag}')}"] = _words(value)
    for key, value in list(image.info.items())[:_PARTS]:
        if isinstance(value, str | int | float | tuple | bytes) and key not in ("exif", "transparency", "parsed_exif"):
            facts.setdefault(f"header {key}", _words(value))
    return facts


def _tag_tables(image: Image.Image) -> Iterator[tuple[str, dict[int, object], dict[int, str]]]:
    exif = image.getexif()
    yield "EXIF", dict(exif), ExifTags.TAGS
    yield "EXIF", dict(exif.get_ifd(ExifTags.IFD.Exif)), ExifTags.TAGS
    yield "EXIF GPS", dict(exif.get_ifd(ExifTags.IFD.GPSInfo)), ExifTags.GPSTAGS


def _words(value: object) -> str:
    if isinstance(value, bytes):
        readable = value[:_WORDS].decode("ascii", "replace").strip("\0 ")
        return readable if len(value) <= _WORDS and readable.isprintable() else _sum(value)
    return re.sub(r"\s+", " ", str(value))[:_WORDS]


def _sum(value: bytes) -> str:
    return f"#{zlib.crc32(value):08x}"


def _png(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """Each chunk but the pixels; of these the first two bytes, which name the effort of compression."""
    for _ in range(_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I", head[:4])[0], head[4:].decode("latin-1")
        body = file.read(min(length, _READ))
        if len(body) < min(length, _READ):
            return
        file.seek(length - len(body) + 4, 1)
        if kind == "IDAT":
            yield "PNG compression", body[:2].hex()
        elif kind == "IHDR":
            yield "PNG interlace", str(body[12:13].hex())
        elif kind in ("tEXt", "zTXt", "iTXt"):
            keyword, _, text = body.partition(b"\0")
            yield f"PNG text {keyword[:_WORDS].decode('latin-1')}", _words(text) if kind == "tEXt" else _sum(text)
        elif kind == "IEND":
            yield from _tail(file.read(_READ))
            return
        else:
            yield f"PNG {kind}", body.hex() if len(body) <= 16 else _sum(body)


def _jpeg(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """Each segment before the pixels, and what follows the last end mark."""
    file.seek(2)
    for _ in range(_PARTS):
        head = file.read(2)
        if len(head) < 2 or head[0] != 0xFF or head[1] == 0xD9:
            return
        if head[1] in _BARE:
            continue
        size = file.read(2)
        if len(size) < 2:
            return
        length = max(0, struct.unpack(">H", size)[0] - 2)
        if head[1] == 0xDA:
            break
        body = file.read(length)
        if len(body) < length:
            return
        yield _segment(head[1], body)
    file.seek(0, 2)
    file.seek(max(0, file.tell() - _TAIL))
    end = file.read(_TAIL)
    yield from _tail(end[end.rfind(b"\xff\xd9") + 2 :] if b"\xff\xd9" in end else b"")


def _segment(marker: int, body: bytes) -> tuple[str, str]:
    if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
        return "JPEG coding", f"{marker:02x} {body[:1].hex()} {body[5:].hex()}"  # without height and width
    if marker == 0xFE:
        return "JPEG comment", _words(body)
    names = {0xDB: "quantisation", 0xC4: "Huffman tables", 0xDD: "restart interval"}
    if 0xE0 <= marker <= 0xEF:
        return f"JPEG APP{marker - 0xE0} {body[:12].partition(bytes(1))[0].decode('latin-1')}", _sum(body)
    return f"JPEG {names.get(marker, f'{marker:02x}')}", _sum(body)


def _tail(rest: bytes) -> Iterator[tuple[str, str]]:
    if rest.strip(b"\0"):
        yield "bytes after the end", f"{len(rest)} {_sum(rest)}"
