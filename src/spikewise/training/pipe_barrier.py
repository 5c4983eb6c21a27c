"""Where processes of one machine wait for each other, without a thread between them.

A process sleeps in the kernel until the last has come. A connection has threads that wake each other several times on
the way, each when the scheduler comes to it, which is slow beside a busy neighbour. A process that ends closes its
pipes, so that the others are woken and know.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

__all__ = ["PipeBarrier"]

_HERE: Final = b"."


class PipeBarrier:
    """A barrier of processes; in the first all pipes come together.

    Args:
        first: whether this is that process.
        reads: ends of pipes in which others say that they are here: one of each other process, or that of the first.
        writes: ends of pipes in which this one says it, as many.
    """

    def __init__(self, reads: Sequence[int], writes: Sequence[int], *, first: bool) -> None:
        self._ends = (*reads, *writes)
        hear, tell = (lambda: _hear(reads)), (lambda: _tell(writes))
        self._order: tuple[Callable[[], None], ...] = (hear, tell) if first else (tell, hear)

    @classmethod
    def opened(cls, others: int) -> "tuple[PipeBarrier, list[tuple[int, int]]]":
        """The first process's, and the ends that each other one takes: where it reads, and where it writes.

        Raises:
            OSError: this process may not have so many open; it has none of them, then.
        """
        pipes: list[tuple[int, int]] = []
        try:
            pipes.extend(os.pipe() for _ in range(2 * others))
        except OSError:
            _shut(itertools.chain(*pipes))
            raise
        there, back = pipes[:others], pipes[others:]
        barrier = cls([read for read, _ in back], [write for _, write in there], first=True)
        return barrier, [(read, write) for (read, _), (_, write) in zip(there, back, strict=True)]

    @classmethod
    def reached(cls, process: int, read: int, write: int) -> "PipeBarrier":
        """That of another process.

        Args:
            process: number of the first.
            read: the end that this one takes, by its number in the first.
            write: the other one.
        Raises:
            OSError: they cannot be opened from here.
        """
        mine = os.open(f"/proc/{process}/fd/{read}", os.O_RDONLY)
        try:
            return cls([mine], [os.open(f"/proc/{process}/fd/{write}", os.O_WRONLY)], first=False)
        except OSError:
            os.close(mine)
            raise

    def wait(self) -> None:
        """Until all are here.

        Raises:
            RuntimeError: one of them has ended, or this one waits no more.
        """
        if not self._ends:  # their numbers may be other files' by now
            raise RuntimeError("the pipes to other processes are closed")
        try:
            for part in self._order:
                part()
        except OSError as error:
            raise RuntimeError("a pipe to another process is closed") from error

    def close(self) -> None:
        """Wait no more; whoever waits for this process is told that it has ended."""
        ends, self._ends = self._ends, ()
        _shut(ends)


def _hear(reads: Sequence[int]) -> None:
    for read in reads:
        if os.read(read, 1) != _HERE:
            raise OSError(errno.EPIPE, "nobody writes into it any more")


def _tell(writes: Sequence[int]) -> None:
    for write in writes:
        os.write(write, _HERE)


def _shut(ends: Iterable[int]) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)
