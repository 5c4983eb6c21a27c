"""Processes: whether one lives, and whether this one was started with others that work with it, as `torchrun` does."""

import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Seat", "lives", "seat", "started_processes", "take_seat"]

_OWN: Final = ("RANK", "WORLD_SIZE")
_PLACE: Final = ("MASTER_ADDR", "MASTER_PORT")
"""What is set for each of several processes, and where they meet."""


class Seat(NamedTuple):
    """The place of a process among those that were started with it."""

    rank: int
    """From 0; the first leads."""
    size: int
    """How many there are."""


_taken: Seat | None = None


def seat() -> Seat:
    """This process's place: (0, 1) where it was started alone."""
    if _taken is not None:
        return _taken
    own = [os.environ.get(name, "") for name in _OWN]
    if not all(text.isdecimal() for text in own) or not all(os.environ.get(name) for name in _PLACE):
        return Seat(0, 1)
    return Seat(*map(int, own))


def started_processes() -> int:
    """How many processes were started to work together; 1 where this one is alone."""
    return seat().size


def take_seat() -> Seat:
    """`seat`, for good: programs that this process starts do not see it, and so are nobody's others."""
    global _taken  # noqa: PLW0603  # of a process there is one
    found = seat()
    if found.size > 1:
        _taken = found
        for name in _OWN:
            os.environ.pop(name, None)
    return found


def lives(pid: int) -> bool:
    """Whether this machine has a process of that number; true where nobody can ask."""
    if os.name != "posix":  # to ask would be to send it an event
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    try:  # one that has ended, and waits for its parent to ask how, has its number still
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):  # no Linux, or not to be seen
        return True
