"""Two networks, or all pairs of several, compared on the same test images."""

from collections.abc import Sequence
from itertools import combinations, compress
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from spikewise.errors import ShapeError
from spikewise.evaluation import statistics
from spikewise.evaluation.estimates import MetricDraws, compare_metrics, draw_metrics
from spikewise.evaluation.metrics import check_probabilities, correct
from spikewise.evaluation.results import PairComparison, SeedComparison
from spikewise.evaluation.statistics import Groups, Resampling
from spikewise.evaluation.wording import MINUS, called, capital, interval, p_value, points

__all__ = ["CandidatePredictions", "compare_all", "compare_networks"]


_AFFORDABLE = 100
"""Seeds that somebody may still train."""


class CandidatePredictions(NamedTuple):
    """One network's answers to the test images, for every seed."""

    name: str
    seeds: tuple[int, ...]
    probabilities: Float[np.ndarray, "S N K"]
    drawn: MetricDraws | None = None
    """What `draw_metrics` made of them, if it is at hand."""


def compare_all(
    candidates: Sequence[CandidatePredictions],
    labels: Int[np.ndarray, " N"],
    groups: Groups = None,
    *,
    main: tuple[str, str] | None = None,
    resampling: Resampling | None = None,
    positive: int = 1,
) -> tuple[PairComparison, ...]:
    """Every pair by `compare_networks`, corrected for the number of pairs in its family (Holm).

    Args:
        main: the pair that the comparison is made for, named before any figure was seen: a family of its own, which
            does not pay for the others. Without one all pairs are one family.
        positive: label of the positive class, of two; of candidates whose figures are drawn already they say it.
    """
    drawn = [_with_draws(one, labels, groups, resampling or Resampling(), positive) for one in candidates]
    arms = list(combinations(drawn, 2))
    firsts = [main is not None and {a.name, b.name} == set(main) for a, b in arms]
    pairs = [
        compare_networks(a, b, labels, groups, resampling=resampling, family=firsts.count(first)).model_copy(
            update={"main": first}
        )
        for (a, b), first in zip(arms, firsts, strict=True)
    ]
    together, images = (_adjusted(values, firsts) for values in ([_larger_p(p) for p in pairs], [p.p for p in pairs]))
    return tuple(_judged(pair, *p) for pair, *p in zip(pairs, together, images, strict=True))


def _adjusted(values: Sequence[float], firsts: Sequence[bool]) -> list[float]:
    """Holm's p, within the main pair and within the others."""
    made = {first: iter(statistics.holm(list(compress(values, map(first.__eq__, firsts))))) for first in (True, False)}
    return [next(made[first]) for first in firsts]


def compare_networks(  # who, on what, and how many pairs there are
    a: CandidatePredictions,
    b: CandidatePredictions,
    labels: Int[np.ndarray, " N"],
    groups: Groups = None,
    *,
    resampling: Resampling | None = None,
    family: int = 1,
) -> PairComparison:
    """Compare the test accuracy of two networks, and their other figures.

    The difference is called significant only if two guards agree: the interval over seeds and images leaves out zero
    (so other seeds would tell the same), and the exact sign-flip test over images has p < 1 - level (so a handful of
    images is no proof; resampling alone is too bold there). One seed a candidate never tells. The larger of the two p
    values is therefore a p value for both: an intersection-union test (Berger, Technometrics 24, 1982).

    Args:
        family: how many pairs are compared at once. Here p is multiplied by it (Bonferroni); `compare_all`, which
            knows the others' p values, is less strict.
    Raises:
        ShapeError: seeds, images and labels do not fit together.
    """
    resampling = resampling or Resampling()
    right_a, right_b = _answers(a, labels), _answers(b, labels)
    found = statistics.paired_difference(right_a, right_b, groups, resampling=resampling)
    p = statistics.sign_flip_test(right_a, right_b, groups)
    shared = [seed for seed in a.seeds if seed in b.seeds]
    tests = [statistics.mcnemar_exact(right_a[a.seeds.index(s)], right_b[b.seeds.index(s)]) for s in shared]
    arms = [_with_draws(arm, labels, groups, resampling).drawn for arm in (a, b)]
    assert arms[0] is not None
    assert arms[1] is not None
    better = float(max(right_a.mean(), right_b.mean()))
    alpha = (1 - resampling.level) / family
    several = min(len(a.seeds), len(b.seeds)) > 1 and found.p is not None
    pair = PairComparison(
        a=a.name,
        b=b.name,
        metric="accuracy",
        difference=found.estimate,
        p=p,
        p_interval=found.p,
        family=family,
        per_seed=tuple(SeedComparison(seed=s, **t._asdict()) for s, t in zip(shared, tests, strict=True)),
        effect=statistics.effect_size(right_a, right_b),
        standard_error=found.standard_error,
        freedom=found.freedom,
        detectable=found.detectable(1 - alpha, accuracy=better) if several else None,
        seeds_to_tell=_seeds_to_tell(found, alpha),
        others=compare_metrics(arms[0], arms[1]),
        images=labels.size,
        units=statistics.count_units(groups, labels.size),
        significant=False if several else None,
        sentence="",
    )
    return _judged(pair, min(1.0, _larger_p(pair) * family), min(1.0, pair.p * family))


