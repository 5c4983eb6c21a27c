"""Arrays in .npz and IDX files, damaged and hostile, as `load_data` reads them."""

import gzip
import io
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fuzz.mutate import Rng, damaged
from spikewise.data import ImageSet, load_data
from spikewise.data.idx import encode_idx

_COUNT = 12
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_TYPES = ("u1", "u2", ">u2", "i4", ">i8", "f2", "f4", ">f4", "f8", "?", "i1", "u8", "c16", "U3", "S2", "M8[s]")
_WHITES = (1, 2, 15, 16, 37, 100, 255, 256, 1000, 4095, 65535, 1e6, 1e300, 0.004, 1.0004, -1, np.nan, np.inf)
_SHAPES = ("NHW", "NHWC", "NCHW", "NHW1", "N1HW", "N3H3", "NHW4", "N", "NF", "0HW", "NHWCx", "HWN")
_HEADERS = (
    "{'descr': %s, 'fortran_order': %s, 'shape': %s}",
    "{'descr': %s, 'fortran_order': %s, 'shape': %s, }",
    "{'shape': %3$s}",
    '{"descr": %s, "fortran_order": %s, "shape": %s, "shape": (1,)}',
    "[%s, %s, %s]",
    "%s%s%s",
)
_DESCRIPTIONS = (
    "'|u1'", "'<f8'", "'|O'", "'>U3'", "'<c16'", "'|V8'", "[('a', '|u1')]", "'u1'", "''", "'<f3'", "'|S0'",
    "'<U999999999'",
    "'<M8[ns]'", "None", "1", "u'<u1'", "'|u1" + "1" * 3000 + "'", "'\\x3cu1'", "'<i16'", "'float64'", "'?'",
    "'é'",
)  # fmt: skip
_FLAGS = ("False", "True", "0", "None", "'False'", "not True", "[]")
_LENGTHS = (
    "(12, 5, 4)", "(240,)", "()", "(12,5,4)", "(12L, 5L, 4L)", "(-12, 5, 4)", "(12.0, 5, 4)", "(True, 5)", "12", "(12)",
    "(2**60,)", f"({'9' * 4000},)", "(" + "1, " * 40 + ")", "(" * 5000 + ")" * 5000, "(0, 99999999999999999)",
    "(12, 5, 4" + " " * 20_000 + ")", "(0x10,)", "(None,)", "(12,, 5)", "lambda: 1", "(12, 5, 4)[:]",
    "(9223372036854775807,)",
)  # fmt: skip


class Arrays(NamedTuple):
    """Files of one folder, and which of them is asked for."""

    name: str
    files: dict[str, bytes]
    asked: str
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed


def cases(seed: int, count: int) -> Iterator[Arrays]:
    makers = (_members, _torn, _header, _directory, _idx, _members, _torn_idx, _gzip, _header, _torn)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield makers[number % len(makers)](rng)


def run(case: Arrays) -> ImageSet:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in case.files.items():
            (Path(folder) / name).write_bytes(content)
        return load_data(Path(folder) / case.asked, cache_dir=Path(folder) / "cache", **case.options)


