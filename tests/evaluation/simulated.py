"""Networks whose true accuracy and area under the curve are known exactly.

Class y is 0 or 1; image i has a difficulty h_i shared by all networks; run s scores it z = (y - 1/2) * d + h_i + e_si
with h + e standard normal, and answers 1 if z > 0: accuracy Phi(d / 2), area under the curve Phi(d / sqrt(2)).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import norm


class Images(NamedTuple):
    labels: np.ndarray
    hard: np.ndarray
    groups: np.ndarray | None = None


def images(rng, count, *, positive=0.5, subjects=None):
    """Images, of subjects that are all equally hard where there are subjects."""
    labels = (rng.random(count) < positive).astype(np.int64)
    labels[:4] = [0, 0, 1, 1]
    if subjects is None:
        return Images(labels, rng.standard_normal(count) * 0.6**0.5)
    groups = np.arange(count) % subjects
    return Images(labels, rng.standard_normal(subjects)[groups] * 0.6**0.5, groups)


def scores(rng, shown, accuracy, *, seeds=3, between=0.0):
    """z of each run [S, N]; the separation varies by `between` with the seed."""
    d = 2 * norm.ppf(accuracy) + between * rng.standard_normal((seeds, 1))
    return (shown.labels - 0.5) * d + shown.hard + rng.standard_normal((seeds, shown.labels.size)) * 0.4**0.5


def right(z, shown):
    return (z > 0) == (shown.labels == 1)


def probabilities(z):
    return np.stack([1 - expit(z), expit(z)], axis=-1)


def area(accuracy):
    return norm.cdf(2 * norm.ppf(accuracy) / 2**0.5)
