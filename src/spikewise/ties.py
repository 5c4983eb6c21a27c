"""Ties: images for which several classes share the highest logit, as counts of few spikes often do.

The first of equals would always be the class that happens to stand first. So membranes decide: of the classes that
share the highest logit the one whose output membrane was higher on average over the steps is the answer, as the class
that was nearest to more spikes. Where the membranes are equal as well (an output that received nothing), one of the k
equals is drawn, by a hash of the image's place in its set: each is as likely, and the same image always gets the same
answer. The draw stands in the logits, so that every figure, test and picture of a run goes by one answer.
"""

from typing import Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["NUDGE", "PLACE_0", "RELATIVE", "highest", "place_hash", "top", "without_ties"]

NUDGE: Final = 2.0**-6
"""Added to the logit that wins a tie; counts differ by 1, and 2^-6 lowers the others' odds by 1.6 %."""
RELATIVE: Final = 2.0**-10
"""The same for large logits, in which the first would drown."""

_GOLDEN, _MIX_1, _MIX_2 = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""The constants of SplitMix64, as signed numbers."""


def without_ties(
    logits: Float[Tensor, "*T B K"], membrane: Float[Tensor, "*T B K"], index: Int64[Tensor, " B"]
) -> Float[Tensor, "*T B K"]:
    """The logits with every tie at the top broken; where there is none they stay as they are.

    Args:
        membrane: mean over the steps of the output's membranes.
        index: where the images stand in their set.
    """
    best = top(logits)
    tied = best.sum(-1, keepdim=True) > 1
    high = highest(best, membrane)
    drawn = place_hash(index.to(logits.device))[:, None] % high.sum(-1, keepdim=True).clamp(min=1)
    chosen = high & (high.cumsum(-1) - 1 == drawn)
    nudge = torch.clamp(logits.abs() * RELATIVE, min=NUDGE)
    return torch.where(tied & chosen, logits + nudge, logits)


def top(logits: Float[Tensor, "*T B K"]) -> Bool[Tensor, "*T B K"]:
    """Which classes share the highest logit."""
    return logits == logits.amax(-1, keepdim=True)


def highest(best: Bool[Tensor, "*T B K"], membrane: Float[Tensor, "*T B K"]) -> Bool[Tensor, "*T B K"]:
    """Of the best those whose membrane is highest."""
    return best & (membrane == torch.where(best, membrane, -torch.inf).amax(-1, keepdim=True))


def place_hash(index: Int64[Tensor, " B"]) -> Int64[Tensor, " B"]:
    """A whole number from 0 of each place. Source: Steele, Lea and Flood, OOPSLA 2014 (SplitMix64's mixer)."""
    z = (index + 1) * _GOLDEN
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * _MIX_1
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * _MIX_2
    return (z ^ ((z >> 31) & ((1 << 33) - 1))) & ((1 << 31) - 1)


PLACE_0: Final = int(place_hash(torch.zeros(1, dtype=torch.int64))[0])
"""The hash of place 0, at which `predict` sees every image: its remainder draws one of k equals in an exported file."""
