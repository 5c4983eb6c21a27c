"""Batch normalisation of values whose channels lie last, [N, C], and the sum of two signals."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from spikewise.engine.triton.kernels.launch import after

__all__ = ["affine", "backward", "batch_affine", "gradient_sums", "joined"]

_TILE = 8192
"""Values that one program takes at once."""


@triton.jit(do_not_specialize=["rows"])  # a count of 1, or divisible by 16, is no reason to compile anew
def _moments(values, out, rows, C: tl.constexpr, RP: tl.constexpr, CP: tl.constexpr):
    """Mean of each channel over this program's rows, and the sum of squared distances from it."""
    r, c = tl.program_id(0).to(tl.int64) * RP + tl.arange(0, RP), tl.program_id(1) * CP + tl.arange(0, CP)
    mask = (r < rows)[:, None] & (c < C)[None, :]
    x = tl.load(values + r[:, None] * C + c[None, :], mask=mask, other=0.0)
    count = tl.minimum(rows - tl.program_id(0) * RP, RP).to(tl.float32)
    mean = tl.sum(x, axis=0) / count
    apart = tl.where(mask, x - mean[None, :], 0.0)
    to = out + tl.program_id(0).to(tl.int64) * (2 * C) + c
    tl.store(to, mean, mask=c < C)
    tl.store(to + C, tl.sum(apart * apart, axis=0), mask=c < C)


