"""The one line under which each part of the page is folded: what was found there, not what it is about."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from spikewise.evaluation import NetworkResult, Results
from spikewise.evaluation.caveats import Reservation
from spikewise.evaluation.units import energy
from spikewise.evaluation.verdict import ACCURACIES
from spikewise.evaluation.wording import called, capital, count_of
from spikewise.report.artifacts import Artifacts
from spikewise.report.front import energy_model
from spikewise.report.numbers import METRICS, brief, count, percent, points

__all__ = ["findings", "grounds", "grounds_finding"]

_LOWER_IS_BETTER: Final = frozenset({"ece", "brier", "nll"})
_AHEAD: Final = 1e-9


def findings(results: Results, artifacts: Artifacts | None) -> Mapping[str, str]:
    """By the key of a part, empty where there is nothing to say; sections say theirs in `View`."""
    return {
        "tests": _tests(results),
        "comparison": _comparison(results),
        "cost": _cost(results),
        "learning": _learning(results),
        "confusion": _confusion(results),
        "disagreements": _disagreements(results, artifacts),
        "rates": _rates(results),
        "data": _data(results),
    }


class Grounds(NamedTuple):
    """What the answer rests on, and what else was found, without what stands elsewhere on the page."""

    first: list[str]
    further: list[str]


def grounds(results: Results, notices: Sequence[Reservation]) -> Grounds:
    """The verdict's sentences; notices, and the parts on tests and accuracy, have theirs."""
    verdict = results.verdict
    elsewhere = {notice.text for notice in notices} | {pair.sentence for pair in results.comparisons}

    def own(sentences: Sequence[str]) -> list[str]:
        return [one for one in sentences if one not in elsewhere and not one.startswith(ACCURACIES)]

    if not verdict.grounds:
        return Grounds(own(verdict.sentences), [])
    first = own(verdict.grounds)
    return Grounds(first, [one for one in own(verdict.sentences) if one not in first])


def grounds_finding(results: Results) -> str:
    """How large a difference these runs could have shown; else how many images and seeds there were."""
    pair = next((one for one in results.comparisons if one.main), None)
    seen = f"{count_of(results.data.test.images, 'test image')} and {count_of(len(results.protocol.seeds), 'seed')}"
    if pair is None or pair.detectable is None or pair.detectable >= 1:
        return f"{seen}."
    return f"{seen}: enough to show a difference of {100 * pair.detectable:.1f} points or more, four times in five."


def _tests(results: Results) -> str:
    pair = next((one for one in results.comparisons if one.main), next(iter(results.comparisons), None))
    if pair is None:
        return "There is nothing to compare: the run has one network."
    low, high = pair.difference.low, pair.difference.high
    ends = "no interval" if low is None or high is None else f"{points(low)} to {points(high)}"
    words = {True: "significant", False: "not significant", None: "which one seed cannot judge"}[pair.significant]
    a, b = called(pair.a), called(pair.b)
    return capital(f"{a} against {b}: {points(pair.difference.mean)} points ({ends}), {words}.")


def _comparison(results: Results) -> str:
    """How many figures each network leads, each figure by its mean."""
    leads = {network.name: 0 for network in results.networks}
    names = [name for name in METRICS if any(name in network.metrics for network in results.networks)]
    for name in names:
        sign = -1 if name in _LOWER_IS_BETTER else 1
        values = {one.name: sign * one.metrics[name].mean for one in results.networks if name in one.metrics}
        best = [one for one, value in values.items() if value >= max(values.values()) - _AHEAD]
        if len(best) == 1 and len(values) > 1:
            leads[best[0]] += 1
    ahead = {name: number for name, number in leads.items() if number}
    if not ahead:
        return f"{len(names)} figures of accuracy and confidence."
    told = [f"{called(name)} in {number}" for name, number in sorted(ahead.items(), key=lambda one: -one[1])]
    return capital(f"of {len(names)} figures, by their means, {'; '.join(_with_lead(told))}.")


