"""The relative score: how much of the accuracy above chance a disturbance leaves.

    score = mean over strengths of (accuracy(strength) - chance) / (accuracy(clean) - chance)

1 is a network that does not notice, 0 one that is brought down to guessing; chance is the accuracy of the best constant
answer on the images used. It compares networks of different clean accuracy by what they lose, as the relative
corruption error of Hendrycks and Dietterich (ICLR 2019, section 4.1) does, without needing a reference network. A
family's score is the mean over its disturbances.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics import (
    ComparedArms,
    Groups,
    Resampling,
    count_units,
    difference_from_draws,
    estimate_from_draws,
    over_resamples,
)

__all__ = ["RESAMPLING", "Scored", "difference", "estimate", "mean_of", "relative_scores"]

RESAMPLING: Final = Resampling(samples=500)
_LEAST_ABOVE_CHANCE: Final = 0.05
"""A ratio to less than this says nothing."""

Right = Bool[np.ndarray, "_ _ N"]
"""Whether the answer is right, by strength, seed and image; not every disturbance and network has as many."""


class Scored(NamedTuple):
    """A score of each seed, and again on resampled images."""

    per_seed: Float[np.ndarray, " S"]
    draws: Float[np.ndarray, "samples S"]
    units: int


def relative_scores(
    clean: Mapping[str, Bool[np.ndarray, "_ N"]],
    disturbed: Sequence[Mapping[str, Right]],
    chance: float,
    groups: Groups = None,
) -> list[dict[str, Scored | None]]:
    """Score of each network under each disturbance; None where some seed's clean accuracy is hardly above chance.

    Images, or whole subjects where they are known, are resampled the same way for every network and disturbance.

    Args:
        clean: whether each network's answers to the images as they are are right, by seed and image.
        disturbed: the same under each disturbance; networks that it does not apply to are absent.
    """
    images = next(iter(clean.values())).shape[1]
    able = {name for name, right in clean.items() if (right.mean(1) - chance >= _LEAST_ABOVE_CHANCE).all()}
    asked = [(which, name) for which, one in enumerate(disturbed) for name in one if name in able]

    def of_all(weights: Float[np.ndarray, "B N"]) -> dict[tuple[int, str], Float[np.ndarray, "B _"]]:
        shares = weights / weights.sum(1, keepdims=True)
        before = {name: shares @ clean[name].T.astype(np.float64) for name in able}
        return {
            (which, name): _left(before[name], shares @ disturbed[which][name].mean(0).T, chance)
            for which, name in asked
        }

    draws = over_resamples(of_all, groups, images, RESAMPLING) if asked else {}
    units = count_units(groups, images)
    return [
        {
            name: Scored(_left(clean[name].mean(1), right.mean(axis=(0, 2)), chance), draws[which, name], units)
            if name in able
            else None
            for name, right in one.items()
        }
        for which, one in enumerate(disturbed)
    ]


def _left(
    before: Float[np.ndarray, "*B S"], after: Float[np.ndarray, "*B S"], chance: float
) -> Float[np.ndarray, "*B S"]:
    """Share of the accuracy above chance that is left; nan where there was none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(before > chance, (after - chance) / (before - chance), np.nan))


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
