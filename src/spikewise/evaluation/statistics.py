"""Intervals and tests: what a difference on these seeds and these images says about other seeds and images.

Two things vary when a network is trained and tested again: the seed and the test images. Both count.

- *Images* are resampled with replacement; where subjects are known, whole subjects are. Resampling alone is too
  narrow for few units and collapses when every answer is right, so the sample is first mixed with a few imaginary
  units (Agresti and Coull 1998: two right, two wrong; Agresti and Min 2005 for differences: one half in each of the
  four cells), and the deviations are stretched by t / z * sqrt(n / (n - 1)) (Hesterberg 2015, "expanded percentile").
- *Seeds* are too few to resample: three seeds drawn with replacement understate their variance by a third and know
  nothing of the tails, and such an interval misses the truth far too often. So their part is Student's t on the
  standard deviation between seeds (S - 1 degrees of freedom; Welch 1947 for a difference), added to every resample.

The variance between seeds already holds the noise of each run's own mistakes, so that share is taken out of the
resamples; the interval is never narrower than that of the images alone. Simulated coverage of 95 % intervals is 94.5
to 99.5 % (3 seeds, 40 to 1000 images): rather too wide than too narrow. With one seed there is no seed part, and
`Estimate.method` says so.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Bool, Float, Int, Num
from numpy.typing import NDArray
from pydantic import Field

from spikewise.config import Config
from spikewise.errors import ShapeError
from spikewise.evaluation.results import Estimate

Groups = Int[np.ndarray, " N"] | None
Floats = NDArray[np.float64]


class Resampling(Config):
    """How intervals are drawn; the same one gives the same interval."""

    seed: Annotated[int, Field(ge=0)] = 0
    samples: Annotated[int, Field(ge=100)] = 2000
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    def generator(self, stream: int = 0) -> np.random.Generator:
        """A fresh generator; the global seed is never touched."""
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, stream], dtype=np.uint64)))


class McNemar(NamedTuple):
    """The images on which exactly one of two networks is right, and how surprising their split is."""

    only_a: int
    only_b: int
    p: float


def mean_and_sd(values: Sequence[float] | Floats) -> tuple[float, float | None]:
    """Mean and standard deviation (n - 1; None for a single value)."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else None


