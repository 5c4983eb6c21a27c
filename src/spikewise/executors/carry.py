"""Parts of a folder as bytes, to and from machines that do not see it."""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from spikewise.errors import RunError
from spikewise.files import make_folder, storage_errors

__all__ = ["pack", "state_of", "unpack"]

State = dict[str, tuple[int, int]]
"""Size and time of each file, by its path below the folder."""
_TRIES: Final = 5


def state_of(root: Path, parts: Iterable[str]) -> State:
    """The files of some parts of a folder, but for hidden ones: locks, and what is half written."""
    found: State = {}
    for part in parts:
        at = root / part
        files = [at] if at.is_file() else sorted(path for path in at.rglob("*") if path.is_file())
        for path in files:
            below = path.relative_to(root)
            if not any(name.startswith(".") for name in below.parts):
                try:
                    status = path.stat()
                except FileNotFoundError:  # replaced or removed just now
                    continue
                found[below.as_posix()] = status.st_size, status.st_mtime_ns
    return found


def pack(root: Path, parts: Iterable[str]) -> bytes:
    """The files of some parts of a folder, as they all were at one moment.

    What a process writes in the meantime would not fit together: then it is tried again.
    """
    parts = list(parts)
    packed = b""
    for _ in range(_TRIES):
        before = state_of(root, parts)
        out = io.BytesIO()
        try:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name in before:
                    tar.add(root / name, name, recursive=False)
        except FileNotFoundError:
            continue
        packed = out.getvalue()
        if state_of(root, parts) == before:
            break
    return packed


def unpack(packed: bytes, root: Path, parts: Iterable[str]) -> None:
    """Make the parts of a folder what they were when they were packed.

    Files are put in place one by one, in the order in which they were written: whoever dies in between leaves what the
    process that wrote them would have left.

    Raises:
        RunError: the bytes are damaged, or hold anything else than those parts.
        StorageError: the disk is full.
    """
    parts = list(parts)
    make_folder(root)
    with storage_errors(root):
        staging = Path(tempfile.mkdtemp(dir=root, prefix=".brought-"))
        try:
            names = _extract(packed, staging, parts)
            for name in sorted(names, key=lambda name: (staging / name).stat().st_mtime_ns):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staging / name, root / name)  # noqa: PTH105  # over what is there, on every system
            for name in state_of(root, parts).keys() - names:
                (root / name).unlink(missing_ok=True)
            _remove_empty(root, parts)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _extract(packed: bytes, staging: Path, parts: list[str]) -> set[str]:
    names = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            for member in tar:
                if not member.isreg() or not _is_within(member.name, parts):
                    raise RunError(f"What came back holds '{member.name}', which is none of its files.")
                tar.extract(member, staging, filter="data")
                os.utime(staging / member.name, (member.mtime, member.mtime))
                names.add(member.name)
    except tarfile.TarError as error:
        raise RunError(f"What came back is damaged: {error}. The work is begun again.") from None
    return names


def _is_within(name: str, parts: list[str]) -> bool:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return False
    return any(part == "." or path.is_relative_to(part) for part in parts)


def _remove_empty(root: Path, parts: list[str]) -> None:
    """Folders of files that are gone."""
    for part in parts:
        for path in sorted((root / part).rglob("*"), reverse=True):
            if path.is_dir() and not path.name.startswith(".") and not any(path.iterdir()):
                path.rmdir()
