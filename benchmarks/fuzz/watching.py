"""Kernels under Triton's interpreter, watched: where they read and write, and whether programs meet there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["watched"]


class _Launch:
    """One launch: the memory of its arguments, and what its programs have read and written so far."""

    def __init__(self, name: str, arguments: list[Any]) -> None:
        self.name = name
        storages = [one.untyped_storage() for one in arguments if isinstance(one, torch.Tensor)]
        starts = sorted({(one.data_ptr(), one.data_ptr() + one.nbytes()) for one in storages})
        self.starts, self.ends = (np.array(side, dtype=np.uint64) for side in zip(*starts, strict=True))
        self.read: list[np.ndarray] = []
        self.written: list[np.ndarray] = []
        self.earlier_read = np.zeros(0, np.uint64)
        self.earlier_written = np.zeros(0, np.uint64)

    def touches(self, addresses: np.ndarray, size: int, how: str) -> None:
        """Look at the addresses of one instruction."""
        if not addresses.size:
            return
        place = np.searchsorted(self.starts, addresses, side="right") - 1
        if (place < 0).any() or (addresses + np.uint64(size) > self.ends[place]).any():
            raise AssertionError(f"{self.name} {how} outside of its arguments")
        (self.written if how == "writes" else self.read).append(addresses)

    def ends_program(self) -> None:
        """A program of the grid is over: no other may have written what it touched, nor touched what it wrote."""
        read, written = _together(self.read), _together(self.written)
        for mine, others, how in (
            (written, self.earlier_written, "write to the same place"),
            (written, self.earlier_read, "read what another writes"),
            (read, self.earlier_written, "read what another writes"),
        ):
            if np.intersect1d(mine, others, assume_unique=True).size:
                raise AssertionError(f"programs of {self.name} {how}")
        self.earlier_read = np.union1d(self.earlier_read, read)
        self.earlier_written = np.union1d(self.earlier_written, written)
        self.read, self.written = [], []


def _together(addresses: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *addresses]))


@contextmanager
def watched() -> Iterator[None]:
    """Kernels that the interpreter runs meanwhile fail where they read or write what is not theirs."""
    from triton.runtime import interpreter

    builder, executor = interpreter.InterpreterBuilder, interpreter.GridExecutor
    load, store, call, place = (
        builder.create_masked_load, builder.create_masked_store, executor.__call__, builder.set_grid_idx,
    )  # fmt: skip
    now: list[_Launch] = []

    def watched_load(self: Any, ptrs: Any, mask: Any, *rest: Any) -> Any:
        size = np.dtype(interpreter._get_np_dtype(ptrs.get_element_ty())).itemsize
        now[-1].touches(ptrs.data[mask.data.astype(bool)], size, "reads")
        return load(self, ptrs, mask, *rest)

    def watched_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
        size = np.dtype(interpreter._get_np_dtype(ptrs.get_element_ty())).itemsize
        now[-1].touches(ptrs.data[mask.data.astype(bool)], size, "writes")
        return store(self, ptrs, value, mask, *rest)

    def watched_call(self: Any, *arguments: Any, **named: Any) -> None:
        now.append(_Launch(self.fn.__name__, [*arguments, *named.values()]))
        try:
            call(self, *arguments, **named)
            now[-1].ends_program()
        finally:
            now.pop()

    def watched_place(self: Any, *where: int) -> None:
        now[-1].ends_program()
        place(self, *where)

    builder.create_masked_load, builder.create_masked_store = watched_load, watched_store
    executor.__call__, builder.set_grid_idx = watched_call, watched_place
    try:
        yield
    finally:
        builder.create_masked_load, builder.create_masked_store = load, store
        executor.__call__, builder.set_grid_idx = call, place
