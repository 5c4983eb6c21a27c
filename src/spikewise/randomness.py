"""Counter-based random numbers: a number depends on its key and its place, never on what was drawn before it.

Philox4x32-10. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
Written three times, bit for bit the same: in int64 tensor operations for any device; for processors in the compiled
extension; and, where there is none, in NumPy, in pieces that stay in the cache.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt64
from torch import Tensor

from spikewise.extension import extension, isa
from spikewise.types import Draw

__all__ = ["bytes_of_steps", "generator", "philox4x32", "random_bytes", "uniform"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_ROUNDS = 10
_BYTES_PER_BLOCK = 16
_PIECE = 1 << 14
"""Blocks made at once on a processor: their eight 64-bit buffers fit the second-level cache."""


def philox4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Four 32-bit words (held in int64) for each counter.

    Args:
        counter: four broadcastable int64 tensors with values in [0, 2^32).
        key: two integers in [0, 2^32).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # The 64-bit product wraps around int64; its bit pattern is the unsigned product's.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        high0, high1 = (p0 >> 32) & _MASK, (p1 >> 32) & _MASK
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, p1 & _MASK, high0 ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _KEY_STEPS[0]) & _MASK, (k1 + _KEY_STEPS[1]) & _MASK
    return c0, c1, c2, c3


def random_bytes(draw: Draw, step: int, count: int, stream: int = 0) -> UInt8[Tensor, "B count"]:
    """`count` random bytes for each image of a batch at one step.

    Byte j of an image comes from Philox block j // 16 (its four words little-endian, one after the other) with
    counter (block, step, index, epoch) and key (seed, stream).
    """
    device = draw.index.device
    key = _key(draw, stream)
    if device.type == "cpu" and extension() is not None:
        return _compiled(draw, step, (len(draw.index), count), key, torch.uint8)
    if device.type == "cpu":
        numbers = draw.index.numpy().astype(np.uint64) & np.uint64(_MASK)
        blocks_per_image = -(-count // _BYTES_PER_BLOCK)
        epoch = int(draw.epoch)
        return torch.from_numpy(_bytes_in_pieces(numbers, step, epoch, blocks_per_image, key))[:, :count]
    return bytes_of_steps(draw, range(step, step + 1), count, stream)[0]


def bytes_of_steps(draw: Draw, steps: range, count: int, stream: int = 0) -> UInt8[Tensor, "T B count"]:
    """`random_bytes` of several steps at once, in tensor operations that never wait for the host."""
    device = draw.index.device
    block = torch.arange(-(-count // _BYTES_PER_BLOCK), device=device)
    index = (draw.index.to(torch.int64) & _MASK)[:, None]
    step = torch.arange(steps.start, steps.stop, device=device)[:, None, None]
    epoch = torch.zeros((), dtype=torch.int64, device=device) + draw.epoch
    words = philox4x32((block, step, index, epoch), _key(draw, stream))
    shifts = torch.arange(0, 32, 8, device=device)
    packed = torch.stack(words, dim=-1).unsqueeze(-1) >> shifts
    return (packed & 0xFF).to(torch.uint8).flatten(2)[..., :count]


def _key(draw: Draw, stream: int) -> tuple[int, int]:
    return draw.seed & _MASK, (draw.seed >> 32 ^ stream) & _MASK


def _compiled(draw: Draw, step: int, shape: tuple[int, int], key: tuple[int, int], dtype: torch.dtype) -> Tensor:
    module: Any = extension()
    images, count = shape
    index = draw.index.to(torch.int64).contiguous()
    out = torch.empty(shape, dtype=dtype)
    place = (step & _MASK, int(draw.epoch) & _MASK)
    where = (index.data_ptr(), images)
    module.draw(isa(), key, place, where, count, dtype.is_floating_point, out.data_ptr(), torch.get_num_threads())
    return out


def _bytes_in_pieces(
    index: UInt64[np.ndarray, " B"], step: int, epoch: int, blocks_per_image: int, key: tuple[int, int]
) -> UInt8[np.ndarray, "B bytes"]:
    total = len(index) * blocks_per_image
    words = np.empty((total, 4), dtype="<u4")
    for start in range(0, total, _PIECE):
        at = np.arange(start, min(start + _PIECE, total), dtype=np.uint64)
        image, block = np.divmod(at, np.uint64(blocks_per_image))
        counter = (block, np.full_like(at, step), index[image], np.full_like(at, epoch))
        for word, made in enumerate(_philox_in_place(counter, key)):
            words[start : start + len(at), word] = made
    return words.view(np.uint8).reshape(len(index), -1)


def _philox_in_place(
    counter: tuple[UInt64[np.ndarray, " n"], ...], key: tuple[int, int]
) -> tuple[UInt64[np.ndarray, " n"], ...]:
    """`philox4x32` that works in the memory of its counters."""
    c0, c1, c2, c3 = counter
    high0, high1 = np.empty_like(c0), np.empty_like(c0)
    k0, k1 = key
    mask, word = np.uint64(_MASK), np.uint64(32)
    for _ in range(_ROUNDS):
        c0 *= np.uint64(_MULTIPLIERS[0])
        c2 *= np.uint64(_MULTIPLIERS[1])
        np.right_shift(c0, word, out=high0)
        np.right_shift(c2, word, out=high1)
        c0 &= mask
        c2 &= mask
        high1 ^= c1
        high1 ^= np.uint64(k0)
        high0 ^= c3
        high0 ^= np.uint64(k1)
        c0, c1, c2, c3, high0, high1 = high1, c2, high0, c0, c1, c3
        k0, k1 = (k0 + _KEY_STEPS[0]) & _MASK, (k1 + _KEY_STEPS[1]) & _MASK
    return c0, c1, c2, c3


def uniform(draw: Draw, count: int, stream: int) -> Tensor:
    """`count` float32 numbers in [0, 1) for each image, [B, count], with 24 random bits each."""
    if draw.index.device.type == "cpu" and extension() is not None:
        return _compiled(draw, 0, (len(draw.index), count), _key(draw, stream), torch.float32)
    raw = random_bytes(draw, 0, 3 * count, stream).view(-1, count, 3)
    # Each partial sum has at most 24 bits, so float32 holds it exactly.
    whole: Float[Tensor, "B count"] = raw[..., 0].float().mul_(2**16).add_(raw[..., 1], alpha=2**8).add_(raw[..., 2])
    return whole.div_(2**24)


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator whose stream is fixed by `key` alone; the global one is never touched."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
