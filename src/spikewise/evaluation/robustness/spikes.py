"""Spikes of the input that get lost, come from nowhere, or come at the wrong time.

The random numbers of a place (image, step, pixel) are the same at every strength, so a spike that is lost at one
strength is lost at every greater one.
"""

from typing import Final

import numpy as np
import scipy  # its parts load when they are first used
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from spikewise.errors import ShapeError
from spikewise.randomness import random_bytes
from spikewise.types import Draw

__all__ = ["SPIKE_DISTURBANCES", "chances", "delete_spikes", "insert_spikes", "jitter_spikes"]

Spikes = Float[Tensor, "T B *F"]
Chances = Int32[Tensor, "T B *F"]

_STREAM = 1 << 20  # far from the streams of encoders and layers
_LEVELS = 1 << 16


def chances(draw: Draw, spikes: Spikes) -> Chances:
    """A random whole number in [0, 65536) for each place; a share p of them is below 65536 p."""
    count = spikes[0, 0].numel()
    on_cpu = draw._replace(index=draw.index.cpu())
    steps = [random_bytes(on_cpu, step, 2 * count, _STREAM).numpy() for step in range(len(spikes))]
    words = np.stack([np.ascontiguousarray(step).view("<u2") for step in steps]).astype(np.int32)
    return torch.from_numpy(words).view(spikes.shape).to(spikes.device)


def delete_spikes(spikes: Spikes, chance: Chances, share: float) -> Spikes:
    """Each spike is lost with probability `share`."""
    _check(spikes, chance)
    return spikes * (chance >= round(share * _LEVELS))


def insert_spikes(spikes: Spikes, chance: Chances, share: float) -> Spikes:
    """Each place without a spike gets one with probability `share`."""
    _check(spikes, chance)
    return torch.where(chance < round(share * _LEVELS), torch.ones_like(spikes), spikes)


def jitter_spikes(spikes: Spikes, chance: Chances, sd: float) -> Spikes:
    """Each spike moves in time by a normal deviate of `sd` times the number of steps, rounded to whole steps.

    At the first and last step time is reflected; spikes of one pixel that meet become one.
    """
    _check(spikes, chance)
    steps = len(spikes)
    normal = torch.from_numpy(scipy.special.ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)).to(spikes.device)
    flat = spikes.reshape(steps, -1)
    when, where = flat.nonzero(as_tuple=True)
    moved = when + (sd * steps * normal[chance.reshape(steps, -1)[when, where].long()]).round().long()
    moved = moved % (2 * steps)
    moved = torch.minimum(moved, 2 * steps - 1 - moved)
    out = torch.zeros_like(flat)
    out[moved, where] = 1
    return out.view(spikes.shape)


SPIKE_DISTURBANCES: Final = (
    ("spike_deletion", "share of the spikes", (0.1, 0.2, 0.4, 0.6, 0.8), delete_spikes),
    ("spike_insertion", "share of the silent places", (0.01, 0.02, 0.05, 0.1, 0.2), insert_spikes),
    ("spike_jitter", "sd, share of the steps", (0.02, 0.05, 0.1, 0.2, 0.4), jitter_spikes),
)
"""Name, what the strength is, strengths, and function of each."""


def _check(spikes: Spikes, chance: Chances) -> None:
    if spikes.ndim < 3 or spikes.shape != chance.shape:
        raise ShapeError(
            f"Expected spikes [T, B, ...] and one number for each place; got {tuple(spikes.shape)} and "
            f"{tuple(chance.shape)}."
        )
