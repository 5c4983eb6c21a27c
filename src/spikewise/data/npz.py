"""Members of an .npz archive, read without ever running a pickle or trusting a size."""

import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewise.data.limits import ByteSource, check_memory
from spikewise.data.npy import HeaderError, NpyHeader, read_npy_header
from spikewise.errors import DataError, MissingDataError

__all__ = ["member_names", "read_member"]

_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # raised by zipfile for a compression or a version that it does not know
    RuntimeError,  # a password
    KeyError,
    ValueError,  # offsets and names that no archive has
    OverflowError,
    IndexError,
    OSError,  # offsets before the file's start, a damaged bzip2 stream
)
"""What zipfile raises for damaged archives."""
_BLOCK = 1 << 24
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)


def member_names(path: Path) -> list[str]:
    """Names of the arrays in an .npz.

    Raises:
        MissingDataError: no such file.
        DataError: not an .npz, or two members of one name.
    """
    with _archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path} holds two members called '{_shown(twice[0])}'. Save each array once.")
    return names


def read_member(path: Path, name: str) -> NDArray[Any]:
    """One array of an .npz, in native or foreign byte order.

    Raises:
        MissingDataError: no such file.
        DataError: the member is a pickle (never unpacked), damaged, not of the size its header promises, or larger
            than this machine's memory.
    """
    with _archive(path) as archive:
        try:
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as file:
                return _read_npy(file, entry.file_size, path, name)
        except DataError:
            raise
        except MemoryError as error:
            raise DataError(f"There is no memory left for '{_shown(name)}' in {path}. Use a smaller set.") from error
        except _BROKEN as error:
            raise DataError(
                f"'{_shown(name)}' in {path} is damaged ({_reason(error)}). "
                "If the file was downloaded, delete it and fetch it again; else save it anew."
            ) from error


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise MissingDataError(f"{path} does not exist.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except (*_BROKEN, MemoryError) as error:
            raise DataError(
                f"{path} is not an .npz archive, or was cut off ({_reason(error)}). Fetch it again."
            ) from error
        with archive:
            yield archive


def _read_npy(file: ByteSource, file_size: int, path: Path, name: str) -> NDArray[Any]:
    header = _header(file, path, name)
    if header.dtype.hasobject:
        raise DataError(
            f"'{_shown(name)}' in {path} is a pickle of Python objects. Reading it could run any code, so it is "
            "refused. Save plain numbers: np.savez(file, images=images.astype('uint8'), labels=labels.astype('int64'))."
        )
    if header.size + file.tell() != file_size:
        raise DataError(
            f"'{_shown(name)}' in {path} should hold {header.size:,} bytes ({header.shape} of {header.dtype}), the "
            f"archive says {file_size - file.tell():,}. The file is damaged: fetch it again."
        )
    check_memory(header.size, path)
    array = np.empty(header.shape, header.dtype, order="F" if header.fortran else "C")
    _fill(array, header, file, f"'{_shown(name)}' in {path}")
    file.read(1)  # reaching the end makes zipfile compare the checksum
    _check_values(array, f"'{_shown(name)}' in {path}")
    return array


def _fill(array: NDArray[Any], header: NpyHeader, file: ByteSource, what: str) -> None:
    view = array.reshape(-1, order="A").view(np.uint8) if header.size else array
    filled = 0
    while filled < header.size:
        block = file.read(min(_BLOCK, header.size - filled))
        if not block:
            raise DataError(f"{what} ends early, after {filled:,} of {header.size:,} bytes. Fetch it again.")
        view[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
        filled += len(block)


def _check_values(array: NDArray[Any], what: str) -> None:
    """Bytes that are no booleans, and numbers that are no characters, would fail far from here."""
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise DataError(f"{what} says it holds booleans, and holds other bytes than 0 and 1. It is damaged.")
    if array.dtype.kind == "U" and array.size:
        codes = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        low, high = _SURROGATES
        if codes.max() > _LAST_CODE_POINT or ((codes >= low) & (codes <= high)).any():
            raise DataError(f"{what} says it holds text, and holds numbers that are no characters. It is damaged.")


def _header(file: ByteSource, path: Path, name: str) -> NpyHeader:
    try:
        return read_npy_header(file)
    except HeaderError as error:
        raise DataError(f"'{_shown(name)}' in {path} is not a NumPy array of numbers or text ({error}).") from error


def _reason(error: BaseException) -> str:
    """What the library said, where it speaks of archives; its other words help nobody."""
    # NotImplementedError is zipfile's, for a compression or a version that it does not know: it names it.
    if isinstance(error, zipfile.BadZipFile | zipfile.LargeZipFile | NotImplementedError | EOFError):
        return _shown(str(error))[:200] or "it ends early"
    return "it needs a password" if "password" in str(error) else "its contents are broken"


def _shown(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
