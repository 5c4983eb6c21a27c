"""Kernels under Triton's interpreter, watched: where they read and write, and whether programs meet there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["watched"]


class _Launch:
    """One launch: the memory of its arguments, and what each of its programs reads and writes."""

    def __init__(self, name: str, arguments: list[Any]) -> None:
        self.name = name
        storages = [one.untyped_storage() for one in arguments if isinstance(one, torch.Tensor)]
        places = sorted({(one.data_ptr(), one.data_ptr() + one.nbytes()) for one in storages})
        self.starts, self.ends = (np.array(side, dtype=np.uint64) for side in zip(*places, strict=True))
        self.programs: list[dict[str, list[np.ndarray]]] = []

    def begins_program(self) -> None:
        """What follows is another program's."""
        self.programs.append({"reads": [], "writes": []})

    def touches(self, addresses: np.ndarray, size: int, how: str) -> None:
        """Look at the addresses of one instruction."""
        if not addresses.size:
            return
        place = np.searchsorted(self.starts, addresses, side="right") - 1
        if (place < 0).any() or (addresses + np.uint64(size) > self.ends[place]).any():
            raise AssertionError(f"{self.name} {how} outside of its arguments")
        self.programs[-1][how].append(addresses)

    def is_over(self) -> None:
        """No program may have written where another wrote or read."""
        written, writers = self._owned("writes")
        order = np.argsort(written, kind="stable")
        written, writers = written[order], writers[order]
        if (written[1:] == written[:-1]).any():
            raise AssertionError(f"programs of {self.name} write to the same place")
        read, readers = self._owned("reads")
        place = np.minimum(np.searchsorted(written, read), max(len(written) - 1, 0))
        if len(written) and ((written[place] == read) & (writers[place] != readers)).any():
            raise AssertionError(f"programs of {self.name} read what another writes")

    def _owned(self, how: str) -> tuple[np.ndarray, np.ndarray]:
        """Addresses, each once for a program, and the programs."""
        each = [np.unique(np.concatenate([np.zeros(0, np.uint64), *one[how]])) for one in self.programs]
        return np.concatenate(each), np.repeat(np.arange(len(each)), [len(one) for one in each])


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
            with np.errstate(all="ignore"):  # gradients may leave what float32 can say
                call(self, *arguments, **named)
            now[-1].is_over()
        finally:
            now.pop()

    def watched_place(self: Any, *where: int) -> None:
        now[-1].begins_program()
        place(self, *where)

    builder.create_masked_load, builder.create_masked_store = watched_load, watched_store
    executor.__call__, builder.set_grid_idx = watched_call, watched_place
    try:
        yield
    finally:
        builder.create_masked_load, builder.create_masked_store = load, store
        executor.__call__, builder.set_grid_idx = call, place
