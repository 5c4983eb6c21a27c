"""Image files of every format, damaged and hostile: by path, by bytes, in a folder, for a network."""

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.fuzz.mutate import Rng, damaged
from spikewise.data import Reading, decode_image, load_data

_FORMATS: dict[str, tuple[str, ...]] = {
    "PNG": ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "TIFF": ("1", "L", "LA", "RGB", "RGBA", "CMYK", "P", "I;16", "I", "F", "LAB"),
    "BMP": ("1", "L", "RGB", "RGBA", "P"),
    "GIF": ("L", "P", "RGB"),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("1", "L", "RGB"),
}
_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4")


class Pictures(NamedTuple):
    """One image file, and how it is asked for."""

    name: str
    content: bytes
    suffix: str
    road: str
    options: dict[str, Any]


def cases(seed: int, count: int) -> Iterator[Pictures]:
    roads = ("bytes", "path", "folder", "network", "memory")
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        kind = list(_FORMATS)[number % len(_FORMATS)]
        mode = str(rng.choice(_FORMATS[kind]))
        content, what = _encoded(kind, mode, rng), [f"{kind} {mode}"]
        for _ in range(int(rng.integers(0, 4))):
            done, content = _metadata(content, kind, rng) if rng.random() < 0.3 else damaged(content, rng)
            what.append(done)
        road = roads[(number // len(_FORMATS)) % len(roads)]
        yield Pictures(f"{', '.join(what)} by {road}", content[: 1 << 22], f".{kind.lower()}", road, _options(rng))


def run(case: Pictures) -> object:
    match case.road:
        case "bytes":
            return decode_image(case.content, **case.options)
        case "network":
            channels = 1 if case.options.get("grey") else 3
            return Reading((channels, 9, 7), {"uint8": 255, "uint16": 4095}).pixels([case.content])
        case "memory":
            return decode_image(_loaded(case.content), **case.options)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        for label in ("a", "b"):
            (root / label).mkdir(parents=True)
            for number in range(2):
                Image.new("L", (12, 10), 80 * number + 90).save(root / label / f"{number}.png")
        file = root / "a" / f"it{case.suffix}"
        file.write_bytes(case.content)
        if case.road == "path":
            return decode_image(file, **case.options)
        options = {"size": (10, 12), "grey": True} | case.options
        return load_data(root, cache_dir=Path(folder) / "cache", skip_bad=bool(len(case.content) % 2), **options)


def _loaded(content: bytes) -> Image.Image | bytes:
    """The picture that a user's program has opened; the bytes where it could not."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except Exception:  # whatever it is, it is no fault of ours
        return content
    return image


def _options(rng: Rng) -> dict[str, Any]:
    odd: list[dict[str, Any]] = [{}, {}, {"size": (5, 8)}, {"size": (1, 1)}, {"size": (64, 3), "grey": True}]
    odd += [{"grey": False}, {"background": "white"}, {"white": 255}, {"white": 1e9}, {"white": 0.001}]
    return dict(odd[int(rng.integers(len(odd)))], **({"max_pixels": 50} if rng.random() < 0.05 else {}))


def _encoded(kind: str, mode: str, rng: Rng) -> bytes:
    height, width = (int(side) for side in rng.integers(1, 24, 2))
    image = _picture(mode, height, width, rng)
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(1, 9)) if kind == "TIFF" else int(rng.integers(0, 10))
    options: dict[str, Any] = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") and rng.random() < 0.5 else {}
    if kind == "TIFF":
        options["compression"] = str(rng.choice(_COMPRESSIONS))
    if kind == "PNG" and rng.random() < 0.2 and mode in ("L", "P", "I;16"):
        options["transparency"] = int(rng.integers(0, 256))
    if kind in ("GIF", "WEBP") and rng.random() < 0.3:
        options |= {"save_all": True, "append_images": [_picture(mode, height, width, rng)]}
    file = io.BytesIO()
    try:
        image.save(file, kind, **options)
    except (OSError, ValueError, KeyError, RuntimeError):  # what Pillow cannot write in this combination
        file = io.BytesIO()
        _picture("L", height, width, rng).save(file, kind)
    return file.getvalue()


def _picture(mode: str, height: int, width: int, rng: Rng) -> Image.Image:
    white = float(rng.choice([1, 16, 60, 255, 4095, 65535, 1e6]))
    shares = rng.random((height, width))
    if mode == "I;16":
        return Image.fromarray((shares * min(white, 65535)).astype(np.uint16))
    if mode == "I":
        return Image.fromarray((shares * white - float(rng.choice([0, 0, 5]))).astype(np.int32))
    if mode == "F":
        values = (shares * float(rng.choice([1, 1.0004, 0.1, 255, 1e9]))).astype(np.float32)
        values.flat[0] = float(rng.choice([0, 0, -1, np.nan, np.inf]))
        return Image.fromarray(values)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = (rng.random((height, width, 3)) * min(white, 255)).astype(np.uint8)
    image = Image.fromarray(pixels)
    if mode == "LAB":
        return Image.frombytes("LAB", (width, height), pixels.tobytes())
    image = image.convert(mode)
    if bands in (2, 4) and mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray((shares * 255).astype(np.uint8)))
    return image


def _metadata(content: bytes, kind: str, rng: Rng) -> tuple[str, bytes]:
    """A chunk or a segment that says something else, or nothing that can be read."""
    body = rng.bytes(int(rng.integers(0, 40)))
    if rng.random() < 0.7:
        order = b"MM\0*\0\0\0\x08" if rng.random() < 0.5 else b"II*\0\x08\0\0\0"
        body = order + rng.bytes(int(rng.integers(0, 40)))
    if kind == "PNG":
        name = [b"eXIf", b"gAMA", b"tRNS", b"PLTE", b"iCCP", b"sBIT", b"acTL", b"pHYs"][int(rng.integers(8))]
        at = 33 if rng.random() < 0.7 else max(content.find(b"IEND") - 4, 8)
        chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        return f"chunk {name.decode()} at {at}", content[:at] + chunk + content[at:]
    if kind == "JPEG":
        block = b"Exif\0\0" * int(rng.integers(0, 3)) + body
        marker = bytes([0xFF, int(rng.integers(0xE0, 0xF0))])
        return "segment", content[:2] + marker + struct.pack(">H", len(block) + 2) + block + content[2:]
    if kind == "TIFF" and len(content) > 16:
        (at,) = struct.unpack("<I", content[4:8])
        place = at + 2 + 12 * int(rng.integers(0, 12))
        tag = int(rng.choice([256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 339]))
        values = int(rng.choice([0, 1, 2, 2**31]))
        entry = struct.pack("<HHII", tag, int(rng.integers(0, 14)), values, int(rng.integers(0, 2**32)))
        return f"tag at {place}", content[:place] + entry + content[place + 12 :]
    return damaged(content, rng)
