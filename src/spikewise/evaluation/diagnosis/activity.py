"""When a neuron counts as dead, and when as saturated: one pair of limits for warnings while training and after."""

from typing import Final

from jaxtyping import Float
from torch import Tensor

__all__ = ["MOST", "SATURATED", "SILENT", "dead_share", "saturated_share"]

SILENT: Final = 1e-4
"""Spikes per step below which a neuron counts as dead."""
SATURATED: Final = 0.95
"""Spikes per step above which it counts as saturated."""
MOST: Final = 0.5
"""Share of a layer's neurons above which the layer is in trouble."""


def dead_share(rates: Float[Tensor, "*F"]) -> float:
    """Share of neurons that (practically) never spike.

    Args:
        rates: mean spikes per step of each neuron.
    """
    return float((rates < SILENT).float().mean())


def saturated_share(rates: Float[Tensor, "*F"]) -> float:
    """Share of neurons that spike at nearly every step; arguments as for `dead_share`."""
    return float((rates > SATURATED).float().mean())
