"""Two sources of chance put together: the test images, by resampling, and the seeds, by Student's t."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are first used

from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics.power import ASKED, StudyDesign, smallest_detectable
from spikewise.evaluation.statistics.resampling import Floats, Resampling

__all__ = ["Arm", "ComparedArms", "Uncertainty", "combine"]

_STEPS = 18
"""Halvings of the search for p: to five digits."""
_NOTHING = 1e-12


class Arm(NamedTuple):
    """One network's figures, with the sign they enter the estimate with."""

    per_seed: Floats
    draws: Floats
    """[samples, seeds]: the same, on resampled images."""


class ComparedArms(NamedTuple):
    """An estimate with what a test needs; all but the estimate None where there is no interval."""

    estimate: Estimate
    p: float | None
    """1 - level of the widest interval that leaves out zero."""
    standard_error: float | None
    freedom: float | None
    """Degrees of freedom of the standard error. Source: Satterthwaite, Biometrics Bulletin 2, 1946."""
    uncertainty: "Uncertainty | None" = None

    def detectable(self, level: float, *, accuracy: float | None = None) -> float | None:
        """The true difference that this test of that level would find with 80 % power; None without an interval.

        1 where even that is out of reach: so few units that the exact test over them can never be significant.

        Args:
            accuracy: of the better side, for a difference of accuracies; it is pulled from 0 and 1 (Agresti and Coull).
        """
        found = self.uncertainty
        if found is None or self.standard_error is None or self.freedom is None:
            return None
        if 2.0 ** (1 - found.units) > 1 - level:
            return 1.0
        low, high = found.ends(level)
        if accuracy is not None:
            accuracy = (accuracy * found.units + 2) / (found.units + 4)
        critical = (high - low) / 2 / self.standard_error
        shown = smallest_detectable(self.standard_error, self.freedom, critical, accuracy=accuracy, power=ASKED)
        return min(1.0, shown)

    def plan(self) -> StudyDesign | None:
        """What more seeds would change, by the variances of this run; None without an interval or with one seed."""
        found = self.uncertainty
        if found is None or not found.seed_variance > 0 or not np.isfinite(found.seed_freedom):
            return None
        images = float(found.images.var()) * found.units / (found.units - 1)
        return StudyDesign(images * found.shared, images, found.seed_variance, found.seed_count, found.units)


@dataclass(frozen=True)
class Uncertainty:
    """Where a figure could lie with other images and other seeds."""

    mean: float
    centre: float
    """Of the resamples, which imaginary units pull to the middle."""
    images: Floats
    """Deviations of the resamples from their centre [samples]."""
    units: int
    shared: float
    """Share of the images' variance that is common to all seeds, and so not in the variance between them."""
    seeds: Floats
    """What other seeds would add [samples]."""
    seed_variance: float
    seed_freedom: float
    seed_count: float
    """Seeds an arm: the harmonic mean."""

    def ends(self, level: float) -> tuple[float, float]:
        """The interval of that level; never narrower than that of the images alone."""
        tail = (1 + level) / 2
        stretch = scipy.special.stdtrit(self.units - 1, tail) / scipy.special.ndtri(tail) * self._small_sample()
        images = self.images * stretch
        both = images * self.shared**0.5 + self.seeds
        ends = self.centre + np.quantile([images, both], [1 - tail, tail], axis=1)
        return min(float(ends[0].min()), self.mean), max(float(ends[1].max()), self.mean)

    def p(self) -> float:
        """1 - level of the widest interval that leaves out zero: a test that agrees with every interval.

        Below 2 / samples resamples know nothing of the tail; there it is that of Student's t, joined without a step.
        """
        least, most = 2 / self.images.size, 1.0
        if self._leaves_out_zero(least):
            return least * self._tail_beyond(least)
        for _ in range(_STEPS):
            middle = (least * most) ** 0.5
            least, most = (least, middle) if self._leaves_out_zero(middle) else (middle, most)
        return most

    def standard_error(self) -> tuple[float, float]:
        """Standard error, and its degrees of freedom."""
        images = float(self.images.var()) * self._small_sample() ** 2
        both = images * self.shared + self.seed_variance
        if both <= images:
            return images**0.5, self.units - 1.0
        parts = (images * self.shared) ** 2 / (self.units - 1) + self.seed_variance**2 / self.seed_freedom
        return both**0.5, both**2 / parts

    def _tail_beyond(self, least: float) -> float:
        """Share of t's tail that is left at zero of what there is at the end of the interval of level 1 - `least`."""
        error, freedom = self.standard_error()
        low, high = self.ends(1 - least)
        reached = (self.mean - low if self.mean > 0 else high - self.mean) / error
        tails = scipy.special.stdtr(freedom, [-abs(self.mean) / error, -reached])
        return float(np.clip(tails[0] / tails[1], 0.0, 1.0)) if tails[1] > 0 else 1.0

    def _small_sample(self) -> float:
        return float((self.units / (self.units - 1)) ** 0.5)

    def _leaves_out_zero(self, alpha: float) -> bool:
        low, high = self.ends(1 - alpha)
        return not low <= 0 <= high


