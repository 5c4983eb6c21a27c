"""What image files say of themselves: read from their headers, kept in the user's cache."""

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from PIL import Image

from spikewise.data.audit.container import container_facts, tag_facts
from spikewise.data.cache import Progress
from spikewise.data.catalog import CATALOG
from spikewise.data.config import MAX_PIXELS, DataConfig
from spikewise.data.locate import find_folder
from spikewise.data.names import as_path
from spikewise.errors import SpikewiseError
from spikewise.files import make_folder, write_json

__all__ = ["FileFacts", "folder_of", "read_facts"]

_VERSION = 2
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")
_BITS = {"1": 1, "L": 8, "P": 8, "LA": 16, "PA": 16, "RGB": 24, "YCbCr": 24, "LAB": 24, "HSV": 24, "RGBA": 32}
_BITS |= {"CMYK": 32, "RGBX": 32, "I": 32, "F": 32, "RGBa": 32, "La": 16}
_FAILURES = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)


class FileFacts(NamedTuple):
    """One image file, without its pixels."""

    file: str
    bytes: int
    format: str
    """As Pillow names it; empty where the header cannot be read."""
    mode: str
    """As Pillow names it: L, RGB, RGBA, P, ..."""
    bits: int
    """A pixel."""
    compression: str
    """Of a JPEG its quantisation, else what the header calls its compression."""
    width: int
    height: int
    about: tuple[tuple[str, str], ...] = ()
    """Name and value of what else the file says: texts, tags, segments, what follows its end."""
    alpha: tuple[float, ...] = ()
    """Of a file with transparency: share of the pixels that are not opaque, mean and least opacity, share of those that
    are not there at all, and their mean red, green and blue, which nobody sees."""


def folder_of(config: DataConfig, data_dir: Path | None = None) -> Path | None:
    """The folder that `sources` of a loaded set are relative to; none for a set that is no folder of image files.

    Raises:
        MissingDataError: a known set that is not here.
    """
    known = CATALOG.get(config.source)
    if known is not None:
        return find_folder(known, data_dir) if known.kind in ("folder", "fingerprints") else None
    path = as_path(config.source)
    return path if path.is_dir() else None


def read_facts(root: Path, files: Sequence[str], cache: Path, progress: Progress | None = None) -> list[FileFacts]:
    """The facts of files below `root`, in their order; an unreadable header gives an empty format.

    Kept in the cache folder under a hash of the names, sizes and times of change; a cache that cannot be written is
    passed over.
    """
    statuses = [_status(root / name) for name in files]
    key = hashlib.sha256(repr((_VERSION, PIL.__version__, str(root.resolve()))).encode())
    for name, status in zip(files, statuses, strict=True):
        key.update(f"{name}\0{status}\n".encode("utf-8", "surrogateescape"))
    kept = cache / f"{key.hexdigest()[:32]}.headers.json"
    known = _load(kept, len(files))
    if known is not None:
        return known
    facts = []
    for done, (name, status) in enumerate(zip(files, statuses, strict=True)):
        if progress is not None and done % 256 == 0:
            progress("reading headers", done, len(files))
        facts.append(_read(root / name, name, status[0]))
    try:
        make_folder(cache)
        write_json(kept, [list(one) for one in facts])
    except SpikewiseError:  # the audit is worth more than its cache
        return facts
    return facts


def _status(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _load(path: Path, count: int) -> list[FileFacts] | None:
    try:
        facts = [_from_json(row) for row in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError, IndexError):  # not there, or damaged: read again
        return None
    return facts if len(facts) == count else None


def _from_json(row: list[Any]) -> FileFacts:
    about = tuple((str(name), str(value)) for name, value in row[8])
    return FileFacts._make((*row[:8], about, tuple(map(float, row[9]))))


def _read(path: Path, name: str, size: int) -> FileFacts:
    try:
        if not path.is_file():  # opening a pipe would wait for somebody to write
            return FileFacts(name, size, "", "", 0, "", 0, 0)
        with Image.open(path, formats=_FORMATS) as image:
            bits = 16 if image.mode.startswith("I;16") else _BITS.get(image.mode, 0)
            width, height = image.size
            about = {**container_facts(path), **tag_facts(image)}
            return FileFacts(
                name,
                size,
                image.format or "",
                image.mode,
                bits,
                _compression(image),
                width,
                height,
                tuple(sorted(about.items())),
                _alpha(image),
            )
    except (*_FAILURES, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return FileFacts(name, size, "", "", 0, "", 0, 0)


def _compression(image: Image.Image) -> str:
    tables = getattr(image, "quantization", None)
    if tables:
        return f"quantisation {sum(tables[0])}"
    named = image.info.get("compression")
    return "" if named is None else f"compression {named}"


def _alpha(image: Image.Image) -> tuple[float, ...]:
    """See `FileFacts.alpha`; these pixels are decoded, those of files without transparency are not."""
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return ()
    if image.width * image.height > MAX_PIXELS:
        return ()
    pixels = np.asarray(image.convert("RGBA"))
    opacity = pixels[..., 3]
    absent = opacity == 0
    hidden = pixels[absent][:, :3].mean(axis=0, dtype=np.float64) if absent.any() else np.zeros(3)
    facts = ((opacity < 255).mean(), opacity.mean(), opacity.min(), absent.mean(), *hidden)
    return tuple(round(float(fact), 6) for fact in facts)
