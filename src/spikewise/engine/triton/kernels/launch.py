"""What every launch shares, and every kernel.

Numbers of a launch are of 32 bits where they fit, and so are products of them: what lies as far into memory as a large
batch of large maps reaches is computed in 64 bits.
"""

from typing import Any

import triton
import triton.language as tl

__all__ = ["after", "grid_of", "lanes", "launch", "step_and_lanes"]

_held: dict[Any, int] = {}
"""Stages that the device's shared memory holds, of kernels that asked for more; by the kernel and its constants."""


@triton.jit
def lanes(total, SIZE: tl.constexpr):
    """This program's lanes; of 64 bits where `total` is, for 32 are faster."""
    return (tl.program_id(0) + 0 * total) * SIZE + tl.arange(0, SIZE)


@triton.jit
def step_and_lanes(total, SIZE: tl.constexpr):
    """This program's step and lanes of it; the grid has one axis, for the others end at 65,535 programs."""
    blocks = tl.cdiv(total, SIZE)
    return tl.program_id(0) // blocks, (tl.program_id(0) % blocks + 0 * total) * SIZE + tl.arange(0, SIZE)


@triton.jit
def after(at, stride, part: tl.constexpr):
    """Where part number `part` of what lies at `at` is."""
    return at + part * tl.cast(stride, tl.int64)


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, num_stages: int, **named: Any) -> None:
    """Launch with as many stages as the device's shared memory holds; how far it reads ahead changes no bit.

    Args:
        num_stages: those of a large card; others have less than half of its memory.
        named: the kernel's constants.
    Raises:
        triton.OutOfResources: one stage is too much.
    """
    key = (kernel, *named.items())
    stages = _held.get(key, num_stages)
    while True:
        try:
            kernel[grid](*arguments, **named, num_stages=stages)
        except triton.OutOfResources:
            if stages == 1:
                raise
            stages = _held[key] = stages - 1
        else:
            return


def grid_of(total: int, size: int) -> tuple[int]:
    """As many programs as cover `total` lanes."""
    return (-(-total // size),)
