"""A process that has loaded everything, and forks one process for each order: no work waits for imports.

It reads a line of JSON for each order, and writes lines of JSON about those that are at work and those that are over.
Where there is no fork (Windows), each order has a command of its own, which is slower to start.
"""

import contextlib
import json
import os
import select
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from spikewise.executors.lines import LEAVE
from spikewise.executors.process import perform, use_threads

__all__ = ["main"]


class _Child(NamedTuple):
    """A forked process, and the pipe in which it tells how far it is."""

    number: int
    pipe: int
    heard: bytearray
    last: dict[str, Any]


def main() -> None:
    """Serve until there are no more orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever gives the orders
    _load()
    _Server(leave=LEAVE in sys.argv).serve()
    os._exit(0)  # whoever gave the orders waits, and to take apart all that was loaded takes long on a busy core


class _Server:
    def __init__(self, *, leave: bool) -> None:
        self._leave = leave
        self._children: dict[int, _Child] = {}
        self._rest, self._open, self._ends = b"", True, False
        self._wake, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.set_wakeup_fd(ring)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)

    def serve(self) -> None:
        """Until there are no more orders, and nothing is at work."""
        orders = sys.stdin.fileno()
        while self._open or self._children:
            pipes = {child.pipe: child for child in self._children.values()}
            ready, _, _ = select.select([self._wake, *pipes, *([orders] if self._open else [])], [], [])
            for pipe in ready:
                if pipe in pipes:
                    self._listen(pipes[pipe])
            if self._wake in ready:
                os.read(self._wake, 512)
                self._reap()
            if orders in ready:
                self._obey(os.read(orders, 1 << 16))
            if self._ends:
                self._open = False
                self._stop(list(self._children))

    def _terminated(self, *_: object) -> None:
        """Noted, and heeded between two orders; while everything is being loaded the signal ends the process."""
        self._ends = True

    def _obey(self, part: bytes) -> None:
        *lines, self._rest = (self._rest + part).split(b"\n")
        self._open = bool(part)
        for line in lines:
            order = json.loads(line)
            if "cancel" in order:
                self._stop([pid for pid, child in self._children.items() if child.number == order["cancel"]])
            else:
                self._fork(order)
        if not self._open and not self._leave:  # whoever gave the orders has died
            self._stop(list(self._children))

    def _fork(self, order: dict[str, Any]) -> None:
        ours, theirs = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # or a new process would take it for our own
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            os.close(theirs)
            os.set_blocking(ours, False)
            self._children[pid] = _Child(order["number"], ours, bytearray(), {})
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            _speak_into(order["log"])
            use_threads(order["threads"])
            code = perform(order, lambda said: _tell(theirs, said))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _listen(self, child: _Child) -> None:
        """Pass on how far a process is, and keep why it failed until it is over."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(child.pipe, 1 << 16):
                child.heard.extend(part)
        *lines, rest = bytes(child.heard).split(b"\n")
        child.heard[:] = rest
        for line in lines:
            said = json.loads(line)
            if "error" in said:
                child.last.update(said)
            else:
                _say({"number": child.number, "beat": said})

    def _reap(self) -> None:
        """Say which are over."""
        for pid, child in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._listen(child)
                os.close(child.pipe)
                del self._children[pid]
                _say({"number": child.number, "code": os.waitstatus_to_exitcode(status), **child.last})

    def _stop(self, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _load() -> None:
    """What all work needs, and what PyTorch loads late."""
    import sklearn.datasets  # noqa: F401, PLC0415
    import torch  # noqa: PLC0415

    with contextlib.suppress(ImportError):  # named, not imported: it is of a higher level
        __import__("spikewise.experiments.run")
    warnings.simplefilter("ignore")  # as the commands do: what libraries warn programmers of is no word to a user
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])


def _speak_into(log: str) -> None:
    with Path(log).open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _tell(pipe: int, said: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the server has gone
        os.write(pipe, json.dumps(said).encode() + b"\n")


def _say(told: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever gave the orders has gone
        os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
