"""Work that is divided among threads; NumPy and SciPy let others run while they compute."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from threadpoolctl import threadpool_limits

__all__ = ["spread"]

_T = TypeVar("_T")
_R = TypeVar("_R")
_MOST: Final = 16
"""Each thread holds a piece of the work in memory."""


def spread(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """What a function gives for each item, in their order; on as many threads as there are processors.

    The linear algebra within uses one thread: pieces of work share the processors, not the parts of one product.
    """
    workers = min(_MOST, _processors())
    with threadpool_limits(1, user_api="blas"):
        if workers == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(function, items))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
