"""Files that are either whole or absent: written to a temporary name in the same folder, flushed, renamed."""

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikewise.errors import StorageError
from spikewise.processes import lives
from spikewise.shell import setting_for

__all__ = [
    "OUTSIDE",
    "make_folder",
    "must_take_file",
    "must_take_files",
    "remove_if_left",
    "replace_file",
    "temporary_folder",
    "write_bytes",
    "write_json",
    "write_npz",
    "write_text",
]


_NOT_WRITABLE = "The folder is not writable: choose another with {}."
_NO_OTHER = "The folder is not writable: make it so, or take a copy that is."
_FILE_IN_PLACE = "A file stands where a folder is needed: choose another with {}."
_FULL_KEPT = "The disk is full: free some space and give the same command again; finished work is kept."
_FULL = "The disk of temporary files is full: free some space, or choose another folder with {}."
_ADVICE = {
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EROFS: _NOT_WRITABLE,
    errno.ENOTDIR: _FILE_IN_PLACE,
    errno.EEXIST: _FILE_IN_PLACE,
    errno.EISDIR: "A folder stands where the file belongs: remove it, or choose another place.",
    errno.ENAMETOOLONG: "A name in it is longer than this file system takes: choose a shorter one with {}.",
    errno.ENOENT: "That place cannot be made: choose another with {}.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
    errno.EFBIG: "No file may be that large here: raise the limit (ulimit -f), or choose another place with {}.",
}
"""What to do about an error of the operating system; {} is the setting that decides where it lies, if any does."""
OUTSIDE = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE),
        errno.ENAMETOOLONG,
    }
)
"""Errors that a disk or the system brings about whatever the program does."""


def _umask() -> int:
    """What files of this process are not to allow. To ask for it is to set it, for all threads."""
    asked = os.umask(0o077)
    os.umask(asked)
    return asked


_MODE: Final = 0o666 & ~_umask()
"""Of a file as any program makes it, found once, before there are threads."""
_OWNED: Final = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[^.]*\.part$")
"""The end of a temporary file's name."""
_NAMED: Final = 40
"""Characters of a file's own name in that of its temporary one; each may take four bytes."""
_OLD: Final = 3600.0
"""Seconds in which any file has long been written."""
_TEMPORARY = "the environment variable TMPDIR"
_temporary: set[Path] = set()
"""The temporary folders that are in use."""


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it over `path`, on failure remove it.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with storage_errors(path):
        owner = f"{_machine()}-{os.getpid()}-"
        shortened = path.name[:_NAMED]  # a name as long as the file system takes has no room for more
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{shortened}.{owner}", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _flush(temporary)
            temporary.chmod(_MODE)  # that of a temporary file is for its owner alone
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_if_left(part: Path) -> None:
    """Remove a temporary file that nobody is writing any more: its process is gone from this machine, or it is old.

    It is told by its name. A lock would stand in the way of libraries that lock what they write themselves, and of
    network shares.
    """
    owner = _OWNED.search(part.name)
    with contextlib.suppress(OSError):  # it has just been renamed, or another has removed it
        ended = owner and owner["machine"] == _machine() and not lives(int(owner["process"]))
        if ended or time.time() - part.stat().st_mtime > _OLD:
            part.unlink()


@lru_cache
def _machine() -> str:
    """This machine's name, as short as a name of a file should take it."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or none."""
    with replace_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file or none."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:  # whatever JSON can hold
    """Write a whole JSON file or none; numbers that JSON cannot hold (nan, inf) are refused."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_npz(path: Path, **arrays: NDArray[Any] | float) -> None:
    """Write a whole compressed `.npz` without pickles, or none; a number becomes an array without axes."""

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    write_with(path, save)


def write_with(path: Path, save: Callable[[Path], object]) -> None:
    """Let a library that wants a path write a whole file or none."""
    with replace_file(path) as temporary:
        save(temporary)


def make_folder(path: Path) -> Path:
    """Create a folder and its parents.

    Raises:
        StorageError: it cannot be made, or a file stands in its place.
    """
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def must_take_files(folder: Path) -> None:
    """Refuse a folder that cannot be written, or made, before the work whose outcome belongs there.

    Raises:
        StorageError: no file can be written there.
    """
    whole = folder.absolute()
    there = next(one for one in (whole, *whole.parents) if os.path.lexists(one))
    with storage_errors(folder), tempfile.TemporaryFile(dir=there):
        pass


def must_take_file(path: Path) -> None:
    """The same for one file, whose folder must be there.

    Raises:
        StorageError: it cannot be written.
    """
    with storage_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for what is needed no longer than this context.

    Raises:
        StorageError: no temporary folder can be written, or its disk is full.
    """
    place = tempfile.tempdir or os.environ.get("TMPDIR") or "a temporary folder"
    with storage_errors(Path(place), setting=_TEMPORARY):
        folder = tempfile.TemporaryDirectory(prefix="spikewise-")
    with folder as name:
        _temporary.add(Path(name))
        try:
            yield Path(name)
        finally:
            _temporary.discard(Path(name))


@contextlib.contextmanager
def storage_errors(path: Path, *, setting: str | None = None) -> Iterator[None]:
    """Say in words what the operating system says in numbers.

    Args:
        setting: what decides where `path` lies, if that cannot be told from the path.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        setting = setting or _setting_of(path)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = _FULL if setting == _TEMPORARY else _FULL_KEPT
        else:
            advice = _ADVICE.get(error.errno or 0, "Check the disk and the path, or choose another place with {}.")
        if setting is None and advice == _NOT_WRITABLE:
            advice = _NO_OTHER
        advice = advice.replace(" with {}", f" with {setting}" if setting else "")
        raise StorageError(f"Cannot write {path}: {error.strerror or error}. {advice}") from error


def _setting_of(path: Path) -> str | None:
    """The setting that decides where `path` lies, if there is one."""
    if any(path.is_relative_to(folder) for folder in tuple(_temporary)):
        return _TEMPORARY
    named = os.environ.get("SPIKEWISE_CACHE")
    own = (os.environ.get("XDG_CACHE_HOME"), os.environ.get("LOCALAPPDATA"), "~/.cache", "~/Library")
    for root in filter(None, [named] if named else own):
        with contextlib.suppress(RuntimeError):  # no home
            if path.absolute().is_relative_to(Path(root).expanduser().absolute()):
                return "the environment variable SPIKEWISE_CACHE"
    return setting_for(path)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
