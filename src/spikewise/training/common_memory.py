"""Rows that the processes of one machine exchange through memory that all of them have.

A connection of this machine copies each number four times, in and out of its buffers; here a process writes its row
where the others read it. Who has written is said by the connection, so that one who has ended is noticed as ever.
"""

import contextlib
import mmap
import os
import secrets
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["CommonRows"]

_LINE: Final = 64
"""Bytes of a line of a cache: no two rows share one."""


class CommonRows:
    """Room for a row of each process, twice: one is written while others may still read what came before.

    Args:
        memory: that all of them have.
        room: bytes of a row.
    """

    def __init__(self, memory: mmap.mmap, rank: int, size: int, room: int) -> None:
        self.room = room
        self._rank, self._turn, self._written = rank, 0, torch.zeros(1)
        self._bytes = torch.frombuffer(memory, dtype=torch.uint8)[: 2 * size * room].view(2, size, room)

    @classmethod
    def of_all(cls, rank: int, size: int, least: int) -> "CommonRows | None":
        """Room for rows of at least so many bytes; None, for all of them, where one of them cannot reach it.

        Raises:
            RuntimeError: a connection broke.
        """
        room = -(-least // _LINE) * _LINE
        length, token = 2 * size * room, secrets.randbits(62)
        place, memory = torch.zeros(3, dtype=torch.int64), None
        with contextlib.ExitStack() as stack:
            if rank == 0 and hasattr(os, "memfd_create"):  # it has no name, and so is gone with the processes
                with contextlib.suppress(OSError):
                    file = os.memfd_create("spikewise", os.MFD_CLOEXEC)
                    stack.callback(os.close, file)
                    memory = _mapped(file, length, token)
                    place = torch.tensor([os.getpid(), file, token])
            dist.broadcast(place, 0)
            process, number, token = place.tolist()
            if rank and process:
                memory = _found(f"/proc/{process}/fd/{number}", length, token)
            reached = torch.tensor([int(memory is not None)])
            dist.all_reduce(reached, dist.ReduceOp.MIN)
        return cls(memory, rank, size, room) if memory is not None and reached.item() else None

    def exchange(self, row: Tensor) -> Tensor:
        """The rows of all processes, in their order; the next call but one writes over them.

        Raises:
            RuntimeError: a connection broke.
        """
        length = row.numel() * row.element_size()
        table = self._bytes[self._turn, :, :length].view(row.dtype)
        table[self._rank].copy_(row)
        self._turn = 1 - self._turn
        dist.all_reduce(self._written)  # none is back before all are here; a barrier would wait for the GPUs, too
        return table


def _mapped(file: int, length: int, token: int) -> mmap.mmap:
    os.truncate(file, length + _LINE)
    memory = mmap.mmap(file, length + _LINE)
    memory[length : length + 8] = token.to_bytes(8, "little")
    return memory


def _found(path: str, length: int, token: int) -> mmap.mmap | None:
    """The memory that the first process shows there; None where it is not this machine's, or not to be read."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if os.fstat(file).st_size != length + _LINE:
            return None
        memory = mmap.mmap(file, length + _LINE)
    except OSError:
        return None
    finally:
        os.close(file)
    return memory if int.from_bytes(memory[length : length + 8], "little") == token else None
