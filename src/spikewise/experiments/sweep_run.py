"""Running a sweep: each cell in a process of its own, several at a time; what is finished is left alone."""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from spikewise.experiments.sweep_folder import Placed, SweepFolder
from spikewise.report.numbers import duration

__all__ = ["Say", "available_cores", "run_cells"]

Say = Callable[[str], None]
"""Told one line for each finished cell."""

_PAUSE = 0.1
_BUSY = "Another process is at work"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Job(NamedTuple):
    placed: Placed
    process: subprocess.Popen[bytes]
    started: float


def run_cells(folder: SweepFolder, *, jobs: int, data_dir: Path | None = None, say: Say) -> None:
    """Run every cell that has no results, `jobs` at a time.

    A failed cell is recorded and the others go on; the next call tries it again. Cells on which another process is at
    work (one that outlived a killed sweep, or another sweep's) are waited for.
    """
    waiting = deque(placed for placed in folder.cells if not placed.finished)
    progress = _Progress(len(folder.cells), len(folder.cells) - len(waiting), jobs, say)
    progress.begin()
    with _processes() as running:
        while waiting or running:
            _start(folder, waiting, running, jobs, data_dir)
            time.sleep(_PAUSE)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                if not _ended(folder, job, progress):
                    waiting.append(job.placed)


def _start(folder: SweepFolder, waiting: deque[Placed], running: list[_Job], jobs: int, data_dir: Path | None) -> None:
    """Fill the free places, passing over cells that somebody else is at work on."""
    for _ in range(len(waiting)):
        if len(running) >= jobs:
            return
        placed = waiting.popleft()
        if placed.is_locked():
            waiting.append(placed)
            continue
        with folder.log(placed).open("wb") as log:
            process = subprocess.Popen(
                _command(folder, placed, data_dir),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **_ONE_THREAD},
            )
        running.append(_Job(placed, process, time.perf_counter()))


def _command(folder: SweepFolder, placed: Placed, data_dir: Path | None) -> list[str]:
    """What a person would type to run this cell alone."""
    where = ["--config", str(folder.experiment_file(placed)), "--out", str(placed.run.parent)]
    known = ["--data-dir", str(data_dir)] if data_dir else []
    return [sys.executable, "-m", "spikewise.cli.main", folder.sweep.kind, *where, *known, "--quiet", "--threads", "1"]


def _ended(folder: SweepFolder, job: _Job, progress: "_Progress") -> bool:
    """Record how a job ended; False if it has to be tried again because somebody else was at work there."""
    placed, seconds = job.placed, time.perf_counter() - job.started
    if placed.finished:
        folder.forget_failure(placed)
        progress.step(placed, seconds, None)
        return True
    message = _message(folder.log(placed), job.process.returncode)
    if _BUSY in message:
        return False
    folder.note_failure(placed, message, job.process.returncode)
    progress.step(placed, seconds, message)
    return True


def _message(log: Path, exit_code: int) -> str:
    """The error that a process ended with: our own message, or the last line of a traceback."""
    if exit_code < 0:
        return f"The process was killed by signal {-exit_code}; signal 9 often means that memory ran out."
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    if "Error: " in text and "Traceback" not in text:
        return " ".join(text.rpartition("\nError: ")[2].removeprefix("Error: ").split())
    return text.splitlines()[-1] if text else f"The process ended with exit code {exit_code} and said nothing."


@contextmanager
def _processes() -> Iterator[list[_Job]]:
    """Jobs that are ended with this process, as far as it can."""
    running: list[_Job] = []
    try:
        yield running
    finally:
        for job in running:
            job.process.terminate()
        for job in running:
            job.process.wait()


class _Progress:
    """Lines about finished cells, and the time that the others will take."""

    def __init__(self, cells: int, done: int, jobs: int, say: Say) -> None:
        self.cells, self.done, self.jobs, self.say = cells, done, jobs, say
        self.failed, self.spent = 0, list[float]()

    def begin(self) -> None:
        found = f", {self.done} finished already" if self.done else ""
        self.say(f"{self.cells} cells{found}; {min(self.jobs, self.cells)} at a time")

    def step(self, placed: Placed, seconds: float, error: str | None) -> None:
        self.done, self.failed = self.done + 1, self.failed + (error is not None)
        self.spent.append(seconds)
        left = self.cells - self.done
        time_left = duration(sum(self.spent) / len(self.spent) * left / min(self.jobs, max(left, 1)))
        failed = f", {self.failed} failed" if self.failed else ""
        outlook = f"about {time_left} left" if left else "all done"
        how = f"FAILED: {error}" if error else f"done in {duration(seconds)}"
        self.say(f"[{self.done}/{self.cells}{failed}] {placed.cell.name}: {how}; {outlook}")
