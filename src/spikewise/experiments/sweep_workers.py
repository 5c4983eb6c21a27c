"""Processes for the cells of a sweep: forked by a server that has loaded everything, or a command each."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from spikewise.experiments.sweep_folder import Placed, SweepFolder

__all__ = ["Commands", "Forks", "Workers", "workers_for"]

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_WORKER = ("-c", "from spikewise.experiments.sweep_server import main; main()")


@runtime_checkable
class Workers(Protocol):
    """Runs cells, each in a process of its own with one thread."""

    def start(self, placed: Placed) -> None:
        """Begin a cell."""

    def ended(self) -> list[tuple[Placed, int]]:
        """Cells whose processes have ended since, with their exit codes; negative is a signal."""

    def close(self) -> None:
        """End what still runs."""


def workers_for(folder: SweepFolder, data_dir: Path | None) -> Workers:
    """The quicker way that this system has."""
    return Forks(folder, data_dir) if hasattr(os, "fork") else Commands(folder, data_dir)


class Forks:
    """A server that forks a process for each cell, so that no cell waits for imports; it starts with the first one."""

    def __init__(self, folder: SweepFolder, data_dir: Path | None) -> None:
        self._folder, self._data_dir = folder, data_dir
        self._server: subprocess.Popen[bytes] | None = None
        self._running: dict[int, Placed] = {}
        self._count, self._rest = 0, b""

    def start(self, placed: Placed) -> None:
        """Begin a cell."""
        log = self._folder.log(placed)
        log.write_bytes(b"")
        order = {
            "number": self._count,
            "config": str(self._folder.experiment_file(placed)),
            "out": str(placed.run.parent),
            "kind": self._folder.sweep.kind,
            "data_dir": None if self._data_dir is None else str(self._data_dir),
            "log": str(log),
        }
        self._running[self._count] = placed
        self._count += 1
        if self._server is None:
            self._server = _server(self._folder.path / "logs" / "server.txt")
        self._tell(order)

    def ended(self) -> list[tuple[Placed, int]]:
        """Cells whose processes have ended since; if the server itself has, all of them."""
        if self._server is None:
            return []
        assert self._server.stdout is not None
        part = _available(self._server.stdout)
        *lines, self._rest = (self._rest + part).split(b"\n")
        told = [json.loads(line) for line in lines]
        found = [(self._running.pop(one["number"]), int(one["code"])) for one in told]
        code = self._server.poll()
        if code is not None and not part:
            found += [(placed, code or 1) for placed in self._running.values()]
            self._running, self._server = {}, None
        return found

    def close(self) -> None:
        """End what still runs."""
        if self._server is None:
            return
        if self._running and self._server.poll() is None:
            self._tell("stop")
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def _tell(self, order: object) -> None:
        assert self._server is not None
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(json.dumps(order).encode() + b"\n")
            self._server.stdin.flush()
        except BrokenPipeError:  # it has died: `ended` says so
            pass


class Commands:
    """A command for each cell, as a person would type it."""

    def __init__(self, folder: SweepFolder, data_dir: Path | None) -> None:
        self._folder, self._data_dir = folder, data_dir
        self._running: list[tuple[Placed, subprocess.Popen[bytes]]] = []

    def start(self, placed: Placed) -> None:
        """Begin a cell."""
        where = ["--config", str(self._folder.experiment_file(placed)), "--out", str(placed.run.parent)]
        known = ["--data-dir", str(self._data_dir)] if self._data_dir else []
        command = [sys.executable, "-m", "spikewise.cli.main", self._folder.sweep.kind, *where, *known]
        with self._folder.log(placed).open("wb") as log:
            process = subprocess.Popen(
                [*command, "--quiet", "--threads", "1"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **_ONE_THREAD},
            )
        self._running.append((placed, process))

    def ended(self) -> list[tuple[Placed, int]]:
        """Cells whose processes have ended since."""
        found = [(placed, process) for placed, process in self._running if process.poll() is not None]
        self._running = [one for one in self._running if one not in found]
        return [(placed, process.returncode) for placed, process in found]

    def close(self) -> None:
        """End what still runs."""
        for _, process in self._running:
            process.terminate()
        for _, process in self._running:
            process.wait()


def _server(log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:  # not our own: who waits for its end would wait for cells that outlive us, too
        server = subprocess.Popen(
            [sys.executable, *_WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={**os.environ, **_ONE_THREAD},
        )
    assert server.stdout is not None
    os.set_blocking(server.stdout.fileno(), False)
    return server


def _available(stream: IO[bytes]) -> bytes:
    """What can be read now."""
    try:
        return os.read(stream.fileno(), 1 << 16)
    except BlockingIOError:
        return b""
