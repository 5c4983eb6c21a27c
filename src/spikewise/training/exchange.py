"""Sums over all shards of a batch, in the middle of an update: what batch normalisation by the whole batch needs.

Each shard of a process is worked on by a thread of its own, and all wait where sums are wanted of all. They are added
as gradients are (`trees`), so that their bytes do not depend on the number of processes, either.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float64
from torch import Tensor

from spikewise.engine import Exchange
from spikewise.training.group import ProcessGroup
from spikewise.training.trees import tree_sum

__all__ = ["ShardExchange"]

T = TypeVar("T")


class ShardExchange:
    """What the shards of one batch tell each other in one update.

    Args:
        present: whether each shard of this process has an image.
        group: the processes that share the batch; None is this one alone.
        absent: whether a process may have no image at all.
    """

    def __init__(self, present: Sequence[bool], group: ProcessGroup | None, *, absent: bool) -> None:
        self._numbers = [number for number, there in enumerate(present) if there]
        self._rows: list[Tensor | None] = [None] * len(present)
        self._group, self._absent = group, absent and group is not None
        self._total = torch.empty(0)
        self._all_here = threading.Barrier(max(1, len(self._numbers)), action=self._add)

    def each(self, work: Callable[[int, Exchange], T]) -> list[T]:
        """Do what is to be done with each shard that has an image, all at once.

        Raises:
            Whatever the work on one of them raises.
        """
        found: dict[int, T] = {}
        wrong: list[BaseException] = []

        def one(number: int) -> None:
            try:
                found[number] = work(number, self._of(number))
            except BaseException as error:  # of a thread: it is raised where its work is waited for
                self._all_here.abort()  # nobody waits for this one's part
                if not isinstance(error, threading.BrokenBarrierError):
                    wrong.append(error)

        others = [threading.Thread(target=one, args=(number,), daemon=True) for number in self._numbers[1:]]
        for other in others:
            other.start()
        for number in self._numbers[:1]:
            one(number)
        for other in others:
            other.join()
        if wrong:
            raise wrong[0]
        self._finish()
        return [found[number] for number in self._numbers]

    def _of(self, number: int) -> Exchange:
        def total(sums: Float64[Tensor, " n"]) -> Float64[Tensor, " n"]:
            self._rows[number] = sums
            self._all_here.wait()
            return self._total  # replaced when all have come again

        return Exchange(total, remembers=number == self._numbers[0])

    def _add(self) -> None:
        length = next(len(row) for row in self._rows if row is not None)
        own = tree_sum(torch.zeros(length, dtype=torch.float64) if row is None else row for row in self._rows)
        self._total = own if self._group is None else self._over_processes(own)

    def _over_processes(self, own: Tensor) -> Tensor:
        assert self._group is not None
        if self._absent:
            self._group.gather(torch.tensor([len(own)]))
        return tree_sum(self._group.gather(own).unbind(0))

    def _finish(self) -> None:
        """Let those who have no image know that it is over; be one of them, where this process has none."""
        if not self._absent:
            return
        assert self._group is not None
        while True:
            length = int(self._group.gather(torch.tensor([0])).max())
            if length == 0:
                return
            self._group.gather(torch.zeros(length, dtype=torch.float64))
