"""`Work`: a pure function of its settings that leaves its result in a folder, for whatever executor there is.

A training of some hours is lost to nobody if it can be begun anywhere, ended at any moment and begun again: what is
done is told by a file that is written last, and what is half done lies beside it as checkpoints.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from filelock import FileLock, Timeout

from spikewise.files import make_folder
from spikewise.shell import command_runs

__all__ = ["BUSY", "KEPT_ENVIRONMENT", "Beat", "Ended", "Event", "Known", "Waits", "Word", "Work", "in_words"]

BUSY: Final = 75
"""Exit code of a process that found another at work in its folder."""
KEPT_ENVIRONMENT: Final = ("SPIKEWISE_DATA", "SPIKEWISE_CACHE", "SPIKEWISE_PLUGINS")
"""Variables that mean the same wherever the work is done."""


@dataclass(frozen=True)
class Work:
    """A piece of work; equal ones are one, by name."""

    name: str
    """Unique among what one folder of claims is for; a part of file names."""
    label: str
    """For people."""
    call: str
    """The function, as "module:name"; it gets the folder, the arguments and a listener."""
    folder: Path
    """What it works in."""
    done: str
    """The file there that tells that it is done; it is written last."""
    lock: str
    """The file there that its process locks."""
    log: Path
    """What its process writes."""
    arguments: Callable[[], dict[str, Any]] = field(compare=False)
    """Made when it begins, as JSON holds them: ten thousand that wait need none."""
    writes: tuple[str, ...] = (".",)
    """The parts of the folder that it writes; they come back from machines that do not share the folder."""
    reads: tuple[str, ...] = ()
    """Files there that it needs beside them."""

    def is_done(self) -> bool:
        """Whether its result is there."""
        return (self.folder / self.done).exists()

    def is_locked(self) -> bool:
        """Whether a process of this machine, or of one with which it shares the folder and its locks, is at work."""
        file = self.folder / self.lock
        if not file.parent.exists():
            return False
        lock = FileLock(file)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        return False

    def order(self) -> dict[str, Any]:
        """What a process on any machine has to be told."""
        make_folder(self.log.parent)
        return {
            "name": self.name,
            "call": self.call,
            "folder": str(self.folder.absolute()),
            "done": self.done,
            "arguments": self.arguments(),
            "writes": self.writes,
            "reads": self.reads,
            "log": str(self.log.absolute()),
            "directory": _directory(),
            "commands": command_runs(),
            "environment": {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
        }


class Beat(NamedTuple):
    """A sign of life."""

    name: str
    """Of the work."""
    node: str
    """The machine that is at it."""
    said: dict[str, Any]
    """How far it is: network, seed, epoch, epochs; empty while there is nothing new."""


class Ended(NamedTuple):
    """The end of an attempt."""

    name: str
    """Of the work."""
    code: int
    """Exit code of its process; negative is a signal."""
    message: str = ""
    """Why it failed."""
    node: str = ""
    """The machine that was at it."""
    again: bool = False
    """Whether another machine, or a later moment, may do better."""


class Waits(NamedTuple):
    """It is at work no more, and goes on when its turn comes: no sign of life is expected until then."""

    name: str
    """Of the work."""


class Known(NamedTuple):
    """It goes on when this process has died, and a later one finds it again."""

    name: str
    """Of the work."""
    handle: str
    """By what its executor finds it."""


class Word(NamedTuple):
    """Something that a person should know."""

    text: str


Event = Beat | Ended | Known | Waits | Word


def in_words(log: Path, exit_code: int) -> str:
    """Why a process ended, by its exit code and the last that it wrote."""
    if exit_code < 0:
        why = "; often that means that memory ran out" if exit_code == -signal.SIGKILL else ""
        return f"The process was killed by signal {-exit_code}{why}."
    try:
        text = log.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        text = ""
    if "Error: " in text and "Traceback" not in text:
        return " ".join(text.rpartition("\nError: ")[2].removeprefix("Error: ").split())
    return text.splitlines()[-1] if text else f"The process ended with exit code {exit_code} and said nothing."


def _directory() -> str:
    with contextlib.suppress(FileNotFoundError):  # it was removed
        return str(Path.cwd())
    return "/"
