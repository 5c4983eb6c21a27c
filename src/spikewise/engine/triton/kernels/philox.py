"""Philox4x32-10 inside a kernel: the bits of `spikewise.randomness`."""

import triton
import triton.language as tl

__all__ = ["philox", "random_byte"]


@triton.jit
def philox(c0, c1, c2, c3, k0, k1):
    """Four words for a counter and a key, all uint32."""
    for _ in tl.static_range(10):
        high0, low0 = tl.umulhi(c0, 0xD2511F53), c0 * 0xD2511F53
        high1, low1 = tl.umulhi(c2, 0xCD9E8D57), c2 * 0xCD9E8D57
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += 0x9E3779B9
        k1 += 0xBB67AE85
    return c0, c1, c2, c3


@triton.jit
def random_byte(c0, c1, c2, c3, place):
    """Byte `place` (0 to 15) of the four words, as int32."""
    word = tl.where(place < 4, c0, tl.where(place < 8, c1, tl.where(place < 12, c2, c3)))
    return ((word >> ((place % 4) * 8).to(tl.uint32)) & 0xFF).to(tl.int32)
