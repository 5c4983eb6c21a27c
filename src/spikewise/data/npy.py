"""The header of an .npy file, read by its grammar: nothing that a file says is evaluated.

A header is one dictionary with the keys `descr`, `fortran_order` and `shape`, padded with spaces.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", with versions 2.0 and 3.0.
"""

import math
import re
import struct
from typing import Any, NamedTuple

import numpy as np

from spikewise.data.limits import ByteSource

__all__ = ["HeaderError", "NpyHeader", "read_npy_header"]

_MAGIC = b"\x93NUMPY"
_LENGTHS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}
_LONGEST_HEADER = 10_000
"""Bytes; NumPy's own limit."""
_MOST_AXES = 32
_MOST_DIGITS = 18
"""Of a number in a header: all of them fit in 64 bits."""

_NUMBER = r"(?:0|[1-9][0-9]*)L?"  # Python 2 wrote 3L
_DICTIONARY = re.compile(r"\{(.*)\}[ \n]*", re.DOTALL)
_ENTRY = re.compile(
    r"""\s*(['"])(?P<key>descr|fortran_order|shape)\1\s*:\s*"""
    rf"""(?P<value>'[^'"\\]*'|"[^'"\\]*"|True|False|\(\s*(?:{_NUMBER}\s*(?:,\s*{_NUMBER}\s*)*,?\s*)?\)|\[[^\n]*\])\s*"""
)
_TYPE = re.compile(r"[<>|=]?(?:b1|i[1248]|u[1248]|f[248]|\?|[SU][1-9][0-9]{0,7})")
_OBJECT = re.compile(r"[<>|=]?O[0-9]*")


class HeaderError(ValueError):
    """What is wrong with a header, in words."""


class NpyHeader(NamedTuple):
    """What follows the header, and how much of it."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int
    """Bytes of the array."""


def read_npy_header(file: ByteSource) -> NpyHeader:
    """Read from the start of an .npy file to the first byte of its array.

    Raises:
        HeaderError: another format, or a type other than booleans, integers, floats and text.
    """
    start = file.read(len(_MAGIC) + 2)
    if len(start) < len(_MAGIC) + 2 or not start.startswith(_MAGIC):
        raise HeaderError(f"it starts with {start.hex(' ') or 'nothing'}, not with {_MAGIC.hex(' ')}")
    version = (start[-2], start[-1])
    if version not in _LENGTHS:
        raise HeaderError(f"it is of version {version[0]}.{version[1]}, known are 1.0, 2.0 and 3.0")
    field = struct.Struct(_LENGTHS[version])
    length = file.read(field.size)
    if len(length) < field.size:
        raise HeaderError("it ends within its header")
    (promised,) = field.unpack(length)
    if promised > _LONGEST_HEADER:
        raise HeaderError(f"its header of {promised:,} bytes is longer than {_LONGEST_HEADER:,}")
    text = file.read(promised)
    if len(text) < promised:
        raise HeaderError("it ends within its header")
    return _parsed(text)


def _parsed(text: bytes) -> NpyHeader:
    try:
        found = _DICTIONARY.fullmatch(text.decode("ascii"))
    except UnicodeDecodeError:
        raise HeaderError("its header holds other characters than ASCII") from None
    values = {} if found is None else _entries(found[1])
    if set(values) != {"descr", "fortran_order", "shape"} or values["fortran_order"] not in ("True", "False"):
        raise HeaderError(f"its header is not a description of an array: {_brief(text)}")
    shape = _shape(values["shape"])
    dtype = _dtype(values["descr"])
    size = math.prod(shape) * dtype.itemsize
    if math.prod(axis for axis in shape if axis) * dtype.itemsize >= 2**62:
        raise HeaderError(f"no array can have its shape {shape}")
    return NpyHeader(shape, values["fortran_order"] == "True", dtype, size)


def _entries(body: str) -> dict[str, str]:
    values: dict[str, str] = {}
    at = 0
    while at < len(body) and (entry := _ENTRY.match(body, at)):
        if entry["key"] in values:
            raise HeaderError(f"its header says {entry['key']} twice")
        values[entry["key"]] = entry["value"]
        at = entry.end()
        if body.startswith(",", at):
            at += 1
            if not body[at:].strip():
                return values
        elif at < len(body):
            return {}
    return values if at == len(body) else {}


def _shape(value: str) -> tuple[int, ...]:
    numbers = re.findall(r"[0-9]+", value)
    if not value.startswith("(") or (len(numbers) == 1 and "," not in value):
        raise HeaderError(f"its shape {_brief(value.encode())} is not a list of lengths")
    if len(numbers) > _MOST_AXES or any(len(number) > _MOST_DIGITS for number in numbers):
        raise HeaderError(f"no array can have its shape {_brief(value.encode())}")
    return tuple(int(number) for number in numbers)


def _dtype(value: str) -> np.dtype[Any]:
    name = value[1:-1]
    if _OBJECT.fullmatch(name):
        return np.dtype(object)
    if value[0] not in "'\"" or not _TYPE.fullmatch(name):
        raise HeaderError(f"its type {value[:80]} is none of: booleans, integers, floats up to 64 bits, text")
    return np.dtype(name)


def _brief(text: bytes) -> str:
    return repr(text.decode("ascii", "replace"))[:80]
