"""IDX, the format of MNIST: a magic number, the shape, then the bytes; plain or gzipped.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewise.data.limits import ByteSource, check_memory
from spikewise.errors import DataError, MissingDataError

__all__ = ["encode_idx", "read_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}


def read_idx(path: Path) -> NDArray[Any]:
    """Read one IDX file, gzipped or not.

    Never unpacks more bytes than the header promises, and never more than fit in memory.

    Returns:
        The array, in native byte order.
    Raises:
        MissingDataError: no such file.
        DataError: not IDX, shorter or longer than its header says, or damaged.
    """
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not gzipped:
                return _read(raw, path)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read(unpacked, path)
    except FileNotFoundError:
        raise MissingDataError(f"{path} does not exist.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = "it ends early" if isinstance(error, EOFError) else "its checksum, or its header, is wrong"
        raise DataError(f"{path} is a damaged gzip file: {what}. Delete it and fetch it again.") from error
    except MemoryError as error:
        raise DataError(f"There is no memory left for {path}. Use a smaller set.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def encode_idx(array: NDArray[Any]) -> bytes:
    """The IDX file of an array of uint8, int8, int16, int32, float32 or float64.

    Raises:
        DataError: IDX has no code for this type, or the array has no axis.
    """
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None or not 0 < array.ndim < 256:
        raise DataError(f"IDX cannot hold an array of {array.dtype} with {array.ndim} axes.")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(_TYPES[code]).tobytes()


def _read(file: ByteSource, path: Path) -> NDArray[Any]:
    dtype, shape = _header(file, path)
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        raise DataError(f"{path} holds no images, and no labels: its header says {shape}. Fetch it again.")
    check_memory(size, path)
    content = _exactly(file, size)
    if len(content) < size:
        raise DataError(
            f"{path} ends early: its header promises {size:,} bytes ({shape}), {len(content):,} are there. "
            "The download was probably cut off: delete the file and fetch it again."
        )
    if file.read(1):
        raise DataError(f"{path} is longer than the {size:,} bytes that its header promises ({shape}). It is damaged.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _header(file: ByteSource, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not magic[3]:
        raise DataError(f"{path} is not an IDX file: it starts with {magic.hex(' ') or 'nothing'}, not 00 00 08 ...")
    if magic[3] > _MOST_AXES:
        raise DataError(f"{path} claims {magic[3]} axes, more than any array of images has. Its header is damaged.")
    axes = file.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        raise DataError(f"{path} ends within its header. Delete the file and fetch it again.")
    return np.dtype(_TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", axes)


def _exactly(file: ByteSource, size: int) -> bytearray:
    """At most `size` bytes, in blocks: a header that lies about a short file costs no memory."""
    content = bytearray()
    while len(content) < size and (block := file.read(min(1 << 24, size - len(content)))):
        content += block
    return content
