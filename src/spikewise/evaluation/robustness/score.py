"""The relative score: how much of the accuracy above chance a disturbance leaves.

    score = mean over strengths of (accuracy(strength) - chance) / (accuracy(clean) - chance)

1 is a network that does not notice, 0 one that is brought down to guessing; chance is the accuracy of the best constant
answer on the images used. It compares networks of different clean accuracy by what they lose, as the relative
corruption error of Hendrycks and Dietterich (ICLR 2019, section 4.1) does, without needing a reference network. A
family's score is the mean over its disturbances.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics import (
    ComparedArms,
    Resampling,
    count_units,
    difference_from_draws,
    estimate_from_draws,
    image_weights,
)

__all__ = ["RESAMPLING", "Resampled", "Scored", "difference", "estimate", "mean_of", "relative_score"]

RESAMPLING: Final = Resampling(samples=500)
_LEAST_ABOVE_CHANCE: Final = 0.05
"""A ratio to less than this says nothing."""

Right = Bool[np.ndarray, "L S N"]


class Scored(NamedTuple):
    """A score of each seed, and again on resampled images."""

    per_seed: Float[np.ndarray, " S"]
    draws: Float[np.ndarray, "samples S"]
    units: int


class Resampled(NamedTuple):
    """How the images are resampled, the same way for every network and disturbance."""

    weights: Float[np.ndarray, "samples N"]
    """Share of each image in each resample."""
    units: int

    @classmethod
    def of(cls, images: int, groups: np.ndarray | None = None) -> "Resampled":
        """Whole subjects where they are known, else images."""
        weights = image_weights(groups, images, RESAMPLING)
        return cls(weights / weights.sum(1, keepdims=True), count_units(groups, images))


def relative_score(
    clean: Bool[np.ndarray, "S N"], disturbed: Right, chance: float, resampled: Resampled | None = None
) -> Scored | None:
    """Score of one network under one disturbance; None where some seed's clean accuracy is hardly above chance.

    Args:
        resampled: what `Resampled.of` makes of these images, if it is at hand.
    """
    if (clean.mean(1) - chance < _LEAST_ABOVE_CHANCE).any():
        return None
    weights, units = resampled or Resampled.of(clean.shape[1])
    before = weights @ clean.T.astype(np.float64)
    after = weights @ disturbed.mean(0).T
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.where(before > chance, (after - chance) / (before - chance), np.nan)
    per_seed = (disturbed.mean(axis=(0, 2)) - chance) / (clean.mean(1) - chance)
    return Scored(per_seed, draws, units)


def mean_of(scores: Sequence[Scored | None]) -> Scored | None:
    """Mean of several scores of one network on the same images; None where one is missing, or there is none."""
    known = [one for one in scores if one is not None]
    if not known or len(known) < len(scores):
        return None
    per_seed = np.mean([one.per_seed for one in known], axis=0)
    return Scored(per_seed, np.mean([one.draws for one in known], axis=0), known[0].units)


def estimate(score: Scored | None) -> Estimate | None:
    """A score with its interval over seeds and images."""
    return None if score is None else estimate_from_draws(score.per_seed, score.draws, score.units, RESAMPLING)


def difference(a: Scored, b: Scored) -> ComparedArms:
    """Score of a minus score of b, paired by image."""
    return difference_from_draws((a.per_seed, a.draws), (b.per_seed, b.draws), a.units, RESAMPLING)
