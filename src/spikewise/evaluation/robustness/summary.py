"""From right and wrong answers to records."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from spikewise.evaluation.record import Estimate
from spikewise.evaluation.robustness.candidates import Images
from spikewise.evaluation.robustness.score import (
    RESAMPLING,
    Scored,
    difference,
    estimate,
    mean_of,
    relative_scores,
)
from spikewise.evaluation.robustness.trials import RobustnessTrial, RobustnessTrials
from spikewise.evaluation.sections.robustness import (
    AccuracyCurve,
    Disturbance,
    Family,
    FamilyScores,
    NetworkScore,
    ScoreDifference,
)
from spikewise.evaluation.statistics import bootstrap_seeds_and_images

__all__ = ["summarise"]

Right = Bool[np.ndarray, "L S N"]


def summarise(
    family: Family, made: RobustnessTrials, clean: Mapping[str, Right], images: Images, *, against: str | None
) -> tuple[FamilyScores, tuple[Disturbance, ...]]:
    """One family with its disturbances.

    Args:
        clean: answers to the undisturbed images; the same seeds as in the trials.
        against: the network whose score the others' scores are taken from.
    """
    names = list(clean)
    as_they_are = {name: right[0] for name, right in clean.items()}
    own = relative_scores(as_they_are, [trial.right for trial in made.trials], images.chance, images.groups)
    counted = [scores for trial, scores in zip(made.trials, own, strict=True) if trial.counted]
    scores = {name: mean_of([one.get(name) for one in counted]) for name in names}
    pairs = [(against, other) for other in names if other != against] if against in names else []
    seeds = {right.shape[1] for trial in made.trials for right in trial.right.values()}
    record = FamilyScores(
        family=family,
        images=len(images.labels),
        seeds=max(seeds, default=0),
        chance=images.chance,
        clean=tuple(_curve(name, right, images) for name, right in clean.items()),
        scores=tuple(NetworkScore(network=name, score=estimate(score)) for name, score in scores.items()),
        differences=tuple(_difference(a, b, scores) for a, b in pairs if scores[a] and scores[b]),
        gradients=tuple(made.gradients),
        left_out=tuple(made.left_out),
    )
    return record, tuple(_disturbance(trial, one, images) for trial, one in zip(made.trials, own, strict=True))


def _difference(a: str, b: str, scores: Mapping[str, Scored | None]) -> ScoreDifference:
    first, second = scores[a], scores[b]
    assert first is not None
    assert second is not None
    found = difference(first, second)
    return ScoreDifference(a=a, b=b, difference=found.estimate, p=found.p)


def _disturbance(trial: RobustnessTrial, scores: Mapping[str, Scored | None], images: Images) -> Disturbance:
    curves = [_curve(name, right, images, estimate(scores[name])) for name, right in trial.right.items()]
    return Disturbance(
        name=trial.name,
        family=trial.family,
        parameter=trial.parameter,
        strengths=trial.strengths,
        counted=trial.counted,
        curves=tuple(curves),
    )


def _curve(name: str, right: Right, images: Images, score: Estimate | None = None) -> AccuracyCurve:
    points = [bootstrap_seeds_and_images(one, images.groups, resampling=RESAMPLING) for one in right]
    return AccuracyCurve(
        network=name,
        accuracy=tuple(point.mean for point in points),
        low=tuple(point.low for point in points),
        high=tuple(point.high for point in points),
        score=score,
    )
