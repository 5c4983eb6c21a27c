"""A process to which orders are given, a line of JSON each, and which answers in such lines."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["LEAVE", "ONE_THREAD", "LineProcess"]

LEAVE: Final = "leave"
"""Argument of the command: work goes on when whoever gave the orders has died."""

ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""For processes that start several; each sets its own number."""


class LineProcess:
    """A Python module that runs as a process of its own.

    Args:
        module: its `main` is called.
        arguments: of the command.
        log: what it says on standard error.
        environment: beside our own.
        apart: Ctrl-C does not reach it, nor what it begins; `kill` ends them all.
    """

    def __init__(
        self, module: str, arguments: list[str], log: Path, environment: dict[str, str], *, apart: bool = False
    ) -> None:
        with log.open("wb") as said:  # not our own: who waits for its end would wait for work that outlives us, too
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {module} import main; main()", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, **environment},
                start_new_session=apart,
            )
        self._apart = apart
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._answers.fileno(), False)
        self._rest = b""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def tell(self, order: object) -> None:
        """Give an order; a process that has died does not hear it, and `exit_code` says so."""
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(json.dumps(order).encode() + b"\n")
            self._orders.flush()

    def answers(self, wait: float = 0.0) -> list[dict[str, Any]]:
        """What it has said since.

        Args:
            wait: seconds to wait for a word, at most.
        """
        if wait:
            select.select([self._answers], [], [], wait)
        heard = self._rest
        try:
            while part := os.read(self._answers.fileno(), 1 << 16):
                heard += part
        except BlockingIOError:
            pass
        *lines, self._rest = heard.split(b"\n")
        return [json.loads(line) for line in lines]

    def exit_code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.poll()

    def terminate(self) -> None:
        """Have it end what it is at: a signal, as an order is not heard by a process that still loads."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once, and all that it has begun if it is apart."""
        if self._process.poll() is None:
            if self._apart:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self.end()

    def end(self, wait: float | None = None) -> None:
        """No more orders; waited for, and ended by force if that takes longer than `wait` seconds."""
        with contextlib.suppress(BrokenPipeError):  # what it was not told in time
            self._orders.close()
        try:
            self._process.wait(wait)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
