"""The area under the ROC curve without resampling: DeLong's covariance, interval and test, also for clusters.

With m positive and n negative images, the area is the share of (positive, negative) pairs in the right order, ties
half. Each positive image has a component (the share of negatives below it), each negative one too (the share of
positives above it); areas of several runs on the same images covary as their components do.
"""

from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics.resampling import Floats, Groups, Resampling, count_units, unit_of
from spikewise.evaluation.statistics.uncertainty import Arm, ComparedArms, combine

__all__ = ["Areas", "auc_difference", "auc_interval", "delong", "delong_test", "mean_auc_interval", "one_against_rest"]


class Areas(NamedTuple):
    """Areas under the curves of several runs on the same images."""

    areas: Float[np.ndarray, " R"]
    covariance: Float[np.ndarray, "R R"]
    """Over other images (or subjects) from the same source; nan with a single positive or negative unit."""


def delong(positive: Bool[np.ndarray, " N"], scores: Float[np.ndarray, "R N"], groups: Groups = None) -> Areas:
    """Areas under the ROC curves, and their covariance over test images.

    Images of one subject count as one cluster; without `groups` each image is its own, and Obuchowski's sums are
    DeLong's.
    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, pages 837-845; by midranks in O(N log N): Sun and
    Xu, IEEE Signal Processing Letters 21, 2014, pages 1389-1393; clusters: Obuchowski, Biometrics 53, 1997, pages
    567-578.

    Raises:
        ShapeError: the sizes do not fit, or a class is absent.
    """
    if positive.ndim != 1 or scores.ndim != 2 or scores.shape[1] != positive.size:
        raise ShapeError(f"Expected classes [N] and scores [R, N]; got {positive.shape} and {scores.shape}.")
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        raise ShapeError(f"An area needs both classes; got {m} positive and {n} negative images.")
    areas, of_positive, of_negative = _components(positive, scores)
    unit = unit_of(groups, positive.size)
    above = _by_cluster(of_positive, unit[positive], int(unit.max()) + 1)
    below = _by_cluster(of_negative, unit[~positive], int(unit.max()) + 1)
    whole = _corrected(len(np.unique(unit)))
    across = above @ below.T * whole / (m * n)
    covariance = (
        above @ above.T * _corrected(len(np.unique(unit[positive]))) / m**2
        + below @ below.T * _corrected(len(np.unique(unit[~positive]))) / n**2
        + (across + across.T if groups is not None else 0.0)
    )
    return Areas(areas, covariance)


def one_against_rest(
    labels: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "S N K"], groups: Groups = None
) -> Areas:
    """Means over the classes of the area of each class against the rest, and their covariance over test images.

    An image has a part in the areas of all classes; their sum is its influence on the mean, and the influences covary
    as the means do. With two classes, and no subjects, this is DeLong's covariance.
    Source: LeDell, Petersen and van der Laan, Electronic Journal of Statistics 9, 2015, pages 1583-1607 (the influence
    of one image on an area); Hand and Till, Machine Learning 45, 2001, section 2 (the mean).

    Raises:
        ShapeError: a class is absent.
    """
    runs, images, classes = probabilities.shape
    unit = unit_of(groups, images)
    areas, influence = np.zeros(runs), np.zeros((runs, images))
    for k in range(classes):
        positive = labels == k
        if positive.all() or not positive.any():
            raise ShapeError(f"A mean over classes needs images of each; got none of class {k}, or none of others.")
        area, *parts = _components(positive, probabilities[:, :, k])
        areas += area / classes
        for those, part in zip((positive, ~positive), parts, strict=True):
            correction = _corrected(len(np.unique(unit[those]))) ** 0.5
            influence[:, those] += correction * part / (those.sum() * classes)
    sums = _by_cluster(influence, unit, int(unit.max()) + 1)
    return Areas(areas, sums @ sums.T)


def delong_test(
    positive: Bool[np.ndarray, " N"],
    scores_a: Float[np.ndarray, "S N"],
    scores_b: Float[np.ndarray, "R N"],
    groups: Groups = None,
) -> float | None:
    """Two-sided p of equal areas: the mean over the seeds of a against that of b, on other images.

    Like McNemar's test it speaks of these trained networks, not of other seeds. None where the variance is zero, such
    as where all runs order all images in the same way. t with (units - 1) degrees of freedom stands for the normal
    distribution, which is too sure of few subjects.
    Source: DeLong, DeLong and Clarke-Pearson 1988.
    """
    found = delong(positive, np.concatenate([scores_a, scores_b]), groups)
    contrast = _contrast(len(scores_a), len(scores_b))
    variance = float(contrast @ found.covariance @ contrast)
    if not variance > 1e-15:
        return None
    z = abs(float(contrast @ found.areas)) / variance**0.5
    return float(min(1.0, 2 * scipy.stats.t.sf(z, count_units(groups, positive.size) - 1)))


