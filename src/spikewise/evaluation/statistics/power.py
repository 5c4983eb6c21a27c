"""What a comparison could have shown."""

import math
from typing import Final, NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

__all__ = ["ASKED", "POWER", "StudyDesign", "planned", "smallest_detectable"]

POWER = 0.8
"""The usual power of a study: 4 of 5 would find the difference."""
_NORMAL = 500.0
"""Degrees of freedom beyond which t is normal to three digits."""
ASKED: Final = 0.86
"""Simulated runs find what is asked for about 6 points less often (docs/statistics.md): the exact test has a say, too,
and accuracies near 1 are skewed. So the formula is asked for more than the 80 % that are promised."""
_QUANTILES: Final = 64
_HOPELESS: Final = 1e5
_MOST_SEEDS: Final = 1000


def smallest_detectable(
    standard_error: float,
    freedom: float,
    critical: float,
    *,
    accuracy: float | None = None,
    power: float = POWER,
) -> float:
    """The true difference that a test would call significant with that power.

    The standard error is itself an estimate, and one of few degrees of freedom is often too small: then the answer
    would promise too much. So the power is averaged over what other runs' standard errors could have been: with s the
    standard error of this run, s' that of the next, e the error of its difference and k the answer over s,

        P((k s + e) / s' > critical) = power,

    where s^2 and s'^2 are independent chi2 / freedom, and e is standard normal (both over the true standard error).
    Source: Cohen, "Statistical power analysis for the behavioral sciences", 2nd edition, 1988, chapters 2 (t) and 6
    (arcsine); noncentral t: Johnson, Kotz and Balakrishnan, "Continuous univariate distributions" 2, 1995,
    chapter 31; averaging: O'Hagan, Stevens and Campbell, Pharmaceutical Statistics 4, 2005 ("assurance").

    Args:
        critical: standard errors from zero at which the test begins to call a difference significant.
        accuracy: of the better side, so that the other one's larger variance is allowed for (on the arcsine scale); 1
            is returned where not even a network that is always wrong would do.
    """
    difference = _multiple(freedom, critical, power) * standard_error
    return difference if accuracy is None else _on_arcsine_scale(difference, accuracy)


class StudyDesign(NamedTuple):
    """Variances of a difference, as a run of some seeds found them or as they are assumed, to plan other seeds by."""

    common: float
    """Of the test images, common to all seeds."""
    images: float
    """Of the test images with the seeds there were: the interval is never narrower."""
    between: float
    """Between seeds, of the mean over `seeds`."""
    seeds: float
    units: int

    def detectable(self, seeds: int, alpha: float = 0.05) -> float:
        """The true difference that so many seeds a side would show with 80 % power, if the variances are these."""
        between = self.between * self.seeds / seeds
        images = self.common + max(0.0, self.images - self.common) * self.seeds / seeds
        variance = max(self.common + between, images)
        parts = self.common**2 / max(self.units - 1, 1) + between**2 / (2 * (seeds - 1))
        freedom = max(1.0, (self.common + between) ** 2 / parts)
        critical = -float(scipy.special.stdtrit(freedom, alpha / 2))
        return float(min(1.0, _noncentrality(freedom, critical, POWER) * variance**0.5))

    def seeds_to_tell(self, difference: float, alpha: float = 0.05) -> int | None:
        """The fewest seeds a side that would show a true difference of that size; None where a thousand would not."""
        low, high = 2, _MOST_SEEDS
        if not self.detectable(high, alpha) <= difference:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.detectable(middle, alpha) <= difference else (middle + 1, high)
        return low


SEED_SD: Final = 0.01
DISAGREE: Final = 0.03
"""What is assumed before a run: one point between seeds, and 3 % of the images that one side alone gets right."""


def planned(units: int, *, seed_sd: float = SEED_SD, disagree: float = DISAGREE) -> StudyDesign:
    """What can be said before a run, from assumed variances.

    Args:
        units: test images, or subjects.
        seed_sd: standard deviation of accuracy over seeds.
        disagree: share of the images that one side gets right and the other wrong, whatever the seed.
    """
    return StudyDesign(disagree / units, disagree / units, 2 * seed_sd**2, 1, units)


def _on_arcsine_scale(difference: float, accuracy: float) -> float:
    angle = math.asin(math.sqrt(accuracy)) - difference / 2 / math.sqrt(accuracy * (1 - accuracy))
    return accuracy - math.sin(angle) ** 2 if angle > 0 else 1.0


def _multiple(freedom: float, critical: float, power: float) -> float:
    """k of `smallest_detectable`."""
    if freedom > _NORMAL:
        return _noncentrality(freedom, critical, power)
    own = np.sqrt(scipy.special.chdtri(freedom, (np.arange(_QUANTILES) + 0.5) / _QUANTILES) / freedom)

    def lacking(multiple: float) -> float:
        return power - 1 + float(_below(freedom, multiple * own, critical).mean())

    most = 3 * critical + 5
    while lacking(most) > 0 and most < _HOPELESS:
        most *= 2
    return most if most >= _HOPELESS else float(scipy.optimize.brentq(lacking, 0.0, most))


def _noncentrality(freedom: float, critical: float, power: float) -> float:
    if freedom > _NORMAL:
        return critical + float(scipy.special.ndtri(power))

    def lacking(noncentrality: float) -> float:
        return power - 1 + float(_below(freedom, np.array(noncentrality), critical))

    return float(scipy.optimize.brentq(lacking, 0.0, 3 * critical + 5))


def _below(freedom: float, noncentrality: NDArray[np.float64], critical: float) -> NDArray[np.float64]:
    """P(noncentral t < critical); far in its tail SciPy's series breaks off, and the normal approximation stands in.

    Source: Johnson and Welch, Biometrika 31, 1940 (Johnson, Kotz and Balakrishnan, 1995, equation 31.26).
    """
    exact = np.asarray(scipy.special.nctdtr(freedom, noncentrality, critical))
    spread = math.sqrt(1 + critical**2 / (2 * freedom))
    near = scipy.special.ndtr((critical * (1 - 1 / (4 * freedom)) - noncentrality) / spread)
    return np.where(np.isnan(exact), near, exact)
