"""Counter-based random numbers: a number depends on its key and its place, never on what was drawn before it.

Philox4x32-10. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
Written in int64 tensor operations, so it gives the same bits on every device.
"""

import hashlib

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from spikewise.types import Draw

__all__ = ["generator", "philox4x32", "random_bytes", "uniform"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_ROUNDS = 10
_BYTES_PER_BLOCK = 16


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
    blocks = torch.arange(-(-count // _BYTES_PER_BLOCK), device=device)
    index = (draw.index & _MASK).unsqueeze(1)
    at = torch.tensor([step, draw.epoch], device=device)
    words = philox4x32((blocks, at[0], index, at[1]), (draw.seed & _MASK, (draw.seed >> 32 ^ stream) & _MASK))
    shifts = torch.arange(0, 32, 8, device=device)
    packed = torch.stack(words, dim=-1).unsqueeze(-1) >> shifts
    return (packed & 0xFF).to(torch.uint8).flatten(1)[:, :count]


def uniform(draw: Draw, count: int, stream: int) -> Tensor:
    """`count` float32 numbers in [0, 1) for each image, [B, count], with 24 random bits each."""
    raw = random_bytes(draw, 0, 3 * count, stream).view(-1, count, 3).to(torch.int32)
    whole: Int64[Tensor, "B count"] = (raw[..., 0] << 16) | (raw[..., 1] << 8) | raw[..., 2]
    return whole.to(torch.float32) / 2**24


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator whose stream is fixed by `key` alone; the global one is never touched."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