def auc_interval(
    positive: Bool[np.ndarray, " N"],
    scores: Float[np.ndarray, "S N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> Estimate:
    """Mean area over seeds, with its interval over seeds and images, made on the logit scale.

    There it stays inside 0..1 and covers better near 1. No interval where a run orders all images perfectly.
    Source: Pepe, "The statistical evaluation of medical tests for classification and prediction", 2003, chapter 5.
    """
    return _interval(delong(positive, scores, groups), count_units(groups, positive.size), resampling or Resampling())


def mean_auc_interval(
    labels: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "S N K"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> Estimate:
    """The same of the mean of each class against the rest, of more than two classes."""
    found = one_against_rest(labels, probabilities, groups)
    return _interval(found, count_units(groups, labels.size), resampling or Resampling())


def _interval(found: Areas, units: int, resampling: Resampling) -> Estimate:
    mean, sd = float(found.areas.mean()), float(found.areas.std(ddof=1)) if found.areas.size > 1 else None
    if found.areas.max() >= 1 or found.areas.min() <= 0:
        reason = "no interval: a run puts every image of one class before every image of the other"
        return Estimate(mean=mean, sd=sd, level=resampling.level, method=reason)
    slope = 1 / (found.areas * (1 - found.areas))
    logits = Areas(scipy.special.logit(found.areas), found.covariance * np.outer(slope, slope))
    arms = [Arm(logits.areas, _draws(logits, resampling))]
    made = combine(arms, units, (-np.inf, np.inf), resampling).estimate
    if made.low is None or made.high is None:
        return made.replace(mean=mean, sd=sd)
    low, high = (float(scipy.special.expit(end)) for end in (made.low, made.high))
    method = made.method.replace("bootstrap", "DeLong (logit)")
    return made.replace(mean=mean, sd=sd, low=min(low, mean), high=max(high, mean), method=method)


def auc_difference(
    positive: Bool[np.ndarray, " N"],
    scores_a: Float[np.ndarray, "S N"],
    scores_b: Float[np.ndarray, "R N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> ComparedArms:
    """Mean area of a minus mean area of b, with its interval: images by DeLong's variance, seeds by Welch's t."""
    resampling = resampling or Resampling()
    found = delong(positive, np.concatenate([scores_a, scores_b]), groups)
    draws, split = _draws(found, resampling), len(scores_a)
    arms = [Arm(found.areas[:split], draws[:, :split]), Arm(-found.areas[split:], -draws[:, split:])]
    made = combine(arms, count_units(groups, positive.size), (-1.0, 1.0), resampling)
    return made._replace(estimate=made.estimate.replace(method=made.estimate.method.replace("bootstrap", "DeLong")))


def _components(positive: Bool[np.ndarray, " N"], scores: Float[np.ndarray, "R N"]) -> tuple[Floats, Floats, Floats]:
    """Areas [R], and the components of the positive [R, m] and of the negative images [R, n], less the areas."""
    scores = np.asarray(scores, dtype=np.float64)
    rank = scipy.stats.rankdata(scores, axis=1)
    of_positive = (rank[:, positive] - scipy.stats.rankdata(scores[:, positive], axis=1)) / (~positive).sum()
    of_negative = 1 - (rank[:, ~positive] - scipy.stats.rankdata(scores[:, ~positive], axis=1)) / positive.sum()
    areas = of_positive.mean(1)
    return areas, of_positive - areas[:, None], of_negative - areas[:, None]


def _by_cluster(components: Floats, unit: NDArray[np.int64], units: int) -> Floats:
    return np.stack([np.bincount(unit, weights=run, minlength=units) for run in components])


def _corrected(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else np.nan


def _contrast(a: int, b: int) -> Floats:
    return np.concatenate([np.full(a, 1 / a), np.full(b, -1 / b)])


def _draws(found: Areas, resampling: Resampling) -> Floats:
    """Normal deviates [samples, R] about the areas; each comes with its mirror image, so their mean is exact."""
    if not np.isfinite(found.covariance).all():
        return np.empty((0, found.areas.size))
    values, vectors = np.linalg.eigh(found.covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    half = resampling.generator(stream=2).standard_normal((resampling.samples // 2, values.size)) @ root.T
    return np.asarray(found.areas + np.concatenate([half, -half]))
