"""Running a sweep: each cell in a process of its own, several at a time; what is finished is left alone."""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from spikewise.experiments.sweep_folder import Placed, SweepFolder
from spikewise.experiments.sweep_workers import workers_for
from spikewise.report.numbers import duration

__all__ = ["Say", "available_cores", "run_cells"]

Say = Callable[[str], None]
"""Told one line for each finished cell."""

_PAUSE = 0.05
_BUSY = "Another process is at work"


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_cells(folder: SweepFolder, *, jobs: int, data_dir: Path | None = None, say: Say) -> None:
    """Run every cell that has no results, `jobs` at a time; their reports are written when they are asked for.

    A failed cell is recorded and the others go on; the next call tries it again. Cells on which another process is at
    work (one that outlived a killed sweep, or another sweep's) are waited for.
    """
    waiting = deque(placed for placed in folder.cells if not placed.finished)
    progress = _Progress(len(folder.cells), len(folder.cells) - len(waiting), jobs, say)
    progress.begin()
    begun: dict[Path, float] = {}
    with closing(workers_for(folder, data_dir)) as workers:
        while waiting or begun:
            for placed in _next(waiting, jobs - len(begun)):
                begun[placed.run] = time.perf_counter()
                workers.start(placed)
            time.sleep(_PAUSE)
            for placed, code in workers.ended():
                seconds = time.perf_counter() - begun.pop(placed.run)
                if not _ended(folder, placed, code, seconds, progress):
                    waiting.append(placed)


def _next(waiting: deque[Placed], places: int) -> list[Placed]:
    """Cells for the free places, passing over those that somebody else is at work on."""
    found: list[Placed] = []
    for _ in range(len(waiting)):
        if len(found) >= places:
            break
        placed = waiting.popleft()
        (waiting if placed.is_locked() else found).append(placed)
    return found


def _ended(folder: SweepFolder, placed: Placed, code: int, seconds: float, progress: "_Progress") -> bool:
    """Record how a cell ended; False if it has to be tried again because somebody else was at work there."""
    if placed.finished:
        folder.forget_failure(placed)
        progress.step(placed, seconds, None)
        return True
    message = _message(folder.log(placed), code)
    if _BUSY in message:
        return False
    folder.note_failure(placed, message, code)
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
