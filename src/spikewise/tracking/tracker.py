"""What a tracker is here, and what trackers that are files have in common."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol, runtime_checkable

from spikewise.errors import DependencyError, SpikewiseError, TrackingError
from spikewise.tracking.curves import Curve

__all__ = ["Tracker", "TrackerKind", "missing", "refusals_told"]

_LONGEST: Final = 200
"""Letters of what a library says that are passed on; some repeat themselves with every layer."""


@runtime_checkable
class Tracker(Protocol):
    """Somewhere to look at trainings."""

    @property
    def place(self) -> str:
        """Where what it was told can be looked at."""

    def log(self, curve: Curve) -> int:
        """Tell it what it does not have yet, and how many figures that were.

        What it has is asked of itself, so that each figure is there once, whoever told it and whenever that one died.

        Raises:
            TrackingError: it cannot be reached, or refuses.
            StorageError: its disk is full, or not writable.
        """

    def close(self) -> None:
        """Nothing more will be told."""


class TrackerKind(NamedTuple):
    """One choice of `--to`."""

    name: str
    package: str
    """What it needs to be installed; empty where nothing is."""
    what: str
    """In a few words, for help and documentation."""
    look: str
    """The command that shows what was told; {} is the place."""
    open: Callable[[Path, str | None], Tracker]
    """Makes it, for runs below a folder and what `--out` says.

    Raises DependencyError where a package is missing."""


def missing(what: str, extra: str, error: ImportError) -> DependencyError:
    """The error for a tracker whose package is not there."""
    return DependencyError(f"{what} is not installed here ({error}): pip install 'spikewise[{extra}]'")


@contextlib.contextmanager
def refusals_told(place: str) -> Iterator[None]:
    """Whatever a foreign library raises becomes one sentence."""
    try:
        yield
    except SpikewiseError:
        raise
    except Exception as error:  # each library has its own, and those of the libraries below it
        told = " ".join(str(error).split()) or type(error).__name__
        told = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."
        raise TrackingError(f"{place} cannot be written: {told}. Is it there, and reachable?") from error
