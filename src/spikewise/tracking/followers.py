"""A follower: a process of its own that tells a tracker of a run while that goes on, and harms it in no way."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from spikewise.shell import word
from spikewise.tracking.trackers import kind_of

__all__ = ["Follower"]

_PATIENCE: Final = 3.0
"""Seconds that a run which is over waits for the last words of its follower, which goes on without it."""


class Follower:
    """Starts `spikewise log RUN --to TRACKER --follow` when a run has its folder.

    The process holds the other end of a pipe: when the run ends, however it does, the follower tells the rest and ends.

    Args:
        to: The tracker's name; None follows nothing.
        said: Told what the follower has to say, from another thread.
    Raises:
        ConfigError: there is no such tracker.
        DependencyError: its package is missing.
    """

    def __init__(self, to: str | None, said: Callable[[str], None]) -> None:
        if to is not None:
            kind_of(to)
        self._to, self._said = to, said
        self._process: subprocess.Popen[str] | None = None
        self._ear: threading.Thread | None = None

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is None or self._ear is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        if kind is None:
            self._ear.join(_PATIENCE)

    def begin(self, folder: Path) -> None:
        """Follow a run or a sweep, from its first epoch on."""
        if self._to is None or self._process is not None:
            return
        command = [sys.executable, "-m", "spikewise.cli.main", "log", str(folder), "--to", self._to]
        try:
            self._process = subprocess.Popen(
                [*command, "--follow", "--until-end-of-input"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C is for the run
            )
        except OSError as error:
            self._said(
                f"{self._to} is not told of this run: {error}. `spikewise log {word(folder)} --to {self._to}` does it."
            )
            return
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.strip():
                self._said(f"{self._to}: {line.strip()}")
        self._process.stderr.close()
        self._process.wait()
