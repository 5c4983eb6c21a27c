"""What a sweep says: the cell that validation chooses, and what each factor does, over matched pairs.

A pair is two trainings that are equal in everything but the factor: same levels of all other factors, same network,
same seed. Pairs of one configuration are not independent of each other, nor are those of one seed, whose first weights
and order of images may favour a level at all others. So an interval covers both: configurations are resampled, and
seeds add Student's t, as test images and seeds do elsewhere (`bootstrap_seeds_and_images`). With one seed whole
configurations are resampled alone (cluster bootstrap; Efron and Tibshirani 1993, sec. 8.3), with one configuration
there is only Student's t over its seeds, and with one pair there is no interval. Intervals are not corrected for the
number of factors.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from spikewise.evaluation import Estimate, bootstrap_seeds_and_images, seeds_only
from spikewise.experiments.sweep import Claim
from spikewise.experiments.sweep_table import Row
from spikewise.report.numbers import METRICS, in_sentence, metric_value, points

__all__ = [
    "LOWER_IS_BETTER",
    "NETWORK",
    "Choice",
    "FactorChoice",
    "SweepDifference",
    "answer",
    "by_run",
    "choose",
    "complete",
    "difference",
    "differences",
    "few_seeds",
    "figure_of",
    "mean_of",
    "mean_over",
]

NETWORK = "network"
_ONE_SEED = (
    "All trainings have one seed, so that an effect may be the luck of its first weights: the intervals only say how "
    "alike it is at the other levels. With --seeds 3 the pairs have several."
)
_TWO_SEEDS = (
    "Two seeds say little of how far seeds lie apart, so intervals are wide and hardly any effect is clear. With "
    "--seeds 3 they are much narrower."
)
LOWER_IS_BETTER = frozenset({"ece", "brier", "nll"})


class SweepDifference(NamedTuple):
    """A factor's effect: its first level minus its second, over matched pairs."""

    factor: str
    first: str
    second: str
    estimate: Estimate
    pairs: int
    configurations: int

    @property
    def clear(self) -> bool | None:
        """Whether the interval leaves zero out; None without an interval."""
        low, high = self.estimate.low, self.estimate.high
        return None if low is None or high is None else low > 0 or high < 0

    def sentence(self, metric: str) -> str:
        """The effect in words, never stronger than the figures."""
        mean, low, high = self.estimate.mean, self.estimate.low, self.estimate.high
        what, named = f"{self.factor} {self.first} instead of {self.second}", f"{_named(metric)} on the test images"
        pairs = f"over {self.pairs} matched pair{'s' if self.pairs != 1 else ''}"
        if low is None or high is None:
            return f"{what}: {_signed(metric, mean)} of {named} {pairs}, too few for an interval."
        level = f"{100 * self.estimate.level:g} % interval"
        if not self.clear:
            interval = f"({level} {_signed(metric, low, unit=False)} to {_signed(metric, high)})"
            return f"{what} shows no clear effect: {_signed(metric, mean)} of {named} {interval} {pairs}."
        size, nearer, further = (_plain(metric, value) for value in (mean, *sorted((low, high), key=abs)))
        interval = f"({level} {nearer.removesuffix(' points')} to {further})"
        up, down = ("raises", "lowers") if metric in LOWER_IS_BETTER else ("adds", "costs")
        verb = up if mean > 0 else down
        middle = f"{verb} {named} by {size}" if metric in LOWER_IS_BETTER else f"{verb} {size} of {named}"
        return f"{what} {middle} {interval} {pairs}."


class Choice(NamedTuple):
    """The cell that has the best mean validation figure, and its test figure."""

    network: str
    run: str
    levels: dict[str, str]
    validation: float
    test: float
    seeds: int

    def sentence(self, metric: str) -> str:
        """The choice in words."""
        where = ", ".join(f"{name} {label}" for name, label in self.levels.items())
        figures = [metric_value(metric, value) for value in (self.validation, self.test)]
        seeds = f"mean of {self.seeds} seeds" if self.seeds > 1 else "one seed"
        return (
            f"For {self.network}, validation chooses {where}: {_named(metric)} {figures[0]} on validation, "
            f"{figures[1]} on test ({seeds})."
        )


class FactorChoice(NamedTuple):
    """A published statement and what was measured."""

    statement: str
    measured: tuple[tuple[str, str], ...]
    """Among which cells, and the effect there in words."""


def difference(
    rows: Sequence[Row], factors: Sequence[str], factor: str, levels: tuple[str, str], metric: str
) -> SweepDifference | None:
    """First level minus second over all matched pairs of finished trainings; None if there is no pair."""
    return _between(_by_level(rows, factors, factor, metric), factor, levels)


def _by_level(
    rows: Iterable[Row], factors: Sequence[str], factor: str, metric: str
) -> dict[str, dict[tuple[object, ...], float]]:
    """The figures of finished trainings, by the level of a factor and by everything else."""
    others, column = [name for name in (*factors, NETWORK, "seed") if name != factor], f"test_{metric}"
    found: dict[str, dict[tuple[object, ...], float]] = {}
    for row in rows:
        value = row.get(column)
        if row["status"] == "done" and isinstance(value, int | float):
            found.setdefault(str(row[factor]), {})[tuple(row[name] for name in others)] = float(value)
    return found


def _between(
    found: Mapping[str, Mapping[tuple[object, ...], float]], factor: str, levels: tuple[str, str]
) -> SweepDifference | None:
    first, second = (found.get(level, {}) for level in levels)
    keys = [key for key in first if key in second]
    if not keys:
        return None
    # The seed is the last part of the key.
    pairs = complete({(key[:-1], key[-1]): first[key] - second[key] for key in keys})
    configurations = len({configuration for configuration, _ in pairs})
    return SweepDifference(factor, *levels, mean_over(pairs), len(pairs), configurations)


