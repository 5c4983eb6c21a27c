"""What a training tells those who watch it."""

from typing import Protocol, runtime_checkable

from spikewise.evaluation import EpochRecord

__all__ = ["Listener", "Silent"]


@runtime_checkable
class Listener(Protocol):
    """Someone who watches a training; progress displays are listeners."""

    def said(self, text: str) -> None:
        """Something that a person should know before it goes on."""

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """A training begins, or goes on after `done` epochs."""

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """Several trainings have begun and run on so many devices; what follows is about this one."""

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """`images` of this epoch's `total` are done."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is over."""

    def finished(self) -> None:
        """The training is over."""

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """Something other than training begins, after which the run is not over before `after` further seconds.

        Args:
            seconds: how long it is expected to take; None where nobody knows.
        """


class Silent:
    """Watches and says nothing."""

    def said(self, text: str) -> None:
        """Nothing."""

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """Nothing."""

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """Nothing."""

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """Nothing."""
