"""Products of operands that are exact in a narrow type, or sums of up to three such parts.

A float32 number is the sum of three bfloat16 numbers (8 + 8 + 8 bits), so three products of a matrix of spikes with the
parts of a matrix of weights, summed in float32, are as exact as float32 and run on tensor cores. Where both sides are
split, products of parts that together lie below float32's last bit are left out.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from spikewise.engine.triton.kernels.launch import after, lanes, launch

__all__ = ["check", "product", "split"]

_LARGEST = tl.constexpr(3.4028234663852886e38)


@triton.jit
def _split(source, parts, flag, scale, total, stride, PARTS: tl.constexpr, CHECK: tl.constexpr, SIZE: tl.constexpr):
    j = lanes(total, SIZE)
    inside = j < total
    rest = tl.load(source + j, mask=inside, other=0.0).to(tl.float32) * scale
    if CHECK:
        bad = tl.sum((inside & ~(tl.abs(rest) <= _LARGEST)).to(tl.int32), axis=0)
        if bad > 0:
            tl.store(flag, 1)
    for part in tl.static_range(PARTS):
        # Through bfloat16 even where the parts are stored wider: the interpreter multiplies in float32.
        high = rest.to(tl.bfloat16).to(tl.float32) if PARTS > 1 else rest
        tl.store(after(parts + j, stride, part), high.to(parts.dtype.element_ty), mask=inside)
        rest = rest - high


@triton.jit
def _check(source, flag, total, SIZE: tl.constexpr):
    j = lanes(total, SIZE)
    inside = j < total
    value = tl.load(source + j, mask=inside, other=0.0)
    bad = tl.sum((inside & ~(tl.abs(value) <= _LARGEST)).to(tl.int32), axis=0)
    if bad > 0:
        tl.store(flag, 1)


@triton.jit
def _product(
    A, B, bias, out, M, N, K, a_m, a_k, a_part, b_k, b_n, b_part, out_m, out_piece, piece,
    A_PARTS: tl.constexpr, B_PARTS: tl.constexpr, BIAS: tl.constexpr, ADD: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """out[piece, m, n] = bias[n] + sum over the k of a piece and the pairs of parts of A[m, k] B[k, n]."""
    rows, columns = tl.cdiv(M, BM), tl.cdiv(N, BN)
    tile = tl.program_id(0)
    # Tiles that share rows or columns run at the same time, so that they meet in the second-level cache.
    group = tile // (GROUP * columns)
    height = min(rows - group * GROUP, GROUP)
    row = group * GROUP + (tile % (GROUP * columns)) % height
    column = (tile % (GROUP * columns)) // height
    m, n = row * BM + tl.arange(0, BM), column * BN + tl.arange(0, BN)
    first = tl.program_id(1) * piece
    last = min(K, first + piece)
    k = first + tl.arange(0, BK)
    a_at = A + m[:, None].to(tl.int64) * a_m + k[None, :].to(tl.int64) * a_k
    b_at = B + k[:, None].to(tl.int64) * b_k + n[None, :].to(tl.int64) * b_n
    total = tl.zeros([BM, BN], tl.float32)
    for start in range(first, last, BK):
        inside = start + tl.arange(0, BK) < last
        a_mask, b_mask = (m < M)[:, None] & inside[None, :], inside[:, None] & (n < N)[None, :]
        a0 = tl.load(a_at, mask=a_mask, other=0.0)
        b0 = tl.load(b_at, mask=b_mask, other=0.0)
        total = tl.dot(a0, b0, total, input_precision="ieee")
        if B_PARTS > 1:
            b1 = tl.load(after(b_at, b_part, 1), mask=b_mask, other=0.0)
            total = tl.dot(a0, b1, total, input_precision="ieee")
        if A_PARTS > 1:
            a1 = tl.load(after(a_at, a_part, 1), mask=a_mask, other=0.0)
            total = tl.dot(a1, b0, total, input_precision="ieee")
        if A_PARTS > 2 and B_PARTS > 2:
            total = tl.dot(a1, b1, total, input_precision="ieee")
        if B_PARTS > 2:
            b2 = tl.load(after(b_at, b_part, 2), mask=b_mask, other=0.0)
            total = tl.dot(a0, b2, total, input_precision="ieee")
        if A_PARTS > 2:
            a2 = tl.load(after(a_at, a_part, 2), mask=a_mask, other=0.0)
            total = tl.dot(a2, b0, total, input_precision="ieee")
        a_at += BK * a_k
        b_at += BK * b_k
    mask = (m < M)[:, None] & (n < N)[None, :]
    if BIAS:
        total += tl.load(bias + n, mask=n < N, other=0.0)[None, :]
    to = out + tl.program_id(1).to(tl.int64) * out_piece + m[:, None].to(tl.int64) * out_m + n[None, :]
    if ADD:
        total += tl.load(to, mask=mask, other=0.0)
    tl.store(to, total, mask=mask)


def split(source: Tensor, parts: int, dtype: torch.dtype, *, scale: float = 1.0, flag: Tensor | None = None) -> Tensor:
    """`parts` tensors [parts, *shape] that sum to `source` times `scale`; `flag` becomes 1 if it is not finite."""
    source = source.contiguous()
    out = torch.empty(parts, *source.shape, dtype=dtype, device=source.device)
    total = source.numel()
    _split[(triton.cdiv(total, 1024),)](
        source, out, source if flag is None else flag, scale, total, total, PARTS=parts, CHECK=flag is not None,
        SIZE=1024,
    )  # fmt: skip
    return out


def check(source: Tensor, flag: Tensor) -> None:
    """Set `flag` to 1 if a value is not finite."""
    source = source.contiguous()
    _check[(triton.cdiv(source.numel(), 1024),)](source, flag, source.numel(), SIZE=1024)


def product(
    a: Tensor, b: Tensor, *, bias: Tensor | None = None, out: Tensor | None = None,
    tile: dict[str, int] | None = None, pieces: int | None = None,
) -> Tensor:  # fmt: skip
    """a [P, M, K] times b [Q, K, N], both sums of parts, in float32 [M, N].

    Args:
        bias: is added to each row.
        out: has the product added to it, and is returned.
        tile: shape of the tile that a program computes, where a measurement asks for one.
        pieces: how many programs share the depth of a tile, likewise.
    """
    (a_parts, rows, depth), (b_parts, _, columns) = a.shape, b.shape
    tile = tile or _tile(rows, columns, depth, a_parts + b_parts)
    tiles = triton.cdiv(rows, tile["BM"]) * triton.cdiv(columns, tile["BN"])
    if pieces is None:
        pieces = 1 if out is not None or bias is not None else _pieces(tiles, depth)
    piece = triton.cdiv(triton.cdiv(depth, pieces), tile["BK"]) * tile["BK"]
    pieces = triton.cdiv(depth, piece)
    into = torch.empty(pieces, rows, columns, device=a.device) if out is None else out.view(1, rows, columns)
    launch(
        _product, (tiles, pieces),
        a, b, into if bias is None else bias, into, rows, columns, depth, a.stride(1), a.stride(2), a.stride(0),
        b.stride(1), b.stride(2), b.stride(0), into.stride(1), into.stride(0), piece,
        A_PARTS=a_parts, B_PARTS=b_parts, BIAS=bias is not None, ADD=out is not None, GROUP=8, **tile,
    )  # fmt: skip
    return into[0] if pieces == 1 else into.sum(0)


_PROCESSORS = 132
_DEPTH = 512
"""Fewer terms than these are not worth a piece of their own."""


def _pieces(tiles: int, depth: int) -> int:
    """How many programs share the depth of one tile, so that small results still fill the device."""
    wanted = max(1, 2 * _PROCESSORS // tiles)
    return max(1, min(wanted, depth // _DEPTH))


def _tile(rows: int, columns: int, depth: int, parts: int) -> dict[str, int]:
    """Fixed by the shape alone, never by a trial: the same network must give the same bits on the same device."""
    deep = min(32 if parts > 4 else 64, max(16, triton.next_power_of_2(depth)))
    if columns <= 32:
        return {"BM": 128, "BN": max(16, triton.next_power_of_2(columns)), "BK": deep, "num_warps": 4, "num_stages": 3}
    if rows <= 32:
        return {"BM": max(16, triton.next_power_of_2(rows)), "BN": 128, "BK": deep, "num_warps": 4, "num_stages": 3}
    if rows <= 128 or columns <= 64:
        return {"BM": 64, "BN": 64, "BK": deep, "num_warps": 4, "num_stages": 3}
    return {"BM": 128, "BN": 128, "BK": deep, "num_warps": 8, "num_stages": 3}