@triton.jit(do_not_specialize=["programs", "rows", "repeats"])  # as above
def _affine_of_moments(
    moments, weight, bias, running_mean, running_var, out, programs, rows, repeats, momentum, epsilon,
    C: tl.constexpr, RP: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """One channel: scale, shift, mean and 1 / deviation of the batch; what was seen moves towards them."""
    c = tl.program_id(0)
    total = tl.zeros([SIZE], tl.float32)
    for start in range(0, programs, SIZE):
        i = start + tl.arange(0, SIZE)
        count = tl.maximum(tl.minimum(rows - i * RP, RP), 0).to(tl.float32)
        total += count * tl.load(moments + i.to(tl.int64) * (2 * C) + c, mask=i < programs, other=0.0)
    mean = tl.sum(total, axis=0) / rows
    spread = tl.zeros([SIZE], tl.float32)
    for start in range(0, programs, SIZE):
        i = start + tl.arange(0, SIZE)
        count = tl.maximum(tl.minimum(rows - i * RP, RP), 0).to(tl.float32)
        at = moments + i.to(tl.int64) * (2 * C) + c
        apart = tl.load(at, mask=i < programs, other=0.0) - mean
        inner = tl.load(at + C, mask=i < programs, other=0.0)
        spread += tl.where(i < programs, inner + count * apart * apart, 0.0)
    variance = tl.sum(spread, axis=0) / rows
    deviation = tl.sqrt(variance + epsilon)
    scale = tl.load(weight + c) / deviation
    tl.store(out + c, scale)
    tl.store(out + C + c, tl.load(bias + c))
    tl.store(out + 2 * C + c, mean)
    tl.store(out + 3 * C + c, 1.0 / deviation)
    seen = rows.to(tl.float32) * repeats
    was_mean, was_var = tl.load(running_mean + c), tl.load(running_var + c)
    tl.store(running_mean + c, was_mean + momentum * (mean - was_mean))
    tl.store(running_var + c, was_var + momentum * (variance * (seen / (seen - 1.0)) - was_var))


@triton.jit(do_not_specialize=["rows"])  # as above
def _sums(gradient, values, facts, out, rows, C: tl.constexpr, RP: tl.constexpr, CP: tl.constexpr):
    """Sums over this program's rows of the gradient, and of its product with the normalised value."""
    r, c = tl.program_id(0).to(tl.int64) * RP + tl.arange(0, RP), tl.program_id(1) * CP + tl.arange(0, CP)
    mask = (r < rows)[:, None] & (c < C)[None, :]
    at = r[:, None] * C + c[None, :]
    mean, inverse = _fact(facts, 2, c, C), _fact(facts, 3, c, C)
    g = tl.load(gradient + at, mask=mask, other=0.0)
    x = (tl.load(values + at, mask=mask, other=0.0) - mean[None, :]) * inverse[None, :]
    to = out + tl.program_id(0).to(tl.int64) * (2 * C) + c
    tl.store(to, tl.sum(g, axis=0), mask=c < C)
    tl.store(to + C, tl.sum(g * x, axis=0), mask=c < C)


@triton.jit
def _fact(facts, which: tl.constexpr, c, C: tl.constexpr):
    return tl.load(facts + which * C + c, mask=c < C, other=0.0)


@triton.jit(do_not_specialize=["rows"])  # as above
def _apply(
    gradient, values, facts, sums, out, part, rows, BATCH: tl.constexpr, C: tl.constexpr, PARTS: tl.constexpr,
    RP: tl.constexpr, CP: tl.constexpr,
):  # fmt: skip
    """Gradient of the values, in parts (or, with none, float32); that of a batch's own statistics included."""
    r, c = tl.program_id(0).to(tl.int64) * RP + tl.arange(0, RP), tl.program_id(1) * CP + tl.arange(0, CP)
    mask = (r < rows)[:, None] & (c < C)[None, :]
    at = r[:, None] * C + c[None, :]
    g = tl.load(gradient + at, mask=mask, other=0.0)
    if BATCH:
        mean, inverse = _fact(facts, 2, c, C), _fact(facts, 3, c, C)
        x = (tl.load(values + at, mask=mask, other=0.0) - mean[None, :]) * inverse[None, :]
        share = 1.0 / rows
        g = g - (_fact(sums, 0, c, C) * share)[None, :] - x * (_fact(sums, 1, c, C) * share)[None, :]
    g = g * _fact(facts, 0, c, C)[None, :]
    if PARTS == 0:
        tl.store(out + at, g, mask=mask)
    else:
        for number in tl.static_range(PARTS):
            high = g.to(tl.bfloat16).to(tl.float32) if PARTS > 1 else g
            tl.store(after(out + at, part, number), high.to(out.dtype.element_ty), mask=mask)
            g = g - high


@triton.jit
def _joined(
    first, second, facts, more, out, total, frame, first_scale, second_scale, C: tl.constexpr,
    FIRST: tl.constexpr, SECOND: tl.constexpr, FIRST_ONE: tl.constexpr, SECOND_ONE: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """The sum of two signals; of one whose steps are all the same (ONE) there is a frame, read for each of them."""
    j = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = j < total
    c = (j % C).to(tl.int32)
    one = j % frame if FIRST_ONE else j
    other = j % frame if SECOND_ONE else j
    a = tl.load(first + one, mask=inside, other=0.0).to(tl.float32) * first_scale
    b = tl.load(second + other, mask=inside, other=0.0).to(tl.float32) * second_scale
    if FIRST:
        a = (a - tl.load(facts + 2 * C + c)) * tl.load(facts + c) + tl.load(facts + C + c)
    if SECOND:
        b = (b - tl.load(more + 2 * C + c)) * tl.load(more + c) + tl.load(more + C + c)
    tl.store(out + j, (a + b).to(out.dtype.element_ty), mask=inside)


def _tile(channels: int) -> dict[str, int]:
    wide = min(64, triton.next_power_of_2(channels))
    return {"C": channels, "RP": _TILE // wide, "CP": wide}


def _grid(rows: int, tile: dict[str, int]) -> tuple[int, int]:
    return triton.cdiv(rows, tile["RP"]), triton.cdiv(tile["C"], tile["CP"])


def batch_affine(
    values: Tensor, own: dict[str, Tensor], *, repeats: int, momentum: float, epsilon: float
) -> Tensor:  # fmt: skip
    """Scale, shift, mean and 1 / deviation [4, C] by the batch; the running statistics in `own` move towards it.

    Args:
        values: [..., C], contiguous.
        repeats: how often each of them counts.
    """
    channels = values.shape[-1]
    rows, tile = values.numel() // channels, _tile(channels)
    grid = _grid(rows, tile)
    moments = torch.empty(grid[0], 2, channels, device=values.device)
    _moments[grid](values, moments, rows, **tile)
    out = torch.empty(4, channels, device=values.device)
    seen = {key: own[key].detach().contiguous() for key in ("running_mean", "running_var")}
    _affine_of_moments[(channels,)](
        moments, own["weight"], own["bias"], *seen.values(), out, grid[0], rows, repeats, momentum, epsilon,
        C=channels, RP=tile["RP"], SIZE=1024, enable_fp_fusion=False,
    )  # fmt: skip
    for key, moved in seen.items():
        if moved.data_ptr() != own[key].data_ptr():
            own[key].detach().copy_(moved)
    return out


def affine(own: dict[str, Tensor], *, epsilon: float) -> Tensor:
    """As `batch_affine`, by what was seen."""
    inverse = (own["running_var"] + epsilon).rsqrt()
    return torch.stack([own["weight"] * inverse, own["bias"], own["running_mean"], inverse])


def gradient_sums(gradient: Tensor, values: Tensor, facts: Tensor) -> Tensor:
    """Gradients of the shift and of the scale, [2, C]."""
    channels = values.shape[-1]
    rows, tile = values.numel() // channels, _tile(channels)
    grid = _grid(rows, tile)
    out = torch.empty(grid[0], 2, channels, device=values.device)
    _sums[grid](gradient, values, facts, out, rows, **tile)
    return out.sum(0)


def backward(
    gradient: Tensor, values: Tensor, facts: Tensor, sums: Tensor, *, parts: int, dtype: torch.dtype, by_batch: bool
) -> Tensor:  # fmt: skip
    """Gradient of the values, [parts, ..., C], or float32 [..., C] where `parts` is 0."""
    channels = values.shape[-1]
    rows, tile = values.numel() // channels, _tile(channels)
    shape = values.shape if parts == 0 else (parts, *values.shape)
    out = torch.empty(shape, dtype=dtype if parts else torch.float32, device=values.device)
    _apply[_grid(rows, tile)](
        gradient, values, facts, sums, out, values.numel(), rows, BATCH=by_batch, PARTS=parts, **tile
    )
    return out


def joined(
    pair: tuple[Tensor, Tensor], facts: tuple[Tensor | None, Tensor | None], scales: tuple[float, float],
    dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """The sum of two signals [T or 1, B, ..., C], each by its scale and shift where it has some."""
    first, second = pair
    longer = first if len(first) >= len(second) else second
    out = torch.empty(longer.shape, dtype=dtype, device=first.device)
    total, frame = out.numel(), out[0].numel()
    one, other = (out if fact is None else fact for fact in facts)
    _joined[(triton.cdiv(total, 1024),)](
        first, second, one, other, out, total, frame, *scales, C=first.shape[-1], FIRST=facts[0] is not None,
        SECOND=facts[1] is not None, FIRST_ONE=first.numel() < total, SECOND_ONE=second.numel() < total, SIZE=1024,
        enable_fp_fusion=False,
    )  # fmt: skip
    return out
