"""`replay`: what runs have written down so far is told to a tracker; again and again, if it is to follow them."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from spikewise.data.locate import cache_folder
from spikewise.errors import RunError, SpikewiseError, StorageError, TrackingError
from spikewise.files import make_folder, storage_errors
from spikewise.tracking.curves import Curve, RunReader, folders_of
from spikewise.tracking.tracker import Tracker
from spikewise.tracking.trackers import open_tracker

__all__ = ["Replayed", "replay"]

Say = Callable[[str], None]
Wait = Callable[[float], bool]
"""Waits so many seconds; True as soon as nothing more will come."""
_PAUSE, _LONGEST = 1.0, 60.0
"""Seconds between two looks, and at most when a tracker is down."""


class Replayed(NamedTuple):
    """What a replay did."""

    place: str
    trainings: int
    """That have an epoch to tell."""
    figures: int
    """That the tracker did not have."""


def replay(
    path: Path,
    to: str,
    *,
    out: str | None = None,
    follow: bool = False,
    say: Say = lambda text: None,
    wait: Wait | None = None,
) -> Replayed:
    """Tell a tracker the epochs, settings and final figures of a run, or of all runs of a sweep, each once.

    Args:
        path: A run folder or a sweep folder.
        to: "tensorboard", "mlflow", "wandb" or "csv".
        out: Where it keeps them: a folder; for MLflow a database file or the address of a server. None: beside the run.
        follow: Go on until the runs are over; a tracker that fails is tried again, and that is said once.
        say: Told what went wrong and what is waited for.
        wait: Decides when following ends early.
    Raises:
        ConfigError: there is no such tracker.
        DependencyError: its package is missing.
        RunError: the folder is no run; without `follow` also: it is damaged, or another process tells the same.
        TrackingError: without `follow`: the tracker cannot be reached.
        StorageError: without `follow`: its disk is full.
    """
    folders_of(path)  # what is no run is said before a tracker is opened
    tracker = open_tracker(to, path.resolve().parent, out)
    with contextlib.closing(_Replay(path, to, tracker)) as work:
        if not follow:
            work.look()
        else:
            _follow(work, say, wait or _sleep)
        return Replayed(tracker.place, len(work.told), work.figures)


def _follow(work: "_Replay", say: Say, wait: Wait) -> None:
    """Look until there is nothing more to come; of what goes wrong each kind is said once."""
    said, pause, over = set[str](), _PAUSE, False
    while True:
        failed = False
        try:
            work.look()
        except (RunError, StorageError, TrackingError) as error:
            failed = True
            if type(error).__name__ not in said:  # the same trouble in other words is no news
                said.add(type(error).__name__)
                say(f"{error} The training goes on. This is tried again; `{work.command}` does it afterwards.")
        if over or (work.is_over and not failed):
            return
        pause = min(2 * pause, _LONGEST) if failed else _PAUSE
        over = wait(pause)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


class _Replay:
    """The runs, the tracker, and what has been told."""

    def __init__(self, path: Path, to: str, tracker: Tracker) -> None:
        self._path, self._to, self._tracker = path, to, tracker
        self._readers: dict[Path, RunReader] = {}
        self._locks = contextlib.ExitStack()
        self.told: dict[str, Curve] = {}
        """The trainings as they were told last, by key."""
        self.figures = 0
        self.is_over = False
        self.command = f"spikewise log {path} --to {to}"

    def look(self) -> None:
        """Tell what is new; what is wrong with one run keeps no other from being told."""
        failures = list[SpikewiseError]()
        for folder in folders_of(self._path):
            try:
                self._tell(folder)
            except RunError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        readers = self._readers.values()
        self.is_over = all(reader.is_over for reader in readers) and len(self._readers) == self._expected()

    def close(self) -> None:
        """Let go of the runs and the tracker."""
        self._locks.close()
        self._tracker.close()

    def _tell(self, folder: Path) -> None:
        if folder not in self._readers:
            reader = RunReader(folder)
            self._locks.enter_context(_alone(self._to, self._tracker.place, folder))
            self._readers[folder] = reader
        for curve in self._readers[folder].curves():
            if self.told.get(curve.key) != curve:
                self.figures += self._tracker.log(curve)
                self.told[curve.key] = curve

    def _expected(self) -> int:
        """How many runs there will be."""
        if (self._path / "sweep.json").exists():
            from spikewise.experiments.sweep_folder import SweepFolder  # noqa: PLC0415

            return len(SweepFolder.open(self._path).cells)
        return 1


@contextlib.contextmanager
def _alone(to: str, place: str, folder: Path) -> Iterator[None]:
    """Keep a second replay of one run to one place out; the system frees the lock when a process dies."""
    told = f"{to} {place} {folder.resolve()}"
    locks = make_folder(cache_folder(None) / "tracking")
    lock = FileLock(locks / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.lock")
    with storage_errors(locks):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RunError(f"Another process tells {to} of {folder}. Wait for it, or choose another --out.") from None
    try:
        yield
    finally:
        lock.release()
