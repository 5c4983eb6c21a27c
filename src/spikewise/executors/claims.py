"""Claims: which process has some work in hand, said by a file beside it, so that none is done twice.

A lock ends with its process, but is known on its own machine alone, and says nothing of work that waits in a queue. A
claim is a file that only one can make. It is renewed while its owner lives; when it has not been for a while, or its
owner was a process of this machine that is gone, anybody may take it over, and with it what it says of the queue.
"""

import contextlib
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from spikewise.files import make_folder, storage_errors

__all__ = ["LEASE", "Claims", "Left"]

LEASE: Final = 60.0
"""Seconds after which a claim that was not renewed is nobody's."""
_RENEWED: Final = 10.0


class Left(NamedTuple):
    """What an earlier process left in a queue."""

    handle: str
    """By what its executor finds it."""
    token: str
    """What it was told: it looks for that in its claim."""


class Claims:
    """The claims of one folder that this process makes.

    Args:
        folder: where the files lie; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.token = secrets.token_hex(8)
        self._held: set[str] = set()
        self._renewed = time.monotonic()

    def take(self, name: str) -> bool:
        """Claim some work; False where it is another's."""
        if name in self._held:
            return True
        file = self._file(name)
        make_folder(self._folder)
        if not (self._make(file) or (self._is_nobodys(file) and self._take_over(file))):
            return False
        self._held.add(name)
        return True

    def left(self, name: str) -> Left | None:
        """What a claim says of work in a queue; None where there is no claim, or none that says it."""
        found = _read(self._file(name))
        handle, token = found.get("handle"), found.get("token")
        return Left(handle, token) if isinstance(handle, str) and isinstance(token, str) else None

    def note(self, name: str, handle: str, token: str | None = None) -> None:
        """Say by what the work that is claimed is found again.

        Args:
            token: what the work was told when it was begun by another; None: ours.
        """
        self._write(self._file(name), handle=handle, token=token or self.token)

    def renew(self) -> None:
        """Keep what is held, as often as it needs."""
        if time.monotonic() - self._renewed < _RENEWED:
            return
        self._renewed = time.monotonic()
        for name in self._held:
            with contextlib.suppress(OSError):  # the disk may be away for a moment; the claim is good for a while
                os.utime(self._file(name))

    def release(self, name: str) -> None:
        """Give up a claim."""
        if name in self._held:
            self._held.discard(name)
            self._file(name).unlink(missing_ok=True)

    def leave(self) -> None:
        """Leave them where they are: what they name goes on, and whoever comes next takes it over."""
        self._held.clear()

    def close(self) -> None:
        """Give up all, and the folder, if it is empty."""
        for name in list(self._held):
            self.release(name)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _owner(self) -> dict[str, Any]:
        return {"host": socket.gethostname(), "pid": os.getpid(), "begun": _begun(os.getpid()), "token": self.token}

    def _write(self, file: Path, **more: str) -> None:
        """Put our claim in the place of what is there."""
        temporary = file.with_suffix(f".{self.token}")
        with storage_errors(self._folder):
            temporary.write_text(json.dumps({**self._owner(), **more}))
            temporary.replace(file)

    def _make(self, file: Path) -> bool:
        """Make the file, whole, if nobody else has."""
        temporary = file.with_suffix(f".{self.token}")
        with storage_errors(self._folder):
            try:
                temporary.write_text(json.dumps(self._owner()))
                os.link(temporary, file)  # fails where the file is, on every file system
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
        return True

    def _is_nobodys(self, file: Path) -> bool:
        owner = _read(file)
        if owner.get("host") == socket.gethostname() and isinstance(owner.get("pid"), int):
            return _begun(owner["pid"]) is None or _begun(owner["pid"]) != owner.get("begun")
        return self._age(file) > LEASE

    def _age(self, file: Path) -> float:
        """Seconds since it was renewed, by the clock of the machine whose disk it is on."""
        now = file.with_suffix(f".{self.token}")
        try:
            now.touch()
            return now.stat().st_mtime - file.stat().st_mtime
        except OSError:  # it has just gone
            return 0.0
        finally:
            now.unlink(missing_ok=True)

    def _take_over(self, file: Path) -> bool:
        """Put our claim in the place of nobody's; it is never absent, and of several who try, one may."""
        turn = file.with_suffix(".turn")
        if not self._make(turn):
            if self._age(turn) > LEASE:  # whoever had it died in this very function
                turn.unlink(missing_ok=True)
            return False
        try:
            if not self._is_nobodys(file):  # somebody was quicker
                return False
            self._write(file)
        finally:
            turn.unlink(missing_ok=True)
        return True


def _begun(pid: int) -> str | None:
    """When a process of this machine was begun, in ticks of its clock; None where there is none of that number."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if words[0] in "ZX" else words[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:  # no Linux: numbers of processes are all that there is
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "alive"


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
