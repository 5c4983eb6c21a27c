"""Fetch known image sets and check that they are what was published."""

import contextlib
import gzip
import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pooch
import requests

from spikewise.data.cache import Progress
from spikewise.data.catalog import CATALOG, Archive, KnownFile, KnownSet
from spikewise.data.locate import candidates, default_data_folder, missing
from spikewise.errors import ChecksumError, DataError, MissingDataError, StorageError, unknown_choice
from spikewise.files import make_folder, write_with

__all__ = ["FileState", "FileVerdict", "download", "fetch_file", "verify"]

_BLOCK = 1 << 20
_RECEIVED = 1 << 16  # what an interruption loses at most
_TIMEOUT = (10, 60)
"""Seconds to connect, and between two blocks."""


class FileState(StrEnum):
    """What `verify` found."""

    OK = "ok"
    REPACKED = "other-version"
    """Other bytes on disk, the same unpacked bytes: the same images."""
    UNVERIFIED = "not verified"
    """There, but no checksum was ever published for it."""
    MISSING = "missing"
    WRONG = "wrong"


class FileVerdict(NamedTuple):
    """What `verify` found of one file."""

    name: str
    verdict: FileState
    path: Path | None


def known_set(name: str) -> KnownSet:
    """The facts of a set.

    Raises:
        ConfigError: no such name; the message has the nearest right one.
    """
    if name not in CATALOG:
        raise unknown_choice("image set", name, CATALOG)
    return CATALOG[name]


def download(name: str, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch a set into its folder below `data_dir`; files that are there and right are kept.

    Args:
        data_dir: Default: $SPIKEWISE_DATA, then the user's cache folder.
        progress: Called with file name, bytes so far, and bytes in all (0 where the server does not say).
    Returns:
        The folder of the set.
    Raises:
        ConfigError: no such name.
        MissingDataError: no mirror answers, or the set needs an account (the message lists the steps).
        ChecksumError: what came is not what was published; nothing of it is kept.
        StorageError: the disk is full or not writable.
    """
    known = known_set(name)
    root = default_data_folder(data_dir)
    if known.manual is not None:
        raise missing(known, data_dir)
    folder = root / known.folders[0] if known.folders else root
    for file in known.files:
        if _is_there(folder, file):
            continue
        make_folder(folder)
        path = fetch_file(file, folder, progress)
        if isinstance(file, Archive):
            _unpack(path, file, folder)
    return folder


def verify(name: str, data_dir: Path | None = None) -> list[FileVerdict]:
    """Compare the files of a set on this machine with the published checksums.

    Raises:
        ConfigError: no such name.
    """
    known = known_set(name)
    places = candidates(known, data_dir)
    if known.manual is not None:
        path = places[0] if places else None
        return [FileVerdict(known.title, FileState.UNVERIFIED if path else FileState.MISSING, path)]
    return [verdict for file in known.files for verdict in _verify(file, places)]


def fetch_file(file: KnownFile, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch one file from the first mirror that has it; an interrupted download goes on where it stopped.

    Raises:
        MissingDataError: no mirror answers.
        ChecksumError: each mirror that answered served something else; nothing is kept.
    """
    unfinished = folder / f".{file.name}.partial"
    failures, wrong, queue = [], False, list(file.urls)
    while queue:
        url, resumed = queue.pop(0), unfinished.exists()
        try:
            _retrieve(url, file, folder, _Resuming(unfinished, file.name, progress))
        except requests.RequestException as error:
            failures.append(f"{url}: {_reason(error)}")
        except ValueError as error:  # pooch: the checksum does not match
            if "hash" not in str(error):
                raise
            if resumed:  # two mirrors' halves of different files: once more, from the start
                queue.insert(0, url)
                continue
            wrong = True
            failures.append(f"{url}: served a file with another checksum than the published {file.md5}")
        except OSError as error:
            raise StorageError(
                f"Cannot write {folder}: {error.strerror or error}. Free space or choose another."
            ) from error
        else:
            return folder / file.name
    listed = "\n".join(f"  {failure}" for failure in failures)
    if wrong:
        raise ChecksumError(f"{file.name} could not be fetched as published; nothing was kept:\n{listed}")
    raise MissingDataError(
        f"{file.name} could not be fetched:\n{listed}\nCheck the connection and try again "
        f"(a part already fetched is kept), or put the file into {folder} yourself."
    )


def _retrieve(url: str, file: KnownFile, folder: Path, downloader: "_Resuming") -> None:
    known_hash = f"md5:{file.md5}" if file.md5 else None
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # only the command line writes to a terminal
    try:
        pooch.retrieve(url, known_hash=known_hash, fname=file.name, path=folder, downloader=downloader)
    finally:
        logger.setLevel(level)


class _Resuming:
    """pooch's downloader: asks only for the bytes that an interrupted download lacks."""

    def __init__(self, partial: Path, name: str, progress: Progress | None) -> None:
        self._partial, self._name, self._progress = partial, name, progress

    def __call__(self, url: str, output: Any, _: object, check_only: bool = False) -> None:  # pooch's own signature
        start = self._partial.stat().st_size if self._partial.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self._partial.unlink()
                return self(url, output, _)
            response.raise_for_status()
            resumed = response.status_code == requests.codes.partial_content
            self._save(response, start if resumed else 0)
        shutil.move(self._partial, output)
        return None

    def _save(self, response: requests.Response, done: int) -> None:
        length = int(response.headers.get("Content-Length", 0))
        total = done + length if length else 0
        with self._partial.open("ab" if done else "wb") as file:
            for block in response.iter_content(_RECEIVED):
                file.write(block)
                done += len(block)
                if self._progress is not None:
                    self._progress(self._name, done, total)
        if total and done < total:
            raise requests.ConnectionError(f"the connection broke after {done:,} of {total:,} bytes")


def _unpack(path: Path, archive: Archive, folder: Path) -> None:
    """Take the needed members out of a zip file, by their names alone: no path of the archive is followed."""
    try:
        with zipfile.ZipFile(path) as unpacked:
            for member in archive.members:
                write_with(folder / Path(member).name, partial(_copy_member, unpacked, member))
    except (zipfile.BadZipFile, KeyError, zlib.error) as error:
        raise DataError(f"{path} does not hold what it should ({error}). Delete it and fetch it again.") from error


def _copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _BLOCK)


