"""Random numbers that depend on nothing but their key: the same on any device, in any batch, in any order.

SplitMix64's finaliser over a running key. int64 arithmetic wraps modulo 2^64 in PyTorch, which is what it needs.
Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16.
"""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

__all__ = ["permutation", "random_bits", "uniform_at"]


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >= 1 << 63 else constant


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def random_bits(index: Int64[Tensor, "*N"], *key: int) -> Int64[Tensor, "*N"]:
    """64 random bits for each index, keyed by some numbers (seed, epoch, purpose)."""
    state = torch.zeros_like(index)
    for part in key:
        state = _mix((state ^ _signed(part & (1 << 64) - 1)) + _GOLDEN)
    return _mix((state ^ index) + _GOLDEN)


def uniform_at(index: Int64[Tensor, "*N"], *key: int) -> Float64[Tensor, "*N"]:
    """A uniform number in [0, 1) for each index, of 53 bits."""
    return _shift(random_bits(index, *key), 11).to(torch.float64) * 2.0**-53


def permutation(count: int, *key: int) -> Int64[np.ndarray, " N"]:
    """The numbers 0..count-1 in random order."""
    bits = random_bits(torch.arange(count), *key)
    return np.argsort(bits.numpy(), kind="stable")


def _mix(value: Int64[Tensor, "*N"]) -> Int64[Tensor, "*N"]:
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def _shift(value: Int64[Tensor, "*N"], bits: int) -> Int64[Tensor, "*N"]:
    """Logical shift to the right: PyTorch's copies the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
