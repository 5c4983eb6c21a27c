"""What stands behind a comparison: every p, sizes of the effect, other figures, each run alone, other thresholds."""

from collections.abc import Sequence
from typing import NamedTuple

from spikewise.evaluation import NetworkResult, PairComparison, Results, SeedResult, wilson
from spikewise.evaluation.statistics import POWER
from spikewise.report.numbers import METRICS, NONE, brief, metric_label, p_value, percent, points

__all__ = ["Details", "Thresholds", "details", "runs_alone", "thresholds"]

_AT_THRESHOLD = ("balanced_accuracy", "recall", "specificity", "accuracy")


class OtherRow(NamedTuple):
    """A further figure of a pair."""

    label: str
    difference: str
    ends: str
    p: str
    note: str
    """DeLong's p, or why there is no interval."""


class Details(NamedTuple):
    """What is folded away under a pair."""

    pair: PairComparison
    facts: tuple[tuple[str, str], ...]
    others: tuple[OtherRow, ...]


class RunRow(NamedTuple):
    """One run alone."""

    network: str
    seed: int
    right: int
    images: int
    accuracy: str
    ends: str
    """Wilson's interval; empty where images of one subject are no independent trials."""


class Thresholds(NamedTuple):
    """The answers at 1/2 and at a threshold chosen on validation, mean over seeds."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Network, threshold, figures."""


def details(comparisons: Sequence[PairComparison], positive: str | None = None) -> list[Details]:
    """Of every pair, in their order; `positive` is the name of the positive class of two."""
    return [Details(pair, tuple(_facts(pair)), tuple(_others(pair, positive))) for pair in comparisons]


def runs_alone(results: Results) -> list[RunRow]:
    """Accuracy of every run with Wilson's interval."""
    independent = results.data.subjects is None
    return [
        _run_row(network, run, independent) for network in results.networks for run in network.runs if run.confusion
    ]


def thresholds(results: Results) -> Thresholds | None:
    """None where no run has another threshold, such as beyond two classes."""
    rows = []
    for network in results.networks:
        chosen = [run.thresholded for run in network.runs if run.thresholded is not None]
        if chosen:
            rows.append((network.name, "0.5", _figures([run.test for run in network.runs])))
            at = sorted({f"{one.threshold:.3g}" for one in chosen}, key=float)
            rows.append((network.name, f"chosen: {', '.join(at)}", _figures([one.test for one in chosen])))
    labels = tuple(metric_label(name, results.data.positive) for name in _AT_THRESHOLD)
    return Thresholds(labels, tuple(rows)) if rows else None


def _facts(pair: PairComparison) -> list[tuple[str, str]]:
    facts = [("p over test images", f"{p_value(pair.p)} (exact sign flip)")]
    if pair.p_interval is not None:
        facts.append(("p over seeds and images", f"{p_value(pair.p_interval)} (widest interval without zero)"))
    if pair.p_adjusted is not None:
        alone = "the main pair, not corrected" if pair.main else "the only pair"
        many = f"Holm, {pair.family} pairs" if pair.family > 1 else alone
        facts.append(("p that decides", f"{p_value(pair.p_adjusted)} (the larger of both; {many})"))
    if pair.standard_error is not None and pair.freedom is not None:
        facts.append(
            ("Standard error", f"{100 * pair.standard_error:.2f} points, {brief(pair.freedom)} degrees of freedom")
        )
    if pair.detectable is not None:
        shown = "nothing" if pair.detectable >= 1 else f"{100 * pair.detectable:.2f} points or more"
        facts.append((f"Could have shown, power {100 * POWER:.0f} %", shown))
    if pair.effect is not None:
        effect = pair.effect
        facts += [
            ("Images that one of two runs gets right", percent(effect.discordant)),
            ("Odds ratio of these", NONE if effect.odds_ratio is None else brief(effect.odds_ratio)),
            ("Cohen's g of these", NONE if effect.cohens_g is None else brief(effect.cohens_g)),
            ("Cohen's h of the accuracies", brief(effect.cohens_h)),
        ]
    return facts


def _others(pair: PairComparison, positive: str | None) -> list[OtherRow]:
    rows = []
    for name in [*(name for name in METRICS if name in pair.others), *(pair.others.keys() - METRICS.keys())]:
        other, metric = pair.others[name], METRICS.get(name)
        one, in_points = other.difference, metric is not None and metric.percent
        low, high = one.low, one.high
        ends = "" if low is None or high is None else f"{_difference(low, in_points)} to {_difference(high, in_points)}"
        note = f"DeLong over images: p {p_value(other.p_images)}" if other.p_images is not None else ""
        if not ends:
            note = one.method
        label = metric_label(name, positive)
        rows.append(OtherRow(label, _difference(one.mean, in_points), ends, p_value(other.p), note))
    return rows


def _difference(value: float, in_points: bool) -> str:
    return points(value) if in_points else f"{value:+.4f}".replace("-", "\u2212")


def _run_row(network: NetworkResult, run: SeedResult, independent: bool) -> RunRow:
    right = sum(row[k] for k, row in enumerate(run.confusion))
    images = sum(map(sum, run.confusion))
    ends = " to ".join(f"{100 * end:.2f}" for end in wilson(right, images)) if independent and images else ""
    return RunRow(network.name, run.seed, right, images, percent(right / images if images else None), ends)


def _figures(runs: Sequence[dict[str, float | None]]) -> tuple[str, ...]:
    cells = []
    for name in _AT_THRESHOLD:
        values = [value for run in runs if (value := run.get(name)) is not None]
        cells.append(percent(sum(values) / len(values)) if values else NONE)
    return tuple(cells)