def _seeds_to_tell(found: statistics.ComparedArms, alpha: float) -> int | None:
    plan = found.plan()
    return None if plan is None else plan.seeds_to_tell(abs(found.estimate.mean), alpha)


def _judged(pair: PairComparison, p: float, p_images: float) -> PairComparison:
    """The pair with its corrected p (of both guards, and over images alone), and what follows from it."""
    significant, low, high = pair.significant, pair.difference.low, pair.difference.high
    if significant is not None:
        assert low is not None
        assert high is not None
        significant = p < 1 - pair.difference.level and not low <= 0 <= high
    judged = pair.model_copy(update={"p_adjusted": p, "p_images_adjusted": p_images, "significant": significant})
    return judged.model_copy(update={"sentence": _sentence(judged)})


def _larger_p(pair: PairComparison) -> float:
    return 1.0 if pair.p_interval is None else max(pair.p, pair.p_interval)


def _with_draws(
    arm: CandidatePredictions, labels: Int[np.ndarray, " N"], groups: Groups, resampling: Resampling, positive: int = 1
) -> CandidatePredictions:
    if arm.drawn is not None:
        return arm
    drawn = draw_metrics(labels, arm.probabilities, groups, resampling=resampling, positive=positive)
    return arm._replace(drawn=drawn)


def _answers(candidate: CandidatePredictions, labels: Int[np.ndarray, " N"]) -> Bool[np.ndarray, "S N"]:
    if candidate.probabilities.ndim != 3 or len(candidate.seeds) != len(candidate.probabilities):
        raise ShapeError(
            f"'{candidate.name}' has {len(candidate.seeds)} seeds and probabilities {candidate.probabilities.shape}; "
            "expected probabilities [seeds, images, classes]."
        )
    for run in candidate.probabilities:
        check_probabilities(labels, run)
    return np.stack([correct(labels, run) for run in candidate.probabilities])


def _sentence(pair: PairComparison) -> str:
    a, b, difference = called(pair.a), called(pair.b), pair.difference
    evidence = f"({a} {MINUS} {b}: {points(difference.mean)}, {interval(difference)}; {_corrected_p(pair)})"
    if pair.significant:
        better, worse = (a, b) if difference.mean > 0 else (b, a)
        size = f"{points(abs(difference.mean))} percentage points"
        return f"{capital(better)} is more accurate than {worse} by {size}, a significant difference {evidence}."
    if pair.significant is None:
        reason = "too little to resample" if difference.sd is not None else "one seed cannot tell networks from luck"
        return f"Whether {a} and {b} differ in accuracy is open: {reason} {evidence}."
    return f"There is no significant difference in accuracy between {a} and {b} {evidence}{_what_stays_open(pair)}"


def _corrected_p(pair: PairComparison) -> str:
    assert pair.p_adjusted is not None
    p = p_value(pair.p_adjusted)
    return p if pair.family == 1 else f"{p}, corrected for {pair.family} such comparisons"


def _what_stays_open(pair: PairComparison) -> str:
    """What follows "no significant difference": what could have shown, what could still be, what stood in the way."""
    difference, alpha = pair.difference, 1 - pair.difference.level
    low, high = difference.low, difference.high
    assert low is not None
    assert high is not None
    rest = _could_have_shown(pair)
    rest += f" That is no proof of equality: a difference of up to {points(max(abs(low), abs(high)))} points "
    rest += "is not excluded."
    outside = not low <= 0 <= high
    if outside and _larger_p(pair) < alpha:
        rest += " Taken alone this pair would pass the test, but not among so many comparisons."
    elif pair.p_images_adjusted is not None and pair.p_images_adjusted < alpha and difference.sd:
        alone = f"over images alone {p_value(pair.p_images_adjusted)}"
        rest += f" The networks trained here do differ on such images ({alone}), but the seeds vary too much to say "
        rest += "so of others."
    elif outside:
        rest += " The interval leaves out zero, but too few images tell the two apart."
    if pair.seeds_to_tell is not None and len(pair.per_seed) < pair.seeds_to_tell <= _AFFORDABLE:
        rest += f" By the variances seen here, {pair.seeds_to_tell} seeds would tell a difference as large as this one."
    return rest


def _could_have_shown(pair: PairComparison) -> str:
    if pair.detectable is None:
        return "."
    if 2.0 ** (1 - pair.units) > 1 - pair.difference.level:
        return f"; with {pair.units} test subjects or images no difference, however large, can be significant."
    if pair.detectable >= 1:
        return "; with these images and seeds no difference, however large, could have shown reliably."
    return f"; this test set could have shown one of {points(pair.detectable)} points or more (4 times in 5)."
