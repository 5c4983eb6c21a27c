"""In which order images are seen, and which are shown."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from spikewise.data.counter import permutation, random_bits
from spikewise.errors import ConfigError

__all__ = ["batches", "device_order", "sample_positions"]

_ORDER, _SAMPLE = 4, 5  # purposes of random numbers


def batches(
    indices: Int64[np.ndarray, " N"], batch_size: int, *, seed: int = 0, epoch: int = 0, shuffle: bool = True
) -> Iterator[Int64[np.ndarray, " B"]]:
    """Cut positions into batches, the last one perhaps smaller; the same (seed, epoch) gives the same order.

    Raises:
        ConfigError: a batch size below 1.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1; got {batch_size}.")
    order = indices[permutation(len(indices), seed, epoch, _ORDER)] if shuffle else indices
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def device_order(indices: Int64[Tensor, " N"], *, seed: int, epoch: int) -> Int64[Tensor, " N"]:
    """The order of `batches`, all of them in a row, found on the device where the positions lie."""
    bits = random_bits(torch.arange(len(indices), device=indices.device), seed, epoch, _ORDER)
    return indices.index_select(0, torch.argsort(bits, stable=True))


def sample_positions(labels: Int64[np.ndarray, " N"], per_class: int, *, seed: int = 0) -> Int64[np.ndarray, " M"]:
    """Positions of up to `per_class` random images of each class, class by class, for a grid to show.

    Raises:
        ConfigError: `per_class` below 1.
    """
    if per_class < 1:
        raise ConfigError(f"per_class must be at least 1; got {per_class}.")
    order = permutation(len(labels), seed, _SAMPLE)
    return np.concatenate([order[labels[order] == label][:per_class] for label in np.unique(labels)])