def _is_there(folder: Path, file: KnownFile) -> bool:
    if isinstance(file, Archive) and all((folder / Path(member).name).is_file() for member in file.members):
        return True
    path = folder / file.name
    if isinstance(file, Archive) and path.is_file() and _digest(path, "md5") == file.md5:
        _unpack(path, file, folder)
        return True
    return path.is_file() and _judge(path, file) in (FileState.OK, FileState.REPACKED, FileState.UNVERIFIED)


def _verify(file: KnownFile, places: list[Path]) -> list[FileVerdict]:
    found = next((place / file.name for place in places if (place / file.name).is_file()), None)
    if found is not None:
        return [FileVerdict(file.name, _judge(found, file), found)]
    if isinstance(file, Archive):
        return [_member_verdict(Path(member).name, places) for member in file.members]
    return [FileVerdict(file.name, FileState.MISSING, None)]


def _member_verdict(name: str, places: list[Path]) -> FileVerdict:
    found = next((place / name for place in places if (place / name).is_file()), None)
    return FileVerdict(name, FileState.UNVERIFIED if found else FileState.MISSING, found)


def _judge(path: Path, file: KnownFile) -> FileState:
    if file.md5 is None:
        return FileState.UNVERIFIED
    if _digest(path, "md5") == file.md5:
        return FileState.OK
    same = file.content_sha256 is not None and _unpacked_digest(path) == file.content_sha256
    return FileState.REPACKED if same else FileState.WRONG


def _digest(path: Path, kind: str, opener: Callable[[Path], Any] = lambda path: path.open("rb")) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with opener(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _unpacked_digest(path: Path) -> str | None:
    with contextlib.suppress(OSError, EOFError, zlib.error):
        return _digest(path, "sha256", lambda path: gzip.open(path, "rb"))
    return None


def _reason(error: requests.RequestException) -> str:
    return str(error) if error.response is None else f"HTTP {error.response.status_code} {error.response.reason}"