def _with_lead(told: list[str]) -> list[str]:
    name, _, number = told[0].rpartition(" in ")
    return [f"{name} leads in {number}", *told[1:]]


def _cost(results: Results) -> str:
    model = energy_model(results)
    priced = [one for one in results.networks if model in one.cost.energy_nanojoule] if model is not None else []
    if not priced:
        return ""
    told = [f"{called(one.name)} {energy(one.cost.energy_nanojoule[str(model)])}" for one in priced]
    return capital(f"{', '.join(told)} an image, computed by {model}.")


def _learning(results: Results) -> str:
    told = [f"{called(one.name)} after epoch {_epochs(one)}" for one in results.networks if one.trained_here]
    return f"Best on the validation images: {', '.join(told)}." if told else ""


def _epochs(network: NetworkResult) -> str:
    best = sorted({run.best_epoch for run in network.runs})
    of = max(run.epochs_run for run in network.runs)
    return f"{best[0]} of {of}" if len(best) == 1 else f"{best[0]} to {best[-1]} of {of}"


def _confusion(results: Results) -> str:
    """The most frequent mistake of the first network."""
    network = results.networks[0]
    tables = [run.confusion for run in network.runs if run.confusion]
    worst, truth, answer, of = 0, 0, 0, 0
    for row in range(len(results.data.classes)):
        for column in range(len(results.data.classes)):
            number = sum(table[row][column] for table in tables)
            if row != column and number > worst:
                worst, truth, answer, of = number, row, column, sum(sum(table[row]) for table in tables)
    if not worst:
        return f"{capital(called(network.name))} makes no mistake." if tables else ""
    classes = results.data.classes
    return (
        f"{capital(called(network.name))} most often takes {classes[truth]} for {classes[answer]}: "
        f"{count(worst)} of {count(of)} answers."
    )


def _disagreements(results: Results, artifacts: Artifacts | None) -> str:
    pairs = artifacts.disagreements if artifacts else None
    if pairs is None:
        return ""
    if not pairs.only_a and not pairs.only_b:
        both = f"{capital(called(pairs.a))} and {called(pairs.b)}"
        return f"{both} are right about the same test images (seed {pairs.seed})."
    return (
        f"Only {called(pairs.a)} is right about {count_of(pairs.only_a, 'test image')}, only "
        f"{called(pairs.b)} about {count(pairs.only_b)} (seed {pairs.seed})."
    )


def _rates(results: Results) -> str:
    told = []
    for network in results.networks:
        layers = dict.fromkeys(layer for run in network.runs for layer in run.spike_rates)
        for layer in layers:
            rates = [run.spike_rates[layer] for run in network.runs if layer in run.spike_rates]
            told.append(f"{network.name} {layer} {percent(sum(rates) / len(rates), 1)}")
    shown = ", ".join(told[:4]) + (f" and {len(told) - 4} more layers" if len(told) > 4 else "")
    return f"Neurons spike in this share of the steps: {shown}." if told else ""


def _data(results: Results) -> str:
    data, leaks = results.data, results.data.overlap
    parts = ", ".join(
        f"{count(part.images)} {name}"
        for name, part in (("training", data.train), ("validation", data.validation), ("test", data.test))
    )
    crossing = sum(number or 0 for number in (leaks.duplicates, leaks.near_duplicates, leaks.subjects))
    said = f"{brief(crossing)} leaks between the parts" if crossing else "no leak between the parts was found"
    if not crossing and leaks.near_duplicates is None:
        near = "nobody looked for nearly identical ones"
        if results.sections.audit is not None:
            near = "the audit says it of nearly identical ones"
        said = f"no identical images lie in two parts, and {near}"
    if leaks.duplicates is None:
        said = "nobody looked for leaks between the parts"
    return f"{parts} images of {len(data.classes)} classes; {said}."
