"""Names for the arrays that travel through the package (axes: DESIGN conventions, time first).

T steps   B images in a batch   C channels   H height   W width   K classes   N images in a set
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

__all__ = ["Draw", "Signal", "Tensor"]


class Signal(NamedTuple):
    """What travels from one layer of a network to the next, at every step."""

    carrier: Literal["values", "spikes", "multispikes"]
    """Real numbers; at most one spike a step; any number of spikes a step."""
    constant: bool = False
    """The same at every step."""
    pixels: bool = False
    """Intensities of the image."""
    quantum: float = 1.0
    """Value of one spike."""


class Draw(NamedTuple):
    """The key of every random number an encoder draws: same key, same spikes, on any engine, batch size or device."""

    seed: int
    """The run's seed."""
    epoch: int | Tensor
    """0 for evaluation, 1, 2, ... while training. An int64 [] on the device of `index` where a step is recorded once
    and replayed in every epoch: what is recorded must read it there."""
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    """Int64 [B]: position of each image in its set."""

    @classmethod
    def first(cls, count: int, *, seed: int = 0) -> "Draw":
        """The key for `count` images that belong to no set."""
        return cls(seed, 0, torch.arange(count))
