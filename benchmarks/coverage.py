"""Intervals and tests against simulated truth: how often they cover, alarm falsely, and find what is there.

The world: class y is 0 or 1; image i has a difficulty h shared by all networks (and by its subject, where there are
subjects); run s gives it the score z = (y - 1/2) * d_s + h_i + e_si, and answers 1 if z > 0, with h + e standard
normal and d_s normal about d. Then accuracy = balanced accuracy = sensitivity = Phi(d / 2 / sqrt(1 + sd^2 / 4)) and
the area under the curve = Phi(d / sqrt(2 + sd^2)), exactly.
"""

import os
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import scipy.stats

from spikewise.evaluation import Estimate, Resampling, statistics
from spikewise.evaluation.statistics import (
    auc_difference,
    auc_interval,
    bootstrap_seeds_and_images,
    delong_test,
    difference_from_draws,
    estimate_from_draws,
    image_weights,
    mcnemar_exact,
    paired_difference,
    sign_flip_test,
    wilson,
)

REPEATS = int(os.environ.get("REPEATS", "500"))
RESAMPLING = Resampling(samples=500)
_USUAL = 0.1
"""Of `World.between` where the words say nothing of it."""
SHARED = 0.6
"""Variance of the difficulty that all networks share; with subjects, half of it is theirs."""


class World(NamedTuple):
    """What is simulated."""

    images: int
    seeds: int
    accuracy: float
    between: float = 0.0
    """Standard deviation of d between seeds; 0.1 moves an accuracy of 85 % by about 1.2 points."""
    subjects: int | None = None
    positive: float = 0.5

    @property
    def d(self) -> float:
        """Separation that gives the accuracy."""
        return float(2 * scipy.stats.norm.ppf(self.accuracy) * (1 + self.between**2 / 4) ** 0.5)

    @property
    def area(self) -> float:
        """True area under the curve, mean over seeds."""
        return float(scipy.stats.norm.cdf(self.d / (2 + self.between**2) ** 0.5))


class Images(NamedTuple):
    """Test images, with at least two of each class."""

    labels: np.ndarray
    hard: np.ndarray
    groups: np.ndarray | None


def images_of(world: World, rng: np.random.Generator) -> Images:
    labels = (rng.random(world.images) < world.positive).astype(np.int64)
    labels[:4] = [0, 0, 1, 1]
    hard, groups = rng.standard_normal(world.images) * SHARED**0.5, None
    if world.subjects:
        groups = np.arange(world.images) % world.subjects
        hard = (hard + rng.standard_normal(world.subjects)[groups] * SHARED**0.5) / 2**0.5
    return Images(labels, hard, groups)


def scores_of(world: World, shown: Images, rng: np.random.Generator) -> np.ndarray:
    d = world.d + world.between * rng.standard_normal((world.seeds, 1))
    noise = rng.standard_normal((world.seeds, world.images)) * (1 - SHARED) ** 0.5
    return (shown.labels - 0.5) * d + shown.hard + noise


