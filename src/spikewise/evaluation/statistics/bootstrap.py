"""Intervals of means, differences and any metric, over seeds and test images."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics.resampling import Floats, Groups, Resampling, parts_of_samples, unit_of
from spikewise.evaluation.statistics.uncertainty import Arm, ComparedArms, combine

__all__ = [
    "bootstrap_metric",
    "bootstrap_seeds_and_images",
    "difference_from_draws",
    "estimate_from_draws",
    "paired_bootstrap",
    "paired_difference",
    "same_images",
]

_ANYWHERE = (-np.inf, np.inf)


def bootstrap_seeds_and_images(
    scores: Num[np.ndarray, "S N"] | Bool[np.ndarray, "S N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> Estimate:
    """Mean of a score over seeds and test images, such as accuracy of `correct`, with its interval.

    Booleans are mixed with imaginary units (see the package); other scores are resampled as they are.
    """
    resampling = resampling or Resampling()
    binary = scores.dtype == np.bool_
    imagined = [(np.ones(len(scores)), 2.0), (np.zeros(len(scores)), 2.0)] if binary else []
    values = scores.astype(np.float64)
    size = _design_effect(values.mean(0), groups)
    draws, units = _draw_means(values, groups, imagined, size, resampling)
    return combine([Arm(values.mean(1), draws)], units, (0.0, 1.0) if binary else _ANYWHERE, resampling).estimate


def paired_bootstrap(
    correct_a: Bool[np.ndarray, "S N"],
    correct_b: Bool[np.ndarray, "R N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> Estimate:
    """Accuracy of a minus accuracy of b, with its interval; each resample takes the same images on both sides.

    Seeds are not paired: the same number starts two different networks. `sd` is that of the difference of two runs.
    """
    return paired_difference(correct_a, correct_b, groups, resampling=resampling).estimate


def paired_difference(
    correct_a: Bool[np.ndarray, "S N"],
    correct_b: Bool[np.ndarray, "R N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> ComparedArms:
    """`paired_bootstrap` with its p value and standard error."""
    same_images(correct_a, correct_b)
    resampling = resampling or Resampling()
    values = np.concatenate([correct_a, correct_b]).astype(np.float64)
    is_a = np.arange(len(values)) < len(correct_a)
    only_a, only_b = is_a.astype(np.float64), (~is_a).astype(np.float64)
    imagined = [(only_a, 0.5), (only_b, 0.5), (only_a + only_b, 0.5), (np.zeros(len(values)), 0.5)]
    size = _design_effect(values[is_a].mean(0) - values[~is_a].mean(0), groups)
    draws, units = _draw_means(values, groups, imagined, size, resampling)
    arms = [Arm(values.mean(1)[is_a], draws[:, is_a]), Arm(-values.mean(1)[~is_a], -draws[:, ~is_a])]
    return combine(arms, units, (-1.0, 1.0), resampling)


def bootstrap_metric(
    metric: Callable[[Int[np.ndarray, " N"], Float[np.ndarray, "N K"]], float],
    labels: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "S N K"],
    groups: Groups = None,
    *,
    bounds: tuple[float, float] = _ANYWHERE,
    resampling: Resampling | None = None,
) -> Estimate:
    """Mean over seeds of any metric, with its interval; slow, as the metric runs `samples` times `S` times.

    Resamples on which the metric is not defined (nan) are left out.
    """
    resampling = resampling or Resampling()
    rng, unit = resampling.generator(), unit_of(groups, labels.size)
    members = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])
    draws = np.empty((resampling.samples, len(probabilities)))
    for b in range(resampling.samples):
        chosen = np.concatenate([members[u] for u in rng.integers(0, len(members), len(members))])
        draws[b] = [metric(labels[chosen], run[chosen]) for run in probabilities]
    per_seed = np.array([metric(labels, run) for run in probabilities])
    return estimate_from_draws(per_seed, draws, len(members), resampling, bounds=bounds)


def estimate_from_draws(
    per_seed: Floats,
    draws: Floats,
    units: int,
    resampling: Resampling,
    *,
    bounds: tuple[float, float] = _ANYWHERE,
) -> Estimate:
    """Mean of a figure `per_seed` with its interval; `draws` [samples, S] are the figure on resampled images.

    Draws that are not defined (nan) are left out, the rest is centred on the observed figures, because resampling
    biases figures such as calibration error.
    """
    draws = draws[np.isfinite(draws).all(1)]
    return combine([_centred(per_seed, draws)], units, bounds, resampling).estimate


def difference_from_draws(
    a: tuple[Floats, Floats], b: tuple[Floats, Floats], units: int, resampling: Resampling
) -> ComparedArms:
    """Figure of a minus figure of b; each side has its figure `per_seed` and `draws` on the same resampled images.

    Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 8 and 13.
    """
    (per_seed_a, draws_a), (per_seed_b, draws_b) = a, b
    defined = np.isfinite(draws_a).all(1) & np.isfinite(draws_b).all(1)
    arms = [_centred(per_seed_a, draws_a[defined]), _centred(-per_seed_b, -draws_b[defined])]
    return combine(arms, units, _ANYWHERE, resampling)


def _centred(per_seed: Floats, draws: Floats) -> Arm:
    return Arm(per_seed, draws - draws.mean(0) + per_seed if draws.size else draws)


def _design_effect(values: Floats, groups: Groups) -> float:
    """How many images of the same subjects say as much about the mean of `values` [N] as one independent image.

    From 1 (subjects do not matter) to the mean number of images of a subject (all of its images say the same).
    Source: Kish, "Survey sampling", 1965, section 8.2 (design effect).
    """
    unit = unit_of(groups, values.size)
    units = int(unit.max()) + 1
    residuals = values - values.mean()
    alone, together = np.square(residuals).sum(), np.square(np.bincount(unit, weights=residuals)).sum()
    largest = values.size / units
    if units < 2 or not alone > 0:
        return largest
    return float(np.clip(together / alone * units / (units - 1), 1.0, largest))


def _draw_means(
    values: Floats, groups: Groups, imagined: list[tuple[Floats, float]], size: float, resampling: Resampling
) -> tuple[Floats, int]:
    """Means of each run's `values` [runs, N] over resampled units, and the number of units.

    `imagined` holds imaginary units: the value of each run, and how many of them; each has `size` images, so that it
    weighs as much as one independent image. Units that look alike are drawn together, as a multinomial over kinds:
    exact, and fast however many images there are.
    """
    unit = unit_of(groups, values.shape[1])
    table = np.stack([np.bincount(unit), *(np.bincount(unit, weights=run) for run in values)], axis=1)
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    kinds = np.concatenate([kinds, *(size * np.array([[1.0, *value]]) for value, _ in imagined)])
    chances = np.concatenate([counts, [count for _, count in imagined]])
    generator, shares = resampling.generator(), chances / chances.sum()
    # Scores of many values are of nearly as many kinds as there are images.
    parts = parts_of_samples(resampling.samples, len(kinds))
    sums = np.concatenate([generator.multinomial(len(table), shares, size=count) @ kinds for count in parts])
    return sums[:, 1:] / sums[:, :1], len(table)


def same_images(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> None:
    """Raises ShapeError unless both are [seeds, images] with as many images."""
    if correct_a.ndim != 2 or correct_b.ndim != 2 or correct_a.shape[1] != correct_b.shape[1]:
        raise ShapeError(
            f"Expected [seeds, images] on both sides with the same images; got {correct_a.shape} and {correct_b.shape}."
        )
