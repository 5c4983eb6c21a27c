"""Members of an .npz archive, read without ever running a pickle or trusting a size."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spikewise.data.limits import ByteSource, check_memory
from spikewise.errors import DataError, MissingDataError

__all__ = ["member_names", "read_member"]


def member_names(path: Path) -> list[str]:
    """Names of the arrays in an .npz.

    Raises:
        MissingDataError: no such file.
        DataError: not an .npz.
    """
    with _open(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_member(path: Path, name: str) -> NDArray[Any]:
    """One array of an .npz.

    Raises:
        MissingDataError: no such file.
        DataError: the member is a pickle (never unpacked), damaged, or not of the size its header promises.
    """
    with _open(path) as archive:
        try:
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as file:
                return _read_npy(file, entry.file_size, path, name)
        # zipfile raises NotImplementedError for a compression it does not know.
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError) as error:
            raise DataError(f"'{name}' in {path} is damaged ({error}). Delete the file and fetch it again.") from error


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise MissingDataError(f"{path} does not exist.") from None
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not an .npz archive, or was cut off ({error}). Fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read_npy(file: ByteSource, file_size: int, path: Path, name: str) -> NDArray[Any]:
    shape, fortran, dtype = _header(file, path, name)
    if dtype.hasobject:
        raise DataError(
            f"'{name}' in {path} is a pickle of Python objects. Reading it could run any code, so it is refused. "
            "Save plain numbers: np.savez(file, images=images.astype('uint8'), labels=labels.astype('int64'))."
        )
    size = math.prod(shape) * dtype.itemsize
    if size + file.tell() != file_size:
        raise DataError(
            f"'{name}' in {path} should hold {size:,} bytes ({shape} of {dtype}), the archive says "
            f"{file_size - file.tell():,}. The file is damaged: fetch it again."
        )
    check_memory(size, path)
    array = np.empty(shape, dtype, order="F" if fortran else "C")
    view = array.reshape(-1, order="A").view(np.uint8) if size else array
    filled = 0
    while filled < size:
        block = file.read(min(1 << 24, size - filled))
        if not block:
            raise DataError(f"'{name}' in {path} ends early, after {filled:,} of {size:,} bytes. Fetch it again.")
        view[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
        filled += len(block)
    file.read(1)  # reaching the end makes zipfile compare the checksum
    return array


def _header(file: ByteSource, path: Path, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        return read(file)
    except ValueError as error:
        raise DataError(f"'{name}' in {path} is not a NumPy array ({error}).") from error