def _pick(rng: Rng, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _images(rng: Rng) -> tuple[str, np.ndarray]:
    shape, kind, white = _pick(rng, _SHAPES), _pick(rng, _TYPES), _pick(rng, _WHITES)
    letters = {"N": _COUNT, "H": 5, "W": 4, "C": 3, "F": 20, "x": 2, **{str(n): n for n in range(10)}}
    shares = rng.random([letters[letter] for letter in shape])
    if shares.size:
        shares.flat[0] = 1
    with np.errstate(all="ignore"):
        numbers = shares * white
        return f"{shape} {kind} {white}", numbers.astype(kind if kind not in ("M8[s]",) else "i8").astype(kind)


def _labels(rng: Rng) -> np.ndarray:
    plain = np.arange(_COUNT) % 3
    odd = [
        plain, plain, plain[:, None], np.eye(3)[plain], plain.astype(">i8"), plain.astype("S1"), plain.astype("U2"),
        plain + 1,
        plain - 1, plain * 1e300, plain * np.nan, plain[:5], np.zeros(_COUNT), np.ones((_COUNT, 3)), np.array(3),
        plain + 0.5,
        np.array([b"\xff", b"b", b""])[plain], plain.astype(bool), plain.astype("M8[s]"), np.zeros((_COUNT, 2), "U1"),
        np.array(["", " ", "a\n"])[plain], plain * 2**40,
    ]  # fmt: skip
    return np.asarray(_pick(rng, odd))


def _options(rng: Rng) -> dict[str, Any]:
    odd = [{}, {}, {"white": 255}, {"white": 16}, {"layout": "NHWC"}, {"layout": "NCHW"}, {"size": 7}, {"grey": True}]
    return dict(_pick(rng, [*odd, {"grey": False}, {"size": (3, 9), "grey": True}]))


def _members(rng: Rng) -> Arrays:
    what, images = _images(rng)
    names = _pick(
        rng, [("x", "y"), ("train_images", "train_labels"), ("X", "target"), ("x", "x.y"), ("arr_0", "arr_1")]
    )
    members = {names[0]: images, names[1]: _labels(rng)}
    if rng.random() < 0.4:
        members |= {"x_train": _images(rng)[1], "y_train": _labels(rng), "x_test": images, "y_test": _labels(rng)}
    saved = {name: _npy(array, (1, 0)) for name, array in members.items()}
    content = _zipped(saved, _pick(rng, _METHODS[:2]))
    return Arrays(f"members {what}", {"m.npz": content}, "m.npz", _options(rng))


def _npy(array: np.ndarray, version: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def _zipped(members: dict[str, bytes], method: int) -> bytes:
    """An archive without the time of day, which would make each run another."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content, compress_type=method)
    return file.getvalue()


def _plain(rng: Rng) -> bytes:
    images = rng.integers(0, 256, (_COUNT, 5, 4)).astype(_pick(rng, ("u1", "<u2", ">f4")))
    version = _pick(rng, [(1, 0), (2, 0), (3, 0)])
    members = {"x": _npy(images, version), "y": _npy(np.arange(_COUNT) % 3, version)}
    return _zipped(members, _pick(rng, _METHODS))


def _torn(rng: Rng) -> Arrays:
    content, what = _plain(rng), []
    for _ in range(int(rng.integers(1, 4))):
        done, content = damaged(content, rng)
        what.append(done)
    return Arrays("torn " + ", ".join(what), {"m.npz": content[: 1 << 22]}, "m.npz")


def _header(rng: Rng) -> Arrays:
    parts = tuple(_pick(rng, choices) for choices in (_DESCRIPTIONS, _FLAGS, _LENGTHS))
    if rng.random() < 0.5:  # one hostile part among sound ones
        sound, at = ("'|u1'", "False", "(12, 5, 4)"), int(rng.integers(3))
        parts = tuple(parts[k] if k == at else sound[k] for k in range(3))
    form = _pick(rng, (_HEADERS[0],) * 4 + _HEADERS)
    text = form.replace("%3$s", parts[2]) if "%3$s" in form else form % parts
    header = text.encode("utf-8") + b" " * int(rng.integers(0, 70)) + b"\n"
    version = bytes(_pick(rng, [(1, 0), (1, 0), (2, 0), (3, 0), (9, 9)]))
    length = len(header) if rng.random() < 0.8 else int(rng.integers(0, 2**16))
    size = struct.pack("<H", min(length, 65535)) if version[0] == 1 else struct.pack("<I", length)
    member = b"\x93NUMPY" + version + size + header + rng.bytes(_pick(rng, [240, 240, 1920, 0]))
    content = _zipped({"x": member, "y": _npy(np.arange(_COUNT) % 3, (1, 0))}, zipfile.ZIP_STORED)
    return Arrays(f"header {text[:60]}", {"m.npz": content}, "m.npz")


def _directory(rng: Rng) -> Arrays:
    """A field of the central directory, or of its end, that lies."""
    content = bytearray(_plain(rng))
    marks = [at for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for at in _places(content, mark)]
    at = int(_pick(rng, marks)) + int(rng.integers(4, 46))
    kind = str(_pick(rng, ["<H", "<I", "B"]))
    value = int(_pick(rng, [0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE])) % 256 ** struct.calcsize(kind)
    if at + 4 <= len(content):
        struct.pack_into(kind, content, at, value)
    return Arrays(f"directory {at}: {value}", {"m.npz": bytes(content)}, "m.npz")


def _places(content: bytearray, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


def _pair(rng: Rng, images: bytes, labels: bytes, name: str, *, packed: bool = False) -> Arrays:
    suffix = ".gz" if packed else ""
    files = {f"t-images-idx3-ubyte{suffix}": images, f"t-labels-idx1-ubyte{suffix}": labels}
    return Arrays(name, files, f"t-images-idx3-ubyte{suffix}", _options(rng))


def _idx(rng: Rng) -> Arrays:
    axes = int(_pick(rng, [0, 1, 2, 3, 4, 30, 32, 33, 64, 255]))
    lengths = [int(_pick(rng, [0, 1, 12, 2**16, 2**31, 2**32 - 1])) for _ in range(axes)]
    head = struct.pack(f">BBBB{axes}I", 0, int(rng.integers(0, 2)), int(rng.integers(7, 16)), axes, *lengths)
    labels = encode_idx(np.asarray(_pick(rng, [np.arange(12, dtype="u1") % 3, np.array([np.nan, 1], "f4")])))
    return _pair(rng, head + rng.bytes(int(rng.integers(0, 300))), labels, f"idx {axes} axes {lengths[:3]}")


def _torn_idx(rng: Rng) -> Arrays:
    images = rng.integers(0, 256, (_COUNT, 5, 4)).astype(_pick(rng, ["u1", "f4", "i2"]))
    what, content = damaged(encode_idx(images), rng)
    return _pair(rng, content[: 1 << 22], encode_idx((np.arange(_COUNT) % 3).astype("u1")), f"torn idx {what}")


def _gzip(rng: Rng) -> Arrays:
    images = gzip.compress(encode_idx(rng.integers(0, 256, (_COUNT, 5, 4)).astype("u1")), mtime=0)
    labels = gzip.compress(encode_idx((np.arange(_COUNT) % 3).astype("u1")), mtime=0)
    what, content = damaged(images, rng)
    return _pair(rng, content[: 1 << 22], labels, f"gzip {what}", packed=True)