def wilson(successes: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of a proportion. Source: Wilson, JASA 22, 1927."""
    interval = scipy.stats.binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


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
    _same_images(correct_a, correct_b)
    scaled = correct_a.sum(0) * len(correct_b) - correct_b.sum(0) * len(correct_a)  # integers, so that sums are exact
    units = np.bincount(_unit_of(groups, scaled.size), weights=scaled).astype(np.int64)
    steps = np.abs(units[units != 0])
    if not steps.size:
        return 1.0
    shared = np.gcd.reduce(steps)
    reached = _sums_of_coin_flips(steps // shared)
    extreme = np.abs(2 * np.arange(reached.size) - reached.size + 1) >= abs(units.sum()) // shared
    return min(1.0, float(reached[extreme].sum()))


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


def bootstrap_seeds_and_images(
    scores: Num[np.ndarray, "S N"] | Bool[np.ndarray, "S N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
) -> Estimate:
    """Mean of a score over seeds and test images, such as accuracy of `correct`, with its interval.

    Booleans are mixed with imaginary units (see above); other scores are resampled as they are.
    """
    resampling = resampling or Resampling()
    binary = scores.dtype == np.bool_
    imagined = [(np.ones(len(scores)), 2.0), (np.zeros(len(scores)), 2.0)] if binary else []
    values = scores.astype(np.float64)
    draws, units = _draw_means(values, groups, imagined, resampling)
    return _estimate([_Side(values.mean(1), draws)], units, (0.0, 1.0) if binary else (-np.inf, np.inf), resampling)


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
    _same_images(correct_a, correct_b)
    resampling = resampling or Resampling()
    values = np.concatenate([correct_a, correct_b]).astype(np.float64)
    is_a = np.arange(len(values)) < len(correct_a)
    only_a, only_b = is_a.astype(np.float64), (~is_a).astype(np.float64)
    imagined = [(only_a, 0.5), (only_b, 0.5), (only_a + only_b, 0.5), (np.zeros(len(values)), 0.5)]
    draws, units = _draw_means(values, groups, imagined, resampling)
    sides = [_Side(values.mean(1)[is_a], draws[:, is_a]), _Side(-values.mean(1)[~is_a], -draws[:, ~is_a])]
    return _estimate(sides, units, (-1.0, 1.0), resampling)


def bootstrap_metric(
    metric: Callable[[Int[np.ndarray, " N"], Float[np.ndarray, "N K"]], float],
    labels: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "S N K"],
    groups: Groups = None,
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    resampling: Resampling | None = None,
) -> Estimate:
    """Mean over seeds of any metric, with its interval; slow, as the metric runs `samples` times `S` times.

    Resamples on which the metric is not defined (nan) are left out.
    """
    resampling = resampling or Resampling()
    rng, unit = resampling.generator(), _unit_of(groups, labels.size)
    members = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])
    draws = np.empty((resampling.samples, len(probabilities)))
    for b in range(resampling.samples):
        chosen = np.concatenate([members[u] for u in rng.integers(0, len(members), len(members))])
        draws[b] = [metric(labels[chosen], run[chosen]) for run in probabilities]
    per_seed = np.array([metric(labels, run) for run in probabilities])
    return estimate_from_draws(per_seed, draws, len(members), resampling, bounds=bounds)


def image_weights(groups: Groups, images: int, resampling: Resampling) -> Floats:
    """How often each resample [samples, N] holds each image: for metrics that can be computed from weights."""
    unit = _unit_of(groups, images)
    units = int(unit.max()) + 1
    draws = resampling.generator().multinomial(units, np.full(units, 1 / units), size=resampling.samples)
    return draws[:, unit].astype(np.float64)


def estimate_from_draws(
    per_seed: Floats,
    draws: Floats,
    units: int,
    resampling: Resampling,
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """Mean of a figure `per_seed` with its interval; `draws` [samples, S] are the figure on resampled images.

    Draws that are not defined (nan) are left out, the rest is centred on the observed figures, because resampling
    biases figures such as calibration error.
    """
    draws = draws[np.isfinite(draws).all(1)]
    centred = draws - draws.mean(0) + per_seed if draws.size else draws
    return _estimate([_Side(per_seed, centred)], units, bounds, resampling)


def seeds_only(values: Sequence[float] | Floats, *, level: float = 0.95) -> Estimate:
    """Mean of one value per seed with Student's t interval: it covers other seeds, not other images."""
    mean, sd = mean_and_sd(values)
    if sd is None:
        return Estimate(mean=mean, level=level, method="a single value, no interval")
    half = float(scipy.stats.t.ppf((1 + level) / 2, len(values) - 1)) * sd / len(values) ** 0.5
    method = f"Student t over {len(values)} seeds"
    return Estimate(mean=mean, sd=sd, low=mean - half, high=mean + half, level=level, method=method)


def _unit_of(groups: Groups, images: int) -> NDArray[np.int64]:
    """What each image is resampled with: its subject where subjects are known, else itself."""
    if groups is None:
        return np.arange(images)
    if groups.shape != (images,):
        raise ShapeError(f"Expected one group for each of {images} images; got {groups.shape}.")
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


class _Side(NamedTuple):
    """One network's figures, with the sign they enter the estimate with."""

    per_seed: Floats
    draws: Floats
    """[samples, seeds]: the same, on resampled images."""


def _draw_means(
    values: Floats, groups: Groups, imagined: list[tuple[Floats, float]], resampling: Resampling
) -> tuple[Floats, int]:
    """Means of each run's `values` [runs, N] over resampled units, and the number of units.

    `imagined` holds imaginary units: the value of each run, and how many of them. Units that look alike are drawn
    together, as a multinomial over kinds: exact, and fast however many images there are.
    """
    unit = _unit_of(groups, values.shape[1])
    table = np.stack([np.bincount(unit), *(np.bincount(unit, weights=run) for run in values)], axis=1)
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    size = values.shape[1] / len(table)
    kinds = np.concatenate([kinds, *(size * np.array([[1.0, *value]]) for value, _ in imagined)])
    chances = np.concatenate([counts, [count for _, count in imagined]])
    drawn = resampling.generator().multinomial(len(table), chances / chances.sum(), size=resampling.samples)
    sums = drawn @ kinds
    return sums[:, 1:] / sums[:, :1], len(table)


def _estimate(sides: list[_Side], units: int, bounds: tuple[float, float], resampling: Resampling) -> Estimate:
    """Put the parts of images and of seeds together."""
    mean = float(sum(side.per_seed.mean() for side in sides))
    every_side = all(side.per_seed.size > 1 for side in sides)
    sd = float(np.sqrt(sum(side.per_seed.var(ddof=1) for side in sides))) if every_side else None
    draws = np.sum([side.draws.mean(1) for side in sides], axis=0)
    if units < 2 or draws.size < resampling.samples / 20:
        return Estimate(mean=mean, sd=sd, level=resampling.level, method="no interval: too little to resample")
    tail = (1 + resampling.level) / 2
    stretch = scipy.stats.t.ppf(tail, units - 1) / scipy.stats.norm.ppf(tail) * (units / (units - 1)) ** 0.5
    deviations = (draws - draws.mean()) * stretch
    both = deviations * _shared_by_seeds(sides) ** 0.5 + _seed_part(sides, draws.size, resampling)
    ends = draws.mean() + np.quantile([deviations, both], [1 - tail, tail], axis=1)
    low, high = np.clip([ends[0].min(), ends[1].max()], *bounds)
    seeds = " and ".join(str(side.per_seed.size) for side in sides)
    covers = f"Student t over {seeds} seeds" if every_side else "test images only: one seed says nothing of others"
    method = f"bootstrap over {units} units, {covers}"
    return Estimate(mean=mean, sd=sd, low=min(low, mean), high=max(high, mean), level=resampling.level, method=method)


def _shared_by_seeds(sides: list[_Side]) -> float:
    """Share of the resamples' variance that is common to all seeds, and so not in the variance between them."""
    several = [side.draws for side in sides if side.per_seed.size > 1]
    own = sum((d - d.mean(1, keepdims=True)).var(0).sum() / (d.shape[1] - 1) / d.shape[1] for d in several)
    whole = np.sum([side.draws.mean(1) for side in sides], axis=0).var()
    return float(np.clip(1 - own / whole, 0.0, 1.0)) if whole > 0 else 0.0


def _seed_part(sides: list[_Side], count: int, resampling: Resampling) -> Floats:
    """What other seeds would add: quantiles of t in random order, so that its tails carry no noise of their own."""
    parts = [
        (side.per_seed.var(ddof=1) / side.per_seed.size, side.per_seed.size) for side in sides if side.per_seed.size > 1
    ]
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        return np.zeros(count)
    freedom = variance**2 / sum(part**2 / (size - 1) for part, size in parts)
    quantiles = scipy.stats.t.ppf((np.arange(count) + 0.5) / count, freedom)
    return np.asarray(resampling.generator(stream=1).permutation(quantiles) * variance**0.5)


def _same_images(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> None:
    if correct_a.ndim != 2 or correct_b.ndim != 2 or correct_a.shape[1] != correct_b.shape[1]:
        raise ShapeError(
            f"Expected [seeds, images] on both sides with the same images; got {correct_a.shape} and {correct_b.shape}."
        )
