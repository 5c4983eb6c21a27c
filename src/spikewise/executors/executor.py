"""`Executor`: what runs work somewhere, and is asked what has become of it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from spikewise.executors.work import Event, Work

__all__ = ["Attempt", "Executor"]


class Attempt(NamedTuple):
    """Work that is to be begun."""

    work: Work
    avoid: tuple[str, ...] = ()
    """Machines on which it has failed."""
    token: str = ""
    """Stands in its claim: a machine that reads it there shares the folder."""


@runtime_checkable
class Executor(Protocol):
    """Runs work, each piece in a process of its own; nothing of it waits for an answer."""

    @property
    def places(self) -> int:
        """How much work it wants to have at once: what it runs, and what it keeps ready."""

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Begin some work; what becomes of it is among the events."""

    def events(self, wait: float = 0.0) -> list[Event]:
        """What has happened since; at most `wait` seconds later.

        Raises:
            ConfigError: it refuses the work.
            ExecutorError: it cannot be reached any more.
        """

    def cancel(self, name: str) -> None:
        """End some work."""

    def adopt(self, attempt: Attempt, handle: str) -> bool:
        """Take over what an earlier process has begun; False if there is nothing left of it."""

    def close(self) -> str | None:
        """End what still runs; in words, what could not be ended."""
