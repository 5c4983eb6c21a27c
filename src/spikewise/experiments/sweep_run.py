"""Running a sweep: each cell is a piece of work for an executor; what is finished is left alone."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from spikewise.executors import (
    AnyExecutor,
    LocalExecutor,
    Spoken,
    Tally,
    Watcher,
    Work,
    WorkEnd,
    open_executor,
    run_all,
)
from spikewise.executors import shown as display
from spikewise.experiments.experiment import RunKind
from spikewise.experiments.run_folder import LOCK
from spikewise.experiments.sweep_folder import Placed, SweepFolder

__all__ = ["Say", "run_cells"]

Say = Callable[[str], None]
"""Told one line for each finished cell."""

CLAIMS: Final = ".claims"
"""Beside the run folders: sweeps share cells with each other."""


def run_cells(
    folder: SweepFolder,
    *,
    executor: AnyExecutor | None = None,
    data_dir: Path | None = None,
    say: Say | None = None,
) -> None:
    """Run every cell that has no results; their reports are written when they are asked for.

    A failed cell is recorded and the others go on; the next call tries it again. Cells on which another process is at
    work (one that outlived a killed sweep, or another sweep's) are waited for.

    Args:
        executor: what runs them; None: processes of this machine, one for each core.
        say: told one line for each finished cell; None: standard error is, as a live table on a terminal.
    Raises:
        ExecutorError: it cannot be reached; finished cells stay.
    """
    waiting = [placed for placed in folder.cells if not placed.finished]
    for placed in folder.cells:
        if placed.finished:
            folder.forget_failure(placed)
    by_name = {placed.run.name: placed for placed in waiting}
    claims = folder.path.parent / CLAIMS
    total, done = len(folder.cells), len(folder.cells) - len(waiting)
    if not waiting:
        with _watcher(Tally(total, done, 1), "nothing to do", say):
            return
    ready = open_executor(executor or LocalExecutor(), folder.path, claims)
    works = (_work(folder, placed, data_dir) for placed in waiting)

    def ended(outcome: WorkEnd) -> None:
        placed = by_name[outcome.work.name]
        if outcome.error is None:
            folder.forget_failure(placed)
        else:
            folder.note_failure(placed, outcome.error, outcome.code)

    with _watcher(Tally(total, done, ready.executor.places), ready.where, say) as watcher:
        run_all(works, ready.executor, watcher, claims=claims, ended=ended, rules=ready.rules)


def _watcher(tally: Tally, where: str, say: Say | None) -> AbstractContextManager[Watcher]:
    return display(tally, where=where) if say is None else nullcontext(Spoken(tally, say, where=where))


def _work(folder: SweepFolder, placed: Placed, data_dir: Path | None) -> Work:
    return Work(
        name=placed.run.name,
        label=placed.cell.name,
        call="spikewise.experiments.work:run_whole",
        folder=placed.run,
        done="results.json",
        lock=LOCK,
        log=folder.log(placed),
        arguments=functools.partial(_arguments, folder, placed, data_dir),
    )


def _arguments(folder: SweepFolder, placed: Placed, data_dir: Path | None) -> dict[str, Any]:
    """What the cell's process is told; its experiment is written down beside the sweep, to run again by hand."""
    kind: RunKind = folder.sweep.kind
    return {
        "experiment": folder.write_experiment(placed).model_dump(mode="json"),
        "kind": kind,
        "data_dir": None if data_dir is None else str(data_dir.absolute()),
    }
