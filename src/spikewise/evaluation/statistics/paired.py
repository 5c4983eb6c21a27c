"""Tests of two networks on the same images, their correction for several pairs, and the size of an effect."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Bool
from numpy.typing import NDArray

from spikewise.errors import ConfigError
from spikewise.evaluation.results import EffectSize
from spikewise.evaluation.statistics.bootstrap import same_images
from spikewise.evaluation.statistics.resampling import Floats, Groups, unit_of

__all__ = ["McNemar", "effect_size", "holm", "mcnemar_exact", "sign_flip_test"]


class McNemar(NamedTuple):
    """The images on which exactly one of two networks is right, and how surprising their split is."""

    only_a: int
    only_b: int
    p: float


def mcnemar_exact(correct_a: Bool[np.ndarray, " N"], correct_b: Bool[np.ndarray, " N"]) -> McNemar:
    """McNemar's test in its exact, two-sided form: could the discordant images have fallen either way?

    It speaks of these two trained networks and other images, not of other seeds.
    Source: McNemar, Psychometrika 12, 1947; exact binomial form: Dietterich, Neural Computation 10, 1998, section 3.1.
    """
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    p = scipy.stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p))


def sign_flip_test(
    correct_a: Bool[np.ndarray, "S N"], correct_b: Bool[np.ndarray, "R N"], groups: Groups = None
) -> float:
    """McNemar's test with all seeds at once: exact two-sided p of the mean difference under exchanged sides.

    If the sides were alike, each image's (or subject's) difference of seed means could as well have the other sign;
    the distribution over all sign patterns is computed exactly. With one seed a side it is `mcnemar_exact`.
    Chosen over McNemar on the ensemble of the seeds, which is another predictor than the networks in question,
    and over combining the tests of each seed, which share their images and so are not independent.
    Source: Fisher, "The Design of Experiments", 1935, section 21.
    """
    same_images(correct_a, correct_b)
    scaled = correct_a.sum(0) * len(correct_b) - correct_b.sum(0) * len(correct_a)  # integers, so that sums are exact
    units = np.bincount(unit_of(groups, scaled.size), weights=scaled).astype(np.int64)
    steps = np.abs(units[units != 0])
    if not steps.size:
        return 1.0
    shared = np.gcd.reduce(steps)
    reached = _sums_of_coin_flips(steps // shared)
    extreme = np.abs(2 * np.arange(reached.size) - reached.size + 1) >= abs(units.sum()) // shared
    return min(1.0, float(reached[extreme].sum()))


def holm(p: Sequence[float]) -> list[float]:
    """Each p adjusted for all of them: the chance of a single false alarm among the tests stays below the level.

    The smallest p is multiplied by the number of tests, the next by one less, and so on; none falls below the one
    before it, and none exceeds 1. It holds however the tests depend on each other.
    Source: Holm, Scandinavian Journal of Statistics 6, 1979, section 3; adjusted p: Wright, Biometrics 48, 1992.

    Raises:
        ConfigError: one of them is no probability.
    """
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ConfigError(f"p values lie between 0 and 1; got {', '.join(f'{value:g}' for value in values)}.")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)))
    return [float(value) for value in adjusted]


def effect_size(correct_a: Bool[np.ndarray, "S N"], correct_b: Bool[np.ndarray, "R N"]) -> EffectSize:
    """How large a difference is, apart from how sure: the mean over all pairs of a run of a with a run of b.

    Source: Cohen, "Statistical power analysis for the behavioral sciences", 2nd edition, 1988: h is 6.2.1 (difference
    of 2 arcsin(sqrt(accuracy))), g is 5.2 (share of a in the discordant images, minus 1/2).
    """
    same_images(correct_a, correct_b)
    share_a, share_b = correct_a.mean(0), correct_b.mean(0)
    only_a, only_b = float((share_a * (1 - share_b)).sum()), float((share_b * (1 - share_a)).sum())
    discordant = only_a + only_b
    angle_a, angle_b = (2 * np.arcsin(np.sqrt(np.clip(share.mean(), 0, 1))) for share in (share_a, share_b))
    return EffectSize(
        discordant=discordant / share_a.size,
        cohens_h=float(angle_a - angle_b),
        cohens_g=only_a / discordant - 0.5 if discordant else None,
        odds_ratio=only_a / only_b if only_b else None,
    )


def _sums_of_coin_flips(steps: NDArray[np.int64]) -> Floats:
    """Probability of each sum 0..sum(steps) when each step is taken or not with equal chance."""
    reached = np.zeros(int(steps.sum()) + 1)
    reached[0], end = 1.0, 1
    for step, count in zip(*np.unique(steps, return_counts=True), strict=True):
        before, reached[:end] = reached[:end].copy(), 0.0
        for taken, probability in enumerate(scipy.stats.binom.pmf(np.arange(count + 1), count, 0.5)):
            reached[taken * step : taken * step + end] += probability * before
        end += int(step * count)
    return reached