Figures = Mapping[tuple[Hashable, Hashable], float]
"""A figure for each configuration and seed."""


def complete(figures: Figures) -> Figures:
    """Those of the most configurations that all have the same seeds, if that leaves two of each; else all of them.

    While a sweep is at work, or where cells failed, some configurations lack seeds.
    """
    seeds: dict[Hashable, set[Hashable]] = {}
    for configuration, seed in figures:
        seeds.setdefault(configuration, set()).add(seed)
    often = Counter(seed for _, seed in figures)
    wanted = [{seed for seed, _ in often.most_common(count)} for count in range(len(often), 1, -1)]
    sizes = [len(some) * sum(own >= some for own in seeds.values()) for some in wanted]
    if not sizes or max(sizes) < 2 * len(best := wanted[sizes.index(max(sizes))]):
        return figures
    return {key: value for key, value in figures.items() if key[1] in best and seeds[key[0]] >= best}


def mean_over(figures: Figures) -> Estimate:
    """Mean with an interval over configurations and seeds; of figures that are not `complete`, configurations alone."""
    values = np.array(list(figures.values()))
    configurations, seeds = (list(dict.fromkeys(key[part] for key in figures)) for part in (0, 1))
    if len(configurations) < 2:
        estimate = seeds_only(values)
    elif len(seeds) > 1 and len(values) == len(configurations) * len(seeds):
        table = np.array([[figures[configuration, seed] for configuration in configurations] for seed in seeds])
        sampled = bootstrap_seeds_and_images(table)
        over = f"bootstrap over {len(configurations)} configurations, Student t over {len(seeds)} seeds"
        estimate = sampled.model_copy(update={"method": over}) if sampled.low is not None else seeds_only(table.mean(1))
    else:
        place = {configuration: at for at, configuration in enumerate(configurations)}
        cluster = np.array([place[configuration] for configuration, _ in figures])
        sampled = bootstrap_seeds_and_images(values[None, :], cluster)
        estimate = sampled.model_copy(update={"method": f"cluster bootstrap over {len(configurations)} configurations"})
    if np.ptp(values) == 0:  # chance of few values, not certainty
        alike = {"low": None, "high": None, "method": "no interval: all values are alike"}
        return estimate.model_copy(update=alike)
    return estimate


def differences(rows: Sequence[Row], labels: Mapping[str, Sequence[str]], metric: str) -> list[SweepDifference]:
    """For each factor, each other level against its first."""
    out = []
    for factor, (first, *rest) in labels.items():
        found = _by_level(rows, tuple(labels), factor, metric)  # once: a factor may have thousands of levels
        out += [_between(found, factor, (other, first)) for other in rest]
    return [one for one in out if one is not None]


def few_seeds(rows: Iterable[Row]) -> str:
    """What a sweep of one or two seeds cannot say; nothing where there are more, or none."""
    seeds = {row["seed"] for row in rows if row["status"] == "done"}
    return {1: _ONE_SEED, 2: _TWO_SEEDS}.get(len(seeds), "")


def choose(rows: Sequence[Row], factors: Sequence[str], metric: str) -> list[Choice]:
    """For each network the cell with the best mean validation figure; test figures play no part."""
    best: dict[str, Choice] = {}
    sign = -1 if metric in LOWER_IS_BETTER else 1
    for (network, run), own in by_run(row for row in rows if row["status"] == "done").items():
        validation, test = (mean_of(own, f"{part}_{metric}") for part in ("validation", "test"))
        if validation is None or test is None:
            continue
        levels = {name: str(own[0][name]) for name in factors if name != NETWORK}
        if network not in best or sign * validation > sign * best[network].validation:
            best[network] = Choice(network, run, levels, validation, test, len(own))
    return list(best.values())


def by_run(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each network and run folder, in order."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row[NETWORK]), str(row["run"])), []).append(row)
    return groups


def answer(claim: Claim, rows: Sequence[Row], labels: Mapping[str, Sequence[str]], metric: str) -> FactorChoice:
    """The measured effect beside a published statement: over all cells, and within each level of `claim.by`."""
    groups: list[tuple[str, Sequence[Row]]] = [("all cells", rows)]
    by = claim.by or ""
    if by in labels and by != claim.factor:
        groups += [(f"{by} {label}", [row for row in rows if row[by] == label]) for label in labels[by]]

    def words(own: Sequence[Row]) -> str:
        found = difference(own, tuple(labels), claim.factor, claim.levels, metric)
        return found.sentence(metric) if found else "No matched pair has finished."

    return FactorChoice(claim.statement, tuple((name, words(own)) for name, own in groups))


def mean_of(rows: Iterable[Row], column: str) -> float | None:
    """Mean of the numbers in a column, or None."""
    values = [float(value) for row in rows if isinstance(value := row.get(column), int | float)]
    return float(np.mean(values)) if values else None


def figure_of(row: Row, column: str) -> float:
    """A number of a row; nan where it has none."""
    value = row.get(column)
    return float(value) if isinstance(value, int | float) else float("nan")


def _signed(metric: str, value: float, *, unit: bool = True) -> str:
    """A difference with its sign."""
    if METRICS[metric].percent:
        return points(value) + " points" * unit
    return f"{value:+.4f}".replace("-", "\u2212")


def _plain(metric: str, value: float) -> str:
    """The size of a difference."""
    return _signed(metric, abs(value)).removeprefix("+")


def _named(metric: str) -> str:
    """The metric as it stands inside a sentence: weighted F1, accuracy."""
    name, _, kind = METRICS[metric].label.partition(", ")
    name = in_sentence(name)
    return f"{kind} {name}" if kind in {"macro", "weighted"} else name
