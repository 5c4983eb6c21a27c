"""Processes of this machine: forked by a server that has loaded everything, or a command each."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikewise.executors.executor import Attempt
from spikewise.executors.lines import LEAVE, ONE_THREAD, LineProcess
from spikewise.executors.work import Beat, Ended, Event
from spikewise.files import make_folder

__all__ = ["Commands", "Forks", "available_cores", "processes"]

_HERE = "this machine"


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(logs: Path, places: int, *, threads: int = 1) -> "Forks | Commands":
    """Processes of this machine, in the quicker way that its system has.

    Args:
        logs: the folder of what the server says.
        places: how many at once.
        threads: of each.
    """
    return Forks(logs, places, threads=threads) if hasattr(os, "fork") else Commands(places, threads=threads)


class Forks:
    """A server that forks a process for each piece of work, so that none waits for imports; it starts with the first.

    Args:
        leave: work that has begun goes on when this process has died.
    """

    def __init__(self, logs: Path, places: int, *, threads: int = 1, leave: bool = True) -> None:
        self.places, self._logs, self._threads, self._leave = places, logs, threads, leave
        self._server: LineProcess | None = None
        self._names: dict[int, str] = {}
        self._count = 0

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Begin some work."""
        for attempt in attempts:
            self.begin(attempt.work.order())

    def begin(self, order: dict[str, Any]) -> None:
        """Begin what an order says."""
        if self._server is None:
            log = make_folder(self._logs) / "server.txt"
            self._server = LineProcess("spikewise.executors.server", [LEAVE] * self._leave, log, ONE_THREAD)
        _empty(order["log"])
        self._count += 1
        self._names[self._count] = order["name"]
        self._server.tell({**order, "number": self._count, "threads": self._threads})

    def events(self, wait: float = 0.0) -> list[Event]:
        """What has happened since; if the server itself has died, everything has ended."""
        if self._server is None:
            return []
        code = self._server.exit_code()
        found = [self._event(said) for said in self._server.answers(wait)]
        if code is not None and not found:
            self._server.end()
            found = [Ended(name, code or 1, "", _HERE, again=True) for name in self._names.values()]
            self._server, self._names = None, {}
        return found

    def cancel(self, name: str) -> None:
        """End some work; it is among the ended ones then."""
        for number, known in self._names.items():
            if known == name and self._server is not None:
                self._server.tell({"cancel": number})

    def adopt(self, attempt: Attempt, handle: str) -> bool:
        """Nothing: what outlives this process is known by its lock."""
        del attempt, handle
        return False

    def close(self) -> None:
        """End what still runs, or what is still being loaded for it."""
        if self._server is None:
            return
        if self._names:
            self._server.terminate()
        self._server.end()
        self._server = None

    def _event(self, said: dict[str, Any]) -> Event:
        if "beat" in said:
            return Beat(self._names[said["number"]], _HERE, said["beat"])
        name = self._names.pop(said["number"])
        return Ended(name, said["code"], said.get("error", ""), _HERE, bool(said.get("again", True)))


class Commands:
    """A command for each piece of work."""

    def __init__(self, places: int, *, threads: int = 1) -> None:
        self.places, self._threads = places, threads
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Begin some work."""
        for attempt in attempts:
            order = attempt.work.order()
            with Path(order["log"]).open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "spikewise.executors.process"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **ONE_THREAD},
                )
            assert process.stdin is not None
            process.stdin.write(json.dumps({**order, "threads": self._threads}).encode())
            process.stdin.close()
            self._running[attempt.work.name] = process

    def events(self, wait: float = 0.0) -> list[Event]:
        """What has ended since."""
        del wait
        over = [(name, process.returncode) for name, process in self._running.items() if process.poll() is not None]
        for name, _ in over:
            del self._running[name]
        return [Ended(name, code, "", _HERE, again=True) for name, code in over]

    def cancel(self, name: str) -> None:
        """End some work."""
        self._running[name].terminate()

    def adopt(self, attempt: Attempt, handle: str) -> bool:
        """Nothing: what outlives this process is known by its lock."""
        del attempt, handle
        return False

    def close(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait()


def _empty(log: str) -> None:
    Path(log).write_bytes(b"")
