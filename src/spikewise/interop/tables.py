"""What an exported file holds in place of arithmetic: the random bytes of a rate code, which are those of `predict`."""

import math

import torch
from jaxtyping import UInt8
from torch import Tensor

from spikewise.randomness import random_bytes
from spikewise.types import Draw

__all__ = ["rate_table"]


def rate_table(steps: int, shape: tuple[int, int, int], seed: int) -> UInt8[Tensor, "T C H W"]:
    """The random bytes that `predict` compares the pixels of every image with, for one seed."""
    draw = Draw(seed, 0, torch.zeros(1, dtype=torch.int64))
    drawn = [random_bytes(draw, step, math.prod(shape))[0] for step in range(steps)]
    return torch.stack(drawn).view(steps, *shape)
