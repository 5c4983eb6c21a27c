"""`replay`: what runs have written down so far is told to a tracker; again and again, if it is to follow them."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from spikewise.data.locate import cache_folder
from spikewise.errors import RunError, SpikewiseError, StorageError, TrackingError
from spikewise.files import make_folder, storage_errors
from spikewise.shell import word
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
    path: str | PathLike[str],
    to: str,
    *,
    out: str | PathLike[str] | None = None,
    follow: bool = False,
    say: Say = lambda text: None,
    wait: Wait | None = None,
) -> Replayed:
    """Tell a tracker the epochs, settings and final figures of a run, or of all runs of a sweep, each once.

    Args:
        path: A run folder, a run, or a sweep folder.
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
    root = Path(path)
    folders = folders_of(root)  # what is no run is said before a tracker is opened
    tracker = open_tracker(to, root.resolve().parent, None if out is None else fspath(out))
    with contextlib.closing(_Replay(root, to, tracker, folders)) as work:
        if not follow:
            work.look()
        else:
            _follow(work, say, wait or _sleep)
        return Replayed(tracker.place, len(work.trainings), work.figures)


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


class _Watched(NamedTuple):
    """A run that is not over."""

    reader: RunReader
    lock: contextlib.ExitStack
    told: dict[str, Curve]
    """Its trainings as they were told last, by key."""


class _Replay:
    """The runs, the tracker, and what has been told."""

    def __init__(self, path: Path, to: str, tracker: Tracker, folders: list[Path]) -> None:
        self._to, self._tracker = to, tracker
        self._waiting, self._watched = dict.fromkeys(folders), dict[Path, _Watched]()
        """Runs that are not over, in order; those of them that have begun."""
        self.trainings = set[str]()
        """Keys of those that were told."""
        self.figures = 0
        self.command = f"spikewise log {word(path)} --to {to}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return not self._waiting

    def look(self) -> None:
        """Tell what is new; what is wrong with one run keeps no other from being told."""
        failures = list[SpikewiseError]()
        for folder in list(self._waiting):
            if not (folder / "run.json").exists():
                continue  # a cell that has not begun
            try:
                self._tell(folder)
            except RunError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def close(self) -> None:
        """Let go of the runs and the tracker."""
        for watched in self._watched.values():
            watched.lock.close()
        self._tracker.close()

    def _tell(self, folder: Path) -> None:
        if folder not in self._watched:
            reader, lock = RunReader(folder), contextlib.ExitStack()
            lock.enter_context(_alone(self._to, self._tracker.place, folder))
            self._watched[folder] = _Watched(reader, lock, {})
        watched = self._watched[folder]
        over = watched.reader.is_over  # asked first: what is there then is all there will be
        for curve in watched.reader.curves():
            if watched.told.get(curve.key) != curve:
                self.figures += self._tracker.log(curve)
                watched.told[curve.key] = curve
        self.trainings |= watched.told.keys()
        if over:
            self._watched.pop(folder).lock.close()
            del self._waiting[folder]


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
