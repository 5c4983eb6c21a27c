"""Decoding that was cut off, and goes on: pixels lie in place, and a journal says which of them are done.

A folder beside the cache entry holds the headers that were read, the array that is being filled, and a line for each
run of files that is in it. A line is written when its pixels are on the disk. One process at a time works there;
another one that decodes the same set fills a folder of its own, which is nobody's to go on with.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Int32, UInt8

from spikewise.data.opened import Header
from spikewise.data.runs import Outcome
from spikewise.errors import ProcessesError
from spikewise.files import make_folder, replace_file, storage_errors, write_npz

__all__ = ["Headers", "Unfinished", "unfinished"]

_PIXELS, _JOURNAL, _HEADERS = "pixels.npy", "journal.jsonl", "headers.npz"
_TOGETHER = 256
"""Runs of files that are written down at a time: each waits for the disk."""


class Headers(NamedTuple):
    """What a list of files says of itself."""

    kinds: list[Header]
    """Those that differ."""
    which: Int32[np.ndarray, " N"]
    """Which of them each file has; -1: its header cannot be read."""
    bad: dict[str, str]
    """Why."""


class Unfinished:
    """The folder of one set that is being decoded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[int, Outcome] = {}
        """What was decoded before, by the place of the first file of each run."""
        self._pixels: np.memmap | None = None
        self._fresh: list[tuple[int, Outcome]] = []

    @property
    def file(self) -> Path:
        """The array that is being filled."""
        return self.folder / _PIXELS

    def headers(self) -> Headers | None:
        """Those that were kept, if they were."""
        try:
            with np.load(self.folder / _HEADERS, allow_pickle=False) as kept:
                told = json.loads(kept["told"].tobytes())
                return Headers([Header(*one) for one in told["kinds"]], kept["which"], told["bad"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, headers: Headers) -> None:
        """Write the headers down."""
        told = json.dumps({"kinds": headers.kinds, "bad": headers.bad}).encode()
        write_npz(self.folder / _HEADERS, which=headers.which, told=np.frombuffer(told, np.uint8))

    def pixels(self, shape: Sequence[int], about: str) -> UInt8[np.ndarray, "N C H W"]:
        """The array to fill; what an earlier process put into it stays if it decoded in the same way.

        Args:
            about: all that decides what the files become.
        """
        if not self._goes_on(shape, about):
            self.done = {}
            (self.folder / _JOURNAL).write_text(json.dumps(about) + "\n", encoding="utf-8")
            self._pixels = np.lib.format.open_memmap(self.file, mode="w+", dtype=np.uint8, shape=tuple(shape))
            _reserve(self.file)
        assert self._pixels is not None
        return self._pixels

    def note(self, start: int, outcome: Outcome) -> None:
        """A run of files, from that place on, is in the array."""
        self._fresh.append((start, outcome))
        if len(self._fresh) >= _TOGETHER:
            self.write_down()

    def write_down(self) -> None:
        """Bring what is done to the disk."""
        assert self._pixels is not None
        self._pixels.flush()
        self._append([json.dumps([start, *outcome]) for start, outcome in self._fresh])
        self.done.update(self._fresh)
        self._fresh = []

    def close(self) -> None:
        """The array is about to be brought into its last order: nobody can go on with it then."""
        self.write_down()
        self._append([json.dumps("closed")])

    def move_pixels(self, path: Path) -> None:
        """Make the array a file of its own, whole or not at all."""
        assert self._pixels is not None
        self._pixels.flush()
        self._pixels = None
        with replace_file(path) as temporary:
            self.file.replace(temporary)

    def _append(self, lines: Sequence[str]) -> None:
        with (self.folder / _JOURNAL).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _goes_on(self, shape: Sequence[int], about: str) -> bool:
        """Whether what is there was decoded in this way; read it then."""
        try:
            first, *lines = (self.folder / _JOURNAL).read_text(encoding="utf-8").split("\n")
            if json.loads(first) != about or json.dumps("closed") in lines:
                return False
            self._pixels = np.lib.format.open_memmap(self.file, mode="r+")
            whole = [json.loads(line) for line in lines[:-1]]  # behind the last line break stands what was cut off
            self.done = {start: Outcome(*rest) for start, *rest in whole}
        except (OSError, ValueError, TypeError):
            return False
        return self._pixels.shape == tuple(shape) and self._pixels.dtype == np.uint8


@contextlib.contextmanager
def unfinished(cache: Path, key: str) -> Iterator[Unfinished]:
    """The folder in which a set is decoded; it goes when that is done, and stays when it is cut off.

    Raises:
        StorageError: the cache folder cannot be written.
    """
    make_folder(cache)
    lock = FileLock(cache / f".{key}.lock")  # it stays: whoever removed it could let two in
    with storage_errors(cache):
        try:
            lock.acquire(blocking=False)
        except Timeout:  # another process is at it
            with tempfile.TemporaryDirectory(dir=cache, prefix=f".{key}.", suffix=".part") as own:
                yield Unfinished(Path(own))
            return
        try:
            folder = make_folder(cache / f"{key}.part")
            try:
                yield Unfinished(folder)
            except ProcessesError:  # whoever has more memory goes on
                raise
            except Exception:  # decoding these files fails again; only who is interrupted goes on
                shutil.rmtree(folder, ignore_errors=True)
                raise
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()


def _reserve(path: Path) -> None:
    """Claim the disk space now: writing to a map on a full disk would kill the process."""
    with contextlib.suppress(AttributeError), path.open("rb+") as file:  # not on Windows and macOS
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
