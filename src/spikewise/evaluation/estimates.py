"""Metrics with their uncertainty: of the runs of one network, and of the difference of two."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from spikewise.evaluation.metrics import classification_metrics, correct, weighted_figures
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.results import MetricComparison
from spikewise.evaluation.statistics import (
    Groups,
    Resampling,
    auc_difference,
    auc_interval,
    bootstrap_seeds_and_images,
    count_units,
    delong_test,
    difference_from_draws,
    estimate_from_draws,
    over_resamples,
    wilson_estimate,
)

__all__ = ["MetricDraws", "compare_metrics", "draw_metrics", "estimate_metrics"]

Labels = Int[np.ndarray, " N"]

_BOUNDS = {"brier": (0.0, 2.0), "nll": (0.0, np.inf)}  # every other figure lies in 0..1
_RESAMPLES = 500
"""For figures other than accuracy: each costs a pass over all images."""
_NOT_COMPARED = frozenset({"accuracy", "recall_macro", "specificity_macro", "precision_weighted", "f1_weighted"})
"""Compared by its own test, the same or nearly the same as balanced accuracy, or close to accuracy."""


class MetricDraws(NamedTuple):
    """The figures of some runs on the same images, and again on resampled images."""

    labels: Labels
    probabilities: Float[np.ndarray, "S N K"]
    groups: Groups
    per_seed: dict[str, NDArray[np.float64]]
    """By name [S]; nan where one is not defined."""
    draws: dict[str, NDArray[np.float64]]
    """By name [samples, S]."""
    resampling: Resampling
    positive: int = 1
    """Label of the positive class, of two."""

    @property
    def units(self) -> int:
        """What was resampled: subjects where they are known, else images."""
        return count_units(self.groups, self.labels.size)


def draw_metrics(
    labels: Labels,
    probabilities: Float[np.ndarray, "S N K"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
    positive: int = 1,
) -> MetricDraws:
    """Every figure of `classification_metrics` of each run, also on resampled images, the same for every network."""
    resampling = resampling or Resampling()
    figures = [classification_metrics(labels, run, positive=positive) for run in probabilities]
    few = resampling.replace(samples=min(resampling.samples, _RESAMPLES))

    def of_all(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        drawn = [weighted_figures(labels, run, weights, positive) for run in probabilities]
        return {name: np.stack([run[name] for run in drawn], axis=1) for name in figures[0]}

    per_seed = {name: np.array([run[name] for run in figures], dtype=np.float64) for name in figures[0]}
    draws = over_resamples(of_all, groups, labels.size, few)
    return MetricDraws(labels, probabilities, groups, per_seed, draws, resampling, positive)


def estimate_metrics(
    labels: Labels,
    probabilities: Float[np.ndarray, "S N K"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
    drawn: MetricDraws | None = None,
    positive: int = 1,
) -> dict[str, Estimate]:
    """Every figure of `classification_metrics` with its interval; a figure that is not defined is left out.

    A single run gets Wilson's interval where the figure is a plain proportion (accuracy, sensitivity, specificity) and
    subjects are not known; with two classes the area under the curve has DeLong's. The rest is resampled.

    Args:
        drawn: what `draw_metrics` made of the same arguments, if it is at hand.
        positive: label of the positive class, of two.
    """
    drawn = drawn or draw_metrics(labels, probabilities, groups, resampling=resampling, positive=positive)
    resampling = drawn.resampling
    estimates = {}
    for name, values in drawn.per_seed.items():
        if np.isfinite(values).all():
            draws, bounds = drawn.draws[name], _BOUNDS.get(name, (0, 1))
            estimates[name] = estimate_from_draws(values, draws, drawn.units, resampling, bounds=bounds)
    right = np.stack([correct(labels, run) for run in probabilities])
    estimates["accuracy"] = bootstrap_seeds_and_images(right, groups, resampling=resampling)
    if "auc" in estimates and probabilities.shape[2] == 2:
        estimates["auc"] = auc_interval(labels == 1, probabilities[:, :, 1], groups, resampling=resampling)
    if len(probabilities) == 1 and groups is None:
        estimates |= {name: one for name, one in _proportions(labels, right[0], drawn).items() if name in estimates}
    return estimates


def compare_metrics(a: MetricDraws, b: MetricDraws) -> dict[str, MetricComparison]:
    """Figure by figure a - b on the same resampled images, with interval and p; what is not defined is left out.

    With two classes the area under the curve is compared by DeLong's variance, and has his test as well.
    """
    compared = {}
    for name in a.per_seed:
        if name in _NOT_COMPARED or name not in b.per_seed:
            continue
        if not (np.isfinite(a.per_seed[name]).all() and np.isfinite(b.per_seed[name]).all()):
            continue
        p_images = None
        if name == "auc" and a.probabilities.shape[2] == 2:
            positive, scores = a.labels == 1, (a.probabilities[:, :, 1], b.probabilities[:, :, 1])
            found = auc_difference(positive, *scores, a.groups, resampling=a.resampling)
            p_images = delong_test(positive, *scores, a.groups)
        else:
            arms = [(arm.per_seed[name], arm.draws[name]) for arm in (a, b)]
            found = difference_from_draws(arms[0], arms[1], a.units, a.resampling)
        compared[name] = MetricComparison(difference=found.estimate, p=found.p, p_images=p_images)
    return compared


def _proportions(labels: Labels, right: Bool[np.ndarray, " N"], drawn: MetricDraws) -> dict[str, Estimate]:
    """Figures of one run that count right answers among certain images, with Wilson's interval."""
    sick = labels == drawn.positive
    parts = {"accuracy": np.ones_like(right), "recall": sick, "specificity": ~sick}
    return {
        name: wilson_estimate(int(right[part].sum()), int(part.sum()), level=drawn.resampling.level)
        for name, part in parts.items()
        if part.any()
    }
