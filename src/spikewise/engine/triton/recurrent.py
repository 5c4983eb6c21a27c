"""Launches of a recurrent layer's kernels."""

import math
from functools import cache

import torch
import triton
from torch import Tensor
from triton.runtime import driver

from spikewise.dynamics import ALIF, IF, LIF
from spikewise.engine.triton.kernels.recurrent import recurrent_backward_kernel, recurrent_kernel
from spikewise.engine.triton.population import Kept, Population

__all__ = ["back", "fits", "shared_memory", "walk"]

_NEURONS = 128
"""Of so many neurons the three parts of the matrix fit into the registers of one program."""
_IMAGES = 16
_SHARED = 106_496
"""Bytes of shared memory that a program of so many neurons takes; of half as many, a third."""


def fits(population: Population) -> bool:
    """Whether the layer's matrix stays with a program over all steps, and its kernel knows the neuron."""
    matrix = population.own["recurrent"]
    widest = _NEURONS if shared_memory(matrix.device) >= _SHARED else _NEURONS // 2
    return population.features <= widest and isinstance(population.dynamics, IF | LIF | ALIF)


@cache
def shared_memory(device: torch.device) -> float:
    """Bytes that a program may have of it; the interpreter has any number."""
    if device.type != "cuda":
        return math.inf
    return float(driver.active.utils.get_device_properties(device.index)["max_shared_mem"])


def walk(
    population: Population, current: Tensor, steps: int, matrix: Tensor, kept: Kept,
    ends: tuple[tuple[Tensor, ...] | None, tuple[Tensor, ...]],
) -> None:  # fmt: skip
    """As `Population.forward`, with the spikes of each step fed back; `matrix` is [parts, N, N]."""
    before, after = ends
    values, kinds = population.parameters()
    batch, nowhere = current.shape[1], after[0]
    recurrent_kernel[(triton.cdiv(batch, _IMAGES),)](
        current, current[0].numel() if len(current) == steps and steps > 1 else 0, steps, batch, matrix,
        *(nowhere if x is None else x for x in kept), *(before or after), *after, *values, **kinds,
        **population.facts, STARTED=before is not None, KEEP_V=kept.membrane is not None,
        KEEP_A=kept.third is not None, PARTS=len(matrix), **_tile(population), enable_fp_fusion=False,
    )  # fmt: skip


def back(
    population: Population, given: tuple[Tensor | None, Tensor | None], kept: Kept, matrix: Tensor, out: Tensor,
    totals: dict[str, Tensor],
) -> None:  # fmt: skip
    """As `Population.backward` with `out` in parts, with what comes back through the matrix."""
    membrane, (gz, gv) = kept.membrane, given
    assert membrane is not None
    (steps, batch), nowhere = membrane.shape[:2], membrane
    values, kinds = population.parameters()
    recurrent_backward_kernel[(triton.cdiv(batch, _IMAGES),)](
        nowhere if gz is None else gz, nowhere if gv is None else gv, membrane,
        nowhere if kept.third is None else kept.third, matrix, out, out.stride(0), totals["current"],
        *(totals.get(name, nowhere) for name in population.names), *values, *population.surrogate[1:], steps, batch,
        (steps - 1) * membrane[0].numel(), **kinds, **population.facts, **population.backward_facts,
        SURROGATE=population.surrogate[0], HAS_GZ=gz is not None, HAS_GV=gv is not None, LEARNS="beta" in totals,
        PARTS=len(matrix), **_tile(population), enable_fp_fusion=False,
    )  # fmt: skip


def _tile(population: Population) -> dict[str, int]:
    wide = max(16, triton.next_power_of_2(population.features))
    return {"N": population.features, "MP": _IMAGES, "NP": wide, "num_warps": max(1, wide // 16), "num_stages": 1}
