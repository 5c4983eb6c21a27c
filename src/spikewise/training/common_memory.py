"""Rows that the processes of one machine exchange through memory that all of them have.

A connection of this machine copies each number four times, in and out of its buffers; here a process writes its row
where the others read it, and all wait until all have written (`pipe_barrier`).
"""

import contextlib
import enum
import itertools
import mmap
import os
import secrets
from pathlib import Path
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor

from spikewise.training.pipe_barrier import PipeBarrier

__all__ = ["CommonRows", "Note"]

_LINE: Final = 64
"""Bytes of a line of a cache: no two rows share one. Behind the rows is one more: the token first, notes last."""
_LEAST: Final = 1 << 20
"""Bytes of a row at the least, so that there is seldom need of another room; what is not written takes no memory."""


class Note(enum.IntEnum):
    """What a process can leave for the others, beyond its own end."""

    WORD = 1
    """One of them says why all end."""
    OVER = 2
    """Nothing is left that they would do together."""


class CommonRows:
    """Room for a row of each process, twice: one is written while others may still read what came before.

    Twice is enough, as nobody is more than one exchange ahead of another.

    Args:
        memory: that all of them have.
        barrier: at which they wait for each other.
        room: bytes of a row.
    """

    def __init__(self, memory: mmap.mmap, barrier: PipeBarrier, rank: int, size: int, room: int) -> None:
        self.room = room
        self._rank, self._turn, self._barrier, self._memory = rank, 0, barrier, memory
        self._bytes = torch.frombuffer(memory, dtype=torch.uint8)[: 2 * size * room].view(2, size, room)

    @classmethod
    def of_all(cls, rank: int, size: int, least: int) -> "CommonRows | None":
        """Room for rows of at least so many bytes; None, for all of them, where one of them cannot reach it.

        Raises:
            RuntimeError: a connection broke.
        """
        room = -(-max(least, _LEAST) // _LINE) * _LINE
        length, token = 2 * size * room, secrets.randbits(62)
        place = torch.zeros(3 + 2 * (size - 1), dtype=torch.int64)
        found: tuple[mmap.mmap, PipeBarrier] | None = None
        with contextlib.ExitStack() as unless_all, contextlib.ExitStack() as stack:
            if rank == 0 and hasattr(os, "memfd_create"):  # it has no name, and so is gone with the processes
                with contextlib.suppress(OSError):
                    file = os.memfd_create("spikewise", os.MFD_CLOEXEC)
                    stack.callback(os.close, file)
                    memory = _mapped(file, length, token)
                    barrier, ends = PipeBarrier.opened(size - 1)
                    unless_all.callback(barrier.close)
                    for end in itertools.chain(*ends):  # the others have taken theirs when this is over
                        stack.callback(os.close, end)
                    place = torch.tensor([os.getpid(), file, token, *itertools.chain(*ends)])
                    found = memory, barrier
            dist.broadcast(place, 0)
            process, number, token, *numbers = place.tolist()
            if rank and process:
                with contextlib.suppress(OSError):
                    memory = _found(f"/proc/{process}/fd/{number}", length, token)
                    barrier = PipeBarrier.reached(process, *numbers[2 * rank - 2 : 2 * rank])
                    unless_all.callback(barrier.close)
                    found = memory, barrier
            reached = torch.tensor([int(found is not None)])
            dist.all_reduce(reached, dist.ReduceOp.MIN)
            if found is None or not reached.item():
                return None
            unless_all.pop_all()
        return cls(*found, rank, size, room)

    def exchange(self, row: Tensor) -> Tensor:
        """The rows of all processes, in their order; to be read before the next call: others then write over them.

        Raises:
            RuntimeError: one of them has ended.
        """
        length = row.numel() * row.element_size()
        table = self._bytes[self._turn, :, :length].view(row.dtype)
        table[self._rank].copy_(row)
        self._turn = 1 - self._turn
        self._barrier.wait()
        return table

    def note(self, what: Note) -> None:
        """Let all know, whoever ends meanwhile; what is noted stays."""
        self._memory[-what] = 1

    def noted(self, what: Note) -> bool:
        """Whether any of them has noted it."""
        return self._memory[-what] == 1

    def close(self) -> None:
        """Exchange no more; the others are told that this process has ended. What was noted can still be read."""
        self._barrier.close()


def _mapped(file: int, length: int, token: int) -> mmap.mmap:
    os.truncate(file, length + _LINE)
    memory = mmap.mmap(file, length + _LINE)
    memory[length : length + 8] = token.to_bytes(8, "little")
    return memory


def _found(path: str, length: int, token: int) -> mmap.mmap:
    """The memory that the first process shows there.

    Raises:
        OSError: it is not this machine's, or not to be read.
    """
    if Path(path).stat().st_size != length + _LINE:  # a terminal would be taken over if it were opened
        raise FileNotFoundError(path)
    file = os.open(path, os.O_RDWR)
    try:
        memory = mmap.mmap(file, length + _LINE)
    finally:
        os.close(file)
    if int.from_bytes(memory[length : length + 8], "little") != token:
        raise FileNotFoundError(path)
    return memory