def right(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (scores > 0) == (labels == 1)


def balanced(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Balanced accuracy of each run [.., S] with weighted images; nan where a class is absent."""
    hit = right(scores, labels).T.astype(float)
    parts = [(weights[:, labels == k] @ hit[labels == k], weights[:, labels == k].sum(1)) for k in (0, 1)]
    with np.errstate(invalid="ignore"):
        return np.mean([hits / total[:, None] for hits, total in parts], axis=0)


def intervals(world: World, other: World, rng: np.random.Generator) -> dict[str, tuple[float | None, float | None]]:
    """Distance from the truth to both ends of every interval: below and above zero where it covers."""
    shown = images_of(world, rng)
    a, b = scores_of(world, shown, rng), scores_of(other, shown, rng)
    right_a, right_b = right(a, shown.labels), right(b, shown.labels)
    weights = image_weights(shown.groups, world.images, RESAMPLING)
    once = np.ones((1, world.images))
    sides = [(balanced(shown.labels, z, once)[0], balanced(shown.labels, z, weights)) for z in (a, b)]
    units, positive = statistics.count_units(shown.groups, world.images), shown.labels == 1
    gap, gap_area = world.accuracy - other.accuracy, world.area - other.area
    options = {"groups": shown.groups, "resampling": RESAMPLING}
    found: dict[str, tuple[Estimate, float]] = {
        "accuracy": (bootstrap_seeds_and_images(right_a, **options), world.accuracy),
        "balanced accuracy": (estimate_from_draws(*sides[0], units, RESAMPLING, bounds=(0, 1)), world.accuracy),
        "AUC": (auc_interval(positive, a, **options), world.area),
        "accuracy, a - b": (paired_difference(right_a, right_b, **options).estimate, gap),
        "balanced accuracy, a - b": (difference_from_draws(sides[0], sides[1], units, RESAMPLING).estimate, gap),
        "AUC, a - b": (auc_difference(positive, a, b, **options).estimate, gap_area),
    }
    ends = {name: (_minus(one.low, truth), _minus(one.high, truth)) for name, (one, truth) in found.items()}
    if world.seeds == 1 and shown.groups is None:
        low, high = wilson(int(right_a.sum()), world.images)
        ends["accuracy, Wilson"] = (low - world.accuracy, high - world.accuracy)
    return ends


def tests(world: World, other: World, rng: np.random.Generator) -> dict[str, bool]:
    """Which tests of one pair say that it differs."""
    shown = images_of(world, rng)
    a, b = scores_of(world, shown, rng), scores_of(other, shown, rng)
    right_a, right_b = right(a, shown.labels), right(b, shown.labels)
    p_images = sign_flip_test(right_a, right_b, shown.groups)
    p_both = paired_difference(right_a, right_b, shown.groups, resampling=RESAMPLING).p
    p_area = auc_difference(shown.labels == 1, a, b, shown.groups, resampling=RESAMPLING).p
    return {
        "McNemar, first seeds": mcnemar_exact(right_a[0], right_b[0]).p < 0.05,
        "sign flip, all seeds": p_images < 0.05,
        "interval (seeds and images)": p_both < 0.05,
        "both: the rule": max(p_images, p_both) < 0.05,
        "DeLong (images)": (delong_test(shown.labels == 1, a, b, shown.groups) or 1) < 0.05,
        "AUC interval (seeds and images)": (p_area or 1) < 0.05,
    }


def three(world: World, other: World, rng: np.random.Generator) -> dict[str, bool]:
    """Three networks, the third like `other`: whether any false alarm is raised among the three pairs."""
    shown = images_of(world, rng)
    runs = [right(scores_of(one, shown, rng), shown.labels) for one in (world, world, other)]
    p = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = paired_difference(runs[i], runs[j], shown.groups, resampling=RESAMPLING).p
        p.append(max(both, sign_flip_test(runs[i], runs[j], shown.groups)))
    adjusted, same = statistics.holm(p), world.accuracy == other.accuracy
    null = (0, 1, 2) if same else (0,)
    return {
        "some false alarm, not corrected": any(p[k] < 0.05 for k in null),
        "some false alarm, Holm": any(adjusted[k] < 0.05 for k in null),
        "found, not corrected": not same and p[1] < 0.05,
        "found, Holm": not same and adjusted[1] < 0.05,
    }


def _minus(end: float | None, truth: float) -> float | None:
    return None if end is None else end - truth


def repeat(work: Callable, world: World, other: World) -> list[dict]:
    return [work(world, other, np.random.default_rng(seed)) for seed in range(REPEATS)]


def detectable(world: World) -> float:
    """What the rule says it could have shown: the median over repetitions of equal networks."""
    return float(np.median([_promise(world, np.random.default_rng(seed)) for seed in range(min(REPEATS, 200))]))


def _promise(world: World, rng: np.random.Generator) -> float:
    """What one run of two equal networks says it could have shown."""
    shown = images_of(world, rng)
    a, b = (right(scores_of(world, shown, rng), shown.labels) for _ in range(2))
    one = paired_difference(a, b, shown.groups, resampling=RESAMPLING)
    return one.detectable(0.95, accuracy=float(max(a.mean(), b.mean()))) or 1.0


def promises(world: World) -> tuple[float, float, float]:
    """Each run's own promise, held against a new run with that very difference: share found, median, share of none."""
    found, said = [], []
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        gap = _promise(world, rng)
        said.append(gap)
        if gap < 1:
            worse = max(world.accuracy - gap, 0.001)
            found.append(tests(world, world._replace(accuracy=worse), rng)["both: the rule"])
    return float(np.mean(found)) if found else float("nan"), float(np.median(said)), float(np.mean(np.array(said) >= 1))


def _coverage(found: list[dict], name: str) -> str:
    ends = [one[name] for one in found if name in one]
    given = [(low, high) for low, high in ends if low is not None]
    if not given:
        return "–"
    share = np.mean([low <= 1e-12 and high >= -1e-12 for low, high in given])
    width = 100 * np.mean([high - low for low, high in given])
    without = f", none in {len(ends) - len(given)}" if len(given) < len(ends) else ""
    return f"{100 * share:.1f} ({width:.1f}{without})"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    header = list(header)
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def _words(world: World) -> str:
    units = f" of {world.subjects} subjects" if world.subjects else ""
    rare = f", {100 * world.positive:g} % positive" if world.positive != 0.5 else ""
    seeds = f"{world.seeds} seeds" if world.seeds > 1 else "1 seed"
    alike = " that differ by chance only" if world.seeds > 1 and not world.between else ""
    alike += f" with {world.between / _USUAL:.0f} times the spread" if world.between > _USUAL else ""
    return f"{world.images} images{units}{rare}, {seeds}{alike}, accuracy {world.accuracy}"


def _interval_table() -> None:
    sizes = [(40, 1), (40, 3), (200, 1), (200, 3), (1000, 1), (1000, 3), (1000, 5)]
    worlds = [World(n, s, accuracy, 0.1 * (s > 1)) for accuracy in (0.85, 0.98) for n, s in sizes]
    worlds += [World(200, 3, 0.85, 0.1, positive=0.1), World(1000, 3, 0.98, 0.1, positive=0.1)]
    worlds += [World(600, s, 0.85, 0.1 * (s > 1), subjects=c) for c in (12, 60) for s in (1, 3)]
    rows, names = [], list[str]()
    for world in worlds:
        found = repeat(intervals, world, world._replace(accuracy=world.accuracy - 0.03))
        names = list(dict.fromkeys([*names, *(name for one in found for name in one)]))
        rows.append((world, found))
    print("Coverage of 95 % intervals in percent (in brackets: mean width in points; where none is given, how often)\n")
    _table(["world", *names], ([_words(world), *(_coverage(found, name) for name in names)] for world, found in rows))


def _test_table() -> None:
    rows = []
    for world in _WORLDS:
        for gap in (0.0, detectable(world)):
            found = repeat(tests, world, world._replace(accuracy=world.accuracy - gap))
            shares = {name: np.mean([one[name] for one in found]) for name in found[0]}
            what = f"power at {100 * gap:.1f} points" if gap else "false alarms"
            rows.append([_words(world), what, *(f"{100 * share:.1f}" for share in shares.values())])
            header = ["world", "", *shares]
    print("Pairs called different at p < 0.05, in percent; power at the difference that the rule says it could show\n")
    _table(header, rows)


def _promise_table() -> None:
    rows = []
    for world in _PROMISED:
        found, median, none = promises(world)
        rows.append([_words(world), f"{100 * median:.1f}", f"{100 * found:.1f}", f"{100 * none:.1f}"])
    print("What each run says it could have shown, held against a new run with that difference; its promise is 80\n")
    _table(["world", "promised, points (median)", "found, %", "runs that promise nothing, %"], rows)


def _family_table() -> None:
    rows = []
    for world in _WORLDS:
        for gap in (0.0, 0.05):
            found = repeat(three, world, world._replace(accuracy=world.accuracy - gap))
            shares = {name: np.mean([one[name] for one in found]) for name in found[0]}
            what = f"a third one is {100 * gap:g} points worse" if gap else "three equal networks"
            rows.append([_words(world), what, *(f"{100 * share:.1f}" for share in shares.values())])
            header = ["world", "", *shares]
    print("Three networks, three pairs, by the rule, in percent\n")
    _table(header, rows)


_WORLDS = [
    World(100, 3, 0.9, 0.1),
    World(1000, 1, 0.9, 0.1),
    World(1000, 3, 0.9, 0.0),
    World(1000, 3, 0.9, 0.1),
    World(1000, 5, 0.9, 0.1),
    World(600, 3, 0.9, 0.1, subjects=30),
]


_PROMISED = [
    *[world for world in _WORLDS if world.seeds > 1],
    World(360, 3, 0.97, 0.1),
    World(360, 5, 0.97, 0.1),
    World(360, 10, 0.97, 0.1),
    World(360, 3, 0.97, 0.3),
    World(600, 3, 0.9, 0.1, subjects=12),
    World(600, 3, 0.9, 0.1, subjects=5),
]


def main() -> None:
    started = time.perf_counter()
    print(f"{REPEATS} repetitions a row: a true 95 % shows as 93.0 to 96.9 nineteen times in twenty.\n")
    _interval_table()
    _test_table()
    _promise_table()
    _family_table()
    print(f"{time.perf_counter() - started:.0f} s, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
