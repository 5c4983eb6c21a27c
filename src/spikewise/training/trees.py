"""Sums whose order nothing changes."""

from collections.abc import Iterable

from torch import Tensor

__all__ = ["tree_sum"]


def tree_sum(rows: Iterable[Tensor]) -> Tensor:
    """The sum of a power of two of rows, in pairs, and pairs of pairs; few are in memory at once, and none changes."""
    waiting: list[tuple[int, Tensor]] = []
    for row in rows:
        size, total = 1, row
        while waiting and waiting[-1][0] == size:
            before = waiting.pop()[1]
            total = before + total if size == 1 else before.add_(total)
            size *= 2
        waiting.append((size, total))
    ((_, total),) = waiting
    return total
