"""What a comparison could have shown."""

import math

import scipy  # its parts load when they are first used

__all__ = ["POWER", "smallest_detectable"]

POWER = 0.8
"""The usual power of a study: 4 of 5 would find the difference."""
_NORMAL = 500.0
"""Degrees of freedom beyond which t is normal to three digits."""


def smallest_detectable(
    standard_error: float,
    freedom: float,
    critical: float,
    *,
    accuracy: float | None = None,
    power: float = POWER,
) -> float:
    """The true difference that a test would call significant with that power.

    Solves `P(T > critical) = power` for the noncentrality `difference / standard_error` of Student's T. A standard
    error of few degrees of freedom is more often too small than too large; it is divided by the median of
    sqrt(chi2 / freedom). The answer stays an estimate: with 3 seeds a side it is easily off by half.
    Source: Cohen, "Statistical power analysis for the behavioral sciences", 2nd edition, 1988, chapters 2 (t) and 6
    (arcsine); noncentral t: Johnson, Kotz and Balakrishnan, "Continuous univariate distributions" 2, 1995,
    chapter 31.

    Args:
        critical: standard errors from zero at which the test begins to call a difference significant.
        accuracy: of the better side, so that the other one's larger variance is allowed for (on the arcsine scale); 1
            is returned where not even a network that is always wrong would do.
    """
    typical = math.sqrt(float(scipy.special.chdtri(freedom, 0.5)) / freedom)
    difference = _noncentrality(freedom, critical, power) * standard_error / typical
    if accuracy is None:
        return difference
    angle = math.asin(math.sqrt(accuracy)) - difference / 2 / math.sqrt(accuracy * (1 - accuracy))
    return accuracy - math.sin(angle) ** 2 if angle > 0 else 1.0


def _noncentrality(freedom: float, critical: float, power: float) -> float:
    if freedom > _NORMAL:
        return critical + float(scipy.special.ndtri(power))

    def lacking(noncentrality: float) -> float:
        return power - 1 + float(scipy.special.nctdtr(freedom, noncentrality, critical))

    return float(scipy.optimize.brentq(lacking, 0.0, 3 * critical + 5))