def combine(arms: list[Arm], units: int, bounds: tuple[float, float], resampling: Resampling) -> ComparedArms:
    """Add the arms up to one figure with its interval; where there can be none, `method` says why."""
    mean = float(sum(arm.per_seed.mean() for arm in arms))
    every_arm = all(arm.per_seed.size > 1 for arm in arms)
    sd = float(np.sqrt(sum(arm.per_seed.var(ddof=1) for arm in arms))) if every_arm else None
    draws = np.sum([arm.draws.mean(1) for arm in arms], axis=0)
    reason = _why_not(draws, units, resampling)
    if reason:
        estimate = Estimate(mean=mean, sd=sd, level=resampling.level, method=f"no interval: {reason}")
        return ComparedArms(estimate, None, None, None)
    variance, freedom = _seed_variance(arms)
    found = Uncertainty(
        mean=mean,
        centre=float(draws.mean()),
        images=draws - draws.mean(),
        units=units,
        shared=_shared_by_seeds(arms),
        seeds=_seed_part(variance, freedom, draws.size, resampling),
        seed_variance=variance,
        seed_freedom=freedom,
        seed_count=len(arms) / sum(1 / arm.per_seed.size for arm in arms),
    )
    low, high = np.clip(found.ends(resampling.level), *bounds)
    seeds = " and ".join(str(arm.per_seed.size) for arm in arms)
    covers = f"Student t over {seeds} seeds" if every_arm else "test images only: one seed says nothing of others"
    method = f"bootstrap over {units} units, {covers}"
    low, high = min(float(low), mean), max(float(high), mean)
    estimate = Estimate(mean=mean, sd=sd, low=low, high=high, level=resampling.level, method=method)
    return ComparedArms(estimate, found.p(), *found.standard_error(), found)


def _why_not(draws: Floats, units: int, resampling: Resampling) -> str | None:
    if units < 2 or draws.size < resampling.samples / 20:
        return "too little to resample"
    if np.ptp(draws) < _NOTHING:
        return "the figure is the same on every resample of these images, which says nothing of others"
    return None


def _shared_by_seeds(arms: list[Arm]) -> float:
    several = [arm.draws for arm in arms if arm.per_seed.size > 1]
    own = sum((d - d.mean(1, keepdims=True)).var(0).sum() / (d.shape[1] - 1) / d.shape[1] for d in several)
    whole = np.sum([arm.draws.mean(1) for arm in arms], axis=0).var()
    return float(np.clip(1 - own / whole, 0.0, 1.0)) if whole > 0 else 0.0


def _seed_variance(arms: list[Arm]) -> tuple[float, float]:
    """Variance of the mean over seeds, and its degrees of freedom. Source: Welch, Biometrika 34, 1947."""
    parts = [
        (float(arm.per_seed.var(ddof=1)) / arm.per_seed.size, arm.per_seed.size)
        for arm in arms
        if arm.per_seed.size > 1
    ]
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        return 0.0, np.inf
    return variance, variance**2 / sum(part**2 / (size - 1) for part, size in parts)


def _seed_part(variance: float, freedom: float, count: int, resampling: Resampling) -> Floats:
    """What other seeds would add: quantiles of t in random order, so that its tails carry no noise of their own."""
    if not variance > 0:
        return np.zeros(count)
    quantiles = scipy.special.stdtrit(freedom, (np.arange(count) + 0.5) / count)
    return np.asarray(resampling.generator(stream=1).permutation(quantiles) * variance**0.5)
