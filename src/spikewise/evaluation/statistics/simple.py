"""Means, and intervals that have a formula."""

from collections.abc import Sequence

import numpy as np
import scipy  # its parts load when they are first used

from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics.resampling import Floats

__all__ = ["mean_and_sd", "seeds_only", "wilson", "wilson_estimate"]


def mean_and_sd(values: Sequence[float] | Floats) -> tuple[float, float | None]:
    """Mean and standard deviation (n - 1; None for a single value)."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else None


def wilson(successes: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of a proportion. Source: Wilson, JASA 22, 1927."""
    z = float(scipy.special.ndtri(0.5 + 0.5 * level))  # scipy.stats, which has it too, takes a second to load
    share = successes / n
    middle, reach = 2 * n * share + z**2, z * (4 * n * share * (1 - share) + z**2) ** 0.5
    low, high = ((middle + sign * reach) / (2 * (n + z**2)) for sign in (-1, 1))
    return 0.0 if successes == 0 else low, 1.0 if successes == n else high


def wilson_estimate(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """A proportion of one run with Wilson's interval: it covers other images, not other seeds."""
    low, high = wilson(successes, n, level=level)
    method = f"Wilson over {n} images: one seed says nothing of others"
    return Estimate(mean=successes / n, low=low, high=high, level=level, method=method)


def seeds_only(values: Sequence[float] | Floats, *, level: float = 0.95) -> Estimate:
    """Mean of one value per seed with Student's t interval: it covers other seeds, not other images."""
    mean, sd = mean_and_sd(values)
    if sd is None:
        return Estimate(mean=mean, level=level, method="a single value, no interval")
    half = float(scipy.stats.t.ppf((1 + level) / 2, len(values) - 1)) * sd / len(values) ** 0.5
    method = f"Student t over {len(values)} seeds"
    return Estimate(mean=mean, sd=sd, low=mean - half, high=mean + half, level=level, method=method)
