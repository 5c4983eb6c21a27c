"""Anytime: what one trained network is worth after each step, and when it is sure enough to stop.

Evidence is read out after every step of the same run, so nothing is trained again. The rule that ends a run early is a
threshold on the confidence, the largest softmax of the evidence so far. Nothing of it is chosen on test images.

Source of the rule: Li et al., "SEENN: towards temporal spiking early exit neural networks", NeurIPS 2023 (SEENN-I).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.evaluation.metrics import area_under_curve, softmax
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.results import NetworkResult
from spikewise.evaluation.sections.anytime import AnytimeStep, EarlyExit, NetworkAnytime, Option
from spikewise.evaluation.statistics import (
    Groups,
    auc_interval,
    bootstrap_seeds_and_images,
    mean_auc_interval,
    wilson_estimate,
)

__all__ = [
    "TOLERANCE",
    "TOLERANCES",
    "AnswersByStep",
    "Followed",
    "LatencyByStep",
    "Spent",
    "choose_thresholds",
    "confidence",
    "exit_steps",
    "options",
    "over_time",
    "pareto_front",
    "softmax",
    "spread_steps",
]

TOLERANCE = 0.005
"""Half a percentage point of validation accuracy."""
TOLERANCES = (0.0, 0.002, TOLERANCE, 0.01, 0.02, 0.05)
_CANDIDATES = 200
"""Thresholds tried: evenly spread among the confidences seen, so that any scale of the evidence will do."""
_MOST_AUCS = 25
_ROUNDING = 1e-9


class AnswersByStep(NamedTuple):
    """What one training of a network says about N images after each of T steps."""

    labels: Int[np.ndarray, " N"]
    predicted: Int[np.ndarray, "T N"]
    confidence: Float[np.ndarray, "T N"]
    """Largest softmax of the evidence."""
    probabilities: Mapping[int, Float[np.ndarray, "N K"]]
    """After some of the steps, counted from 1."""

    @property
    def correct(self) -> Bool[np.ndarray, "T N"]:
        """Which answers are right."""
        return np.asarray(self.predicted == self.labels)

    def ending(self, logits: Float[np.ndarray, "N K"]) -> "AnswersByStep":
        """The same with other evidence after the last step: the answers that are on record."""
        last = softmax(logits)
        predicted, sure = self.predicted.copy(), self.confidence.copy()
        predicted[-1], sure[-1] = last.argmax(1), confidence(logits)
        return AnswersByStep(self.labels, predicted, sure, {**self.probabilities, len(predicted): last})


class Spent(NamedTuple):
    """What one image costs."""

    macs: float
    synaptic_operations: float
    state_updates: float
    energy_nanojoule: Mapping[str, float]
    """By cost model."""


class LatencyByStep(NamedTuple):
    """Milliseconds for one image that is encoded already."""

    at_once: Mapping[int, float]
    """For the first t steps in one call, at some t."""
    stream_step: float
    """For one step where steps run one by one."""


class Followed(NamedTuple):
    """All that was found out about one training of a network."""

    test: AnswersByStep
    spent: Sequence[Spent]
    """Up to each step."""
    thresholds: Sequence[float | None]
    """For each tolerance."""
    spent_early: Sequence[Spent]
    """For each tolerance."""
    counted_images: int
    """On so many test images spikes were counted step by step."""


def over_time(network: str, seeds: Sequence[Followed], latency: LatencyByStep, groups: Groups = None) -> NetworkAnytime:
    """The record of one network over its seeds.

    Args:
        seeds: each with thresholds for all `TOLERANCES`.
        groups: the subject of each test image, where subjects are known.
    Raises:
        ShapeError: no seed.
    """
    if not seeds:
        raise ShapeError("Accuracy over time needs at least one seed; got none.")
    steps = range(1, len(seeds[0].spent) + 1)
    return NetworkAnytime(
        network=network,
        counted_images=seeds[0].counted_images,
        stream_step_ms=latency.stream_step,
        curve=tuple(_step(seeds, t, latency.at_once.get(t), groups) for t in steps),
        early_exit=tuple(_early_exit(seeds, position, groups) for position in range(len(TOLERANCES))),
    )


def options(
    networks: Sequence[NetworkAnytime], results: Sequence[NetworkResult], energy_models: Sequence[str]
) -> tuple[Option, ...]:
    """Every way to answer with its cost, and which of them no other beats.

    Args:
        results: of the run; those of networks without time steps are options too.
        energy_models: the first one's figures are given; to be on the front of energy an option must be unbeaten by
            each of them that has a price for all options.
    """
    found = _ways(networks, results, energy_models[0])
    accuracies = [one.accuracy for one in found]
    operations = pareto_front([one.operations for one in found], accuracies)
    known = [model for model in energy_models if _prices_all(networks, results, model)]
    fronts = [
        pareto_front([one.energy_nanojoule for one in _ways(networks, results, model)], accuracies) for model in known
    ]
    return tuple(
        one.replace(front_of_operations=best, front_of_energy=all(thrifty))
        for one, best, *thrifty in zip(found, operations, *fronts, strict=True)
    )


def _ways(networks: Sequence[NetworkAnytime], results: Sequence[NetworkResult], model: str) -> list[Option]:
    found = [option for network in networks for option in _with_time(network, model)]
    return found + [_without_time(one, model) for one in _timeless(results)]


def _timeless(results: Sequence[NetworkResult]) -> list[NetworkResult]:
    return [one for one in results if one.steps == 1 and "accuracy" in one.metrics]


def _prices_all(networks: Sequence[NetworkAnytime], results: Sequence[NetworkResult], model: str) -> bool:
    """A run of an earlier version may lack a model."""
    priced = [network.curve[-1].energy_nanojoule for network in networks]
    return all(model in energies for energies in (*priced, *(one.cost.energy_nanojoule for one in _timeless(results))))


def exit_steps(confidence: Float[np.ndarray, "T N"], threshold: float | None) -> Int[np.ndarray, " N"]:
    """The step, counted from 1, after which each image is answered: the first that reaches `threshold`, or T.

    A threshold above 1, or None, ends no run early.
    """
    steps = len(confidence)
    if threshold is None:
        return np.full(confidence.shape[1], steps)
    sure = confidence >= threshold
    return np.where(sure.any(0), sure.argmax(0) + 1, steps)


def choose_thresholds(validation: AnswersByStep, tolerances: Sequence[float]) -> list[float | None]:
    """For each tolerance the threshold with the fewest steps that loses no more than that of the final accuracy.

    None where every threshold loses more. Of equally fast thresholds the highest is taken.
    """
    seen = np.quantile(validation.confidence[:-1], np.linspace(0, 1, _CANDIDATES), method="nearest")
    candidates = np.unique(seen)[::-1]
    exits = np.stack([exit_steps(validation.confidence, float(one)) for one in candidates])
    steps, right = exits.mean(1), _at(validation.correct, exits).mean(1)
    full = validation.correct[-1].mean()
    chosen: list[float | None] = []
    for tolerance in tolerances:
        kept = np.flatnonzero(right >= full - tolerance - _ROUNDING)
        best = kept[steps[kept].argmin()] if kept.size else None
        chosen.append(None if best is None or steps[best] == len(validation.predicted) else float(candidates[best]))
    return chosen


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[bool]:
    """Which points no other beats: none is at least as accurate at no more cost, and better in one of the two."""
    points = list(zip(costs, accuracies, strict=True))

    def beaten(cost: float, accuracy: float) -> bool:
        return any(c <= cost and a >= accuracy and (c < cost or a > accuracy) for c, a in points)

    return [not beaten(*point) for point in points]


def spread_steps(steps: int, most: int = _MOST_AUCS) -> list[int]:
    """At most `most` of the steps 1..T, evenly spread, with the first and the last."""
    return sorted({round(float(x)) for x in np.linspace(1, steps, min(steps, most))})


def confidence(logits: Float[np.ndarray, "*B K"]) -> Float[np.ndarray, "*B"]:
    """The largest softmax, in double precision: thresholds near 1 must still tell images apart."""
    return np.asarray(softmax(logits).max(axis=-1))


def _with_time(network: NetworkAnytime, energy_model: str) -> list[Option]:
    early = {one.thresholds: one for one in network.early_exit}  # several tolerances may choose the same
    ways: list[AnytimeStep | EarlyExit] = [*network.curve, *early.values()]
    return [
        Option(
            network=network.network,
            how="step" if isinstance(one, AnytimeStep) else "early exit",
            steps=float(one.step) if isinstance(one, AnytimeStep) else one.steps.mean,
            accuracy=one.accuracy.mean,
            operations=one.macs + one.synaptic_operations,
            energy_nanojoule=one.energy_nanojoule[energy_model],
            front_of_operations=False,
            front_of_energy=False,
        )
        for one in ways
    ]


def _without_time(network: NetworkResult, energy_model: str) -> Option:
    return Option(
        network=network.name,
        how="whole",
        steps=1.0,
        accuracy=network.metrics["accuracy"].mean,
        operations=network.cost.macs + (network.cost.synaptic_operations or 0.0),
        energy_nanojoule=network.cost.energy_nanojoule[energy_model],
        front_of_operations=False,
        front_of_energy=False,
    )


def _step(seeds: Sequence[Followed], t: int, latency_ms: float | None, groups: Groups) -> AnytimeStep:
    right = np.stack([one.test.correct[t - 1] for one in seeds])
    return AnytimeStep(
        step=t,
        accuracy=_accuracy(right, groups),
        accuracy_per_seed=tuple(float(one) for one in right.mean(1)),
        auc=_auc(seeds, t, groups),
        latency_ms=latency_ms,
        **_mean_of([one.spent[t - 1] for one in seeds])._asdict(),
    )


def _early_exit(seeds: Sequence[Followed], position: int, groups: Groups) -> EarlyExit:
    thresholds = [one.thresholds[position] for one in seeds]
    exits = np.stack([exit_steps(one.test.confidence, cut) for one, cut in zip(seeds, thresholds, strict=True)])
    right = np.stack([_at(one.test.correct, taken) for one, taken in zip(seeds, exits, strict=True)])
    full = np.stack([one.test.correct[-1] for one in seeds])
    counts = np.bincount(exits.ravel(), minlength=len(seeds[0].spent) + 1)[1:]
    return EarlyExit(
        tolerance=TOLERANCES[position],
        thresholds=tuple(thresholds),
        accuracy=_accuracy(right, groups),
        # Both answers come from the same network: seed by seed and image by image, one difference each.
        difference=bootstrap_seeds_and_images(right.astype(np.float64) - full, groups),
        steps=bootstrap_seeds_and_images(exits.astype(np.float64), groups),
        exits=tuple(float(share) for share in counts / exits.size),
        **_mean_of([one.spent_early[position] for one in seeds])._asdict(),
    )


def _at(per_step: NDArray[np.bool_], steps: Int[np.ndarray, "*C N"]) -> NDArray[np.bool_]:
    """The entry of each image at its own step."""
    return np.asarray(per_step[steps - 1, np.arange(per_step.shape[1])])


def _accuracy(right: Bool[np.ndarray, "S N"], groups: Groups) -> Estimate:
    """As `estimate_metrics` gives it."""
    if len(right) == 1 and groups is None:
        return wilson_estimate(int(right.sum()), right.size)
    return bootstrap_seeds_and_images(right, groups)


def _auc(seeds: Sequence[Followed], t: int, groups: Groups) -> Estimate | None:
    """Over seeds and images; with two classes as `estimate_metrics` gives it."""
    if not all(t in one.test.probabilities for one in seeds):
        return None
    labels, scores = seeds[0].test.labels, np.stack([one.test.probabilities[t] for one in seeds])
    areas = [area_under_curve(labels, one) for one in scores]
    if not np.isfinite(areas).all():
        return None
    if scores.shape[2] == 2:
        return auc_interval(labels == 1, scores[:, :, 1], groups)
    return mean_auc_interval(labels, scores, groups)


def _mean_of(spent: Sequence[Spent]) -> Spent:
    return Spent(
        macs=float(np.mean([one.macs for one in spent])),
        synaptic_operations=float(np.mean([one.synaptic_operations for one in spent])),
        state_updates=float(np.mean([one.state_updates for one in spent])),
        energy_nanojoule={
            model: float(np.mean([one.energy_nanojoule[model] for one in spent])) for model in spent[0].energy_nanojoule
        },
    )
