"""Ties: images for which several classes share the highest logit, as counts of few spikes often do.

The first of equals would always be the class that happens to stand first. So membranes decide: of the classes that
share the highest logit the one whose output membrane was higher on average over the steps is the answer, as the class
that was nearest to more spikes. Where the membranes are equal as well (an output that received nothing), one of the k
equals is drawn, by a hash of the image's place in its set: each is as likely, and the same image always gets the same
answer. The draw stands in the logits, so that every figure, test and picture of a run goes by one answer.
"""

from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from spikewise.evaluation.results import Ties
from spikewise.network import Output

__all__ = ["TieCount", "answers_of", "settled", "settled_of"]

_NUDGE: Final = 2.0**-6
"""Added to the logit that wins a tie; counts differ by 1, and 2^-6 lowers the others' odds by 1.6 %."""
_RELATIVE: Final = 2.0**-10
"""The same for large logits, in which the first would drown."""

_GOLDEN, _MIX_1, _MIX_2 = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""The constants of SplitMix64, as signed numbers."""


def settled(
    logits: Float[Tensor, "*T B K"], membrane: Float[Tensor, "*T B K"], index: Int64[Tensor, " B"]
) -> Float[Tensor, "*T B K"]:
    """The logits with every tie at the top broken; where there is none they stay as they are.

    Args:
        membrane: mean over the steps of the output's membranes.
        index: where the images stand in their set.
    """
    best = _top(logits)
    tied = best.sum(-1, keepdim=True) > 1
    high = _highest(best, membrane)
    drawn = _hash(index.to(logits.device))[:, None] % high.sum(-1, keepdim=True).clamp(min=1)
    chosen = high & (high.cumsum(-1) - 1 == drawn)
    nudge = torch.clamp(logits.abs() * _RELATIVE, min=_NUDGE)
    return torch.where(tied & chosen, logits + nudge, logits)


def answers_of(output: Output, index: Int64[Tensor, " B"]) -> Int64[np.ndarray, " B"]:
    """The class of each image of a batch, ties broken."""
    return settled_of(output, index).argmax(1).cpu().numpy()


def settled_of(output: Output, index: Int64[Tensor, " B"]) -> Float[Tensor, "B K"]:
    """The logits of a batch, ties broken."""
    return settled(output.logits.float(), output.trajectory.membrane.float().mean(0), index)


class TieCount(NamedTuple):
    """Images counted as batches pass; the counts stay on the device until they are read."""

    images: int = 0
    tied: Tensor | int = 0
    silent: Tensor | int = 0
    undecided: Tensor | int = 0

    def add(
        self, logits: Float[Tensor, "B K"], membrane: Float[Tensor, "B K"], spikes: Float[Tensor, "T B K"] | None
    ) -> "TieCount":
        """With one batch more.

        Args:
            logits: before ties were broken.
            spikes: of the output, where the readout counts them.
        """
        best = _top(logits)
        tied = best.sum(-1) > 1
        undecided = tied & (_highest(best, membrane).sum(-1) > 1)
        silent = torch.zeros_like(tied) if spikes is None else ~(spikes != 0).any(-1).any(0)
        return TieCount(
            self.images + len(logits),
            self.tied + tied.sum(),
            self.silent + silent.sum(),
            self.undecided + undecided.sum(),
        )

    def shares(self) -> Ties:
        """Shares of the images."""
        return Ties(
            **{name: float(getattr(self, name)) / max(self.images, 1) for name in ("tied", "silent", "undecided")}
        )


def _top(logits: Float[Tensor, "*T B K"]) -> Bool[Tensor, "*T B K"]:
    return logits == logits.amax(-1, keepdim=True)


def _highest(best: Bool[Tensor, "*T B K"], membrane: Float[Tensor, "*T B K"]) -> Bool[Tensor, "*T B K"]:
    """Of the best those whose membrane is highest."""
    return best & (membrane == torch.where(best, membrane, -torch.inf).amax(-1, keepdim=True))


def _hash(index: Int64[Tensor, " B"]) -> Int64[Tensor, " B"]:
    """A whole number from 0 of each place. Source: Steele, Lea and Flood, OOPSLA 2014 (SplitMix64's mixer)."""
    z = (index + 1) * _GOLDEN
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * _MIX_1
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * _MIX_2
    return (z ^ ((z >> 31) & ((1 << 33) - 1))) & ((1 << 31) - 1)
