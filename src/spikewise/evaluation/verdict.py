"""The verdict: what the figures say, in words that are never stronger than the figures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from spikewise.errors import ShapeError
from spikewise.evaluation import statistics
from spikewise.evaluation.metrics import check_probabilities, correct
from spikewise.evaluation.results import (
    DataFacts,
    Estimate,
    NetworkResult,
    Outcome,
    PairComparison,
    Protocol,
    SeedComparison,
    Verdict,
)
from spikewise.evaluation.statistics import Resampling

__all__ = ["Contender", "compare_networks", "write_verdict"]

SMALL = 200
"""Test images (or subjects) below which the verdict warns: one answer is then worth half a point or more."""


class Contender(NamedTuple):
    """One network's answers to the test images, for every seed."""

    name: str
    seeds: tuple[int, ...]
    probabilities: Float[np.ndarray, "S N K"]


def compare_networks(
    a: Contender,
    b: Contender,
    labels: Int[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"] | None = None,
    *,
    resampling: Resampling | None = None,
) -> PairComparison:
    """Compare the test accuracy of two networks.

    The difference is called significant only if both guards agree: the interval over seeds and images leaves out
    zero (so other seeds would tell the same), and the exact sign-flip test over images has p < 1 - level (so a
    handful of images is no proof; resampling alone is too bold there). One seed a side never tells.

    Raises:
        ShapeError: seeds, images and labels do not fit together.
    """
    resampling = resampling or Resampling()
    right_a, right_b = _answers(a, labels), _answers(b, labels)
    difference = statistics.paired_bootstrap(right_a, right_b, groups, resampling=resampling)
    p = statistics.sign_flip_test(right_a, right_b, groups)
    shared = [seed for seed in a.seeds if seed in b.seeds]
    tests = [statistics.mcnemar_exact(right_a[a.seeds.index(s)], right_b[b.seeds.index(s)]) for s in shared]
    significant = None
    if min(len(a.seeds), len(b.seeds)) > 1 and difference.low is not None and difference.high is not None:
        significant = p < 1 - resampling.level and not difference.low <= 0 <= difference.high
    return PairComparison(
        a=a.name,
        b=b.name,
        metric="accuracy",
        difference=difference,
        p=p,
        per_seed=tuple(SeedComparison(seed=s, **t._asdict()) for s, t in zip(shared, tests, strict=True)),
        images=labels.size,
        units=labels.size if groups is None else len(np.unique(groups)),
        significant=significant,
        sentence=_pair_sentence(a.name, b.name, difference, p, significant),
    )


def write_verdict(
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None = None,
) -> Verdict:
    """Write the verdict from a comparison's figures.

    The outcome is that of the spiking network against its twin, or against the first baseline where there is no twin.
    """
    main = _main_pair(networks, comparisons)
    caveats = _caveats(networks, comparisons, data, protocol)
    sentences = [_accuracies(networks, data)]
    if main is not None:
        sentences += [main.sentence] + [pair.sentence for pair in comparisons if pair is not main]
        sentences += _cost_sentences(*(_named(networks, name) for name in (main.a, main.b)))
    sentences += caveats
    outcome, headline = _outcome(networks, main)
    if caveats:
        headline = headline.removesuffix(".") + ", with reservations."
    return Verdict(headline=headline, paragraph=" ".join(sentences), sentences=tuple(sentences), outcome=outcome)


def _answers(contender: Contender, labels: Int[np.ndarray, " N"]) -> np.ndarray:
    if contender.probabilities.ndim != 3 or len(contender.seeds) != len(contender.probabilities):
        raise ShapeError(
            f"'{contender.name}' has {len(contender.seeds)} seeds and probabilities {contender.probabilities.shape}; "
            "expected probabilities [seeds, images, classes]."
        )
    for run in contender.probabilities:
        check_probabilities(labels, run)
    return np.stack([correct(labels, run) for run in contender.probabilities])


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "no interval"
    return f"{100 * estimate.level:g} % interval {_points(estimate.low)} to {_points(estimate.high)}"


def _pair_sentence(a: str, b: str, difference: Estimate, p: float, significant: bool | None) -> str:
    size = f"{_points(abs(difference.mean))} percentage points"
    evidence = f"({a} - {b}: {_points(difference.mean)}, {_interval(difference)}; {_p_value(p)})"
    better, worse = (a, b) if difference.mean > 0 else (b, a)
    if significant:
        return f"{better} is more accurate than {worse} by {size}, a significant difference {evidence}."
    if significant is None:
        reason = "too little to resample" if difference.sd is not None else "one seed cannot tell networks from luck"
        return f"Whether {a} and {b} differ in accuracy is open: {reason} {evidence}."
    rest = _what_stays_open(difference, p)
    return f"There is no significant difference in accuracy between {a} and {b} {evidence}{rest}"


def _what_stays_open(difference: Estimate, p: float) -> str:
    """What follows "no significant difference": how large one could still be, and what stood in the way."""
    if difference.low is None or difference.high is None:
        return "."
    largest = max(abs(difference.low), abs(difference.high))
    rest = f"; that is no proof of equality: a difference of up to {_points(largest)} points is not excluded."
    if p < 1 - difference.level:
        rest += " The networks trained here do differ on these images, but the seeds vary too much to say so of others."
    elif not difference.low <= 0 <= difference.high:
        rest += " The interval leaves out zero, but too few images tell the two apart."
    return rest


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _main_pair(networks: Sequence[NetworkResult], comparisons: Sequence[PairComparison]) -> PairComparison | None:
    roles = {network.name: network.role for network in networks}
    for other in ("twin", "baseline"):
        for pair in comparisons:
            if {roles[pair.a], roles[pair.b]} == {"spiking", other}:
                return pair
    return None


def _outcome(networks: Sequence[NetworkResult], main: PairComparison | None) -> tuple[Outcome, str]:
    if main is None:
        return "cannot_tell", "Nothing to compare with: the figures of one network stand alone."
    spiking, other = main.a, main.b
    ahead = main.difference.mean
    if _named(networks, main.a).role != "spiking":
        spiking, other, ahead = main.b, main.a, -ahead
    if main.significant is None:
        return "cannot_tell", f"These runs cannot tell whether {spiking} and {other} differ in accuracy."
    if not main.significant:
        return "no_difference", f"No significant difference in accuracy between {spiking} and {other}."
    word = "more" if ahead > 0 else "less"
    headline = f"{spiking} is {word} accurate than {other} by {_points(abs(ahead))} percentage points."
    return ("spiking_better" if ahead > 0 else "spiking_worse"), headline


def _named(networks: Sequence[NetworkResult], name: str) -> NetworkResult:
    return next(network for network in networks if network.name == name)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _accuracies(networks: Sequence[NetworkResult], data: DataFacts) -> str:
    figures = []
    for network in networks:
        accuracy = network.metrics["accuracy"]
        runs = _count(len(network.runs), "seed")
        figures.append(f"{network.name} {_points(accuracy.mean)} % ({_interval(accuracy)}; {runs})")
    return f"Test accuracy on {_count(data.test.images, 'image')} of {data.name}: {', '.join(figures)}."


def _cost_sentences(a: NetworkResult, b: NetworkResult) -> list[str]:
    sentences = [_operations(a) + " " + _operations(b)]
    for model in a.cost.energy_nanojoule:
        if model in b.cost.energy_nanojoule:
            ours, theirs = a.cost.energy_nanojoule[model], b.cost.energy_nanojoule[model]
            sentences.append(
                f"Under the cost model '{model}' one image costs {a.name} {ours:.4g} nJ and {b.name} {theirs:.4g} nJ"
                f"{_times(ours, theirs)}; this is computed from operation counts, not measured."
            )
    times = a.cost.train_seconds_per_epoch, b.cost.train_seconds_per_epoch
    if times[0] is not None and times[1] is not None:
        sentences.append(
            f"An epoch of training took {a.name} {times[0].mean:.3g} s and {b.name} {times[1].mean:.3g} s"
            f"{_times(times[0].mean, times[1].mean)}."
        )
    return sentences


def _operations(network: NetworkResult) -> str:
    cost = network.cost
    if cost.synaptic_operations is None:
        return f"{network.name} does {cost.macs:,.0f} multiply-accumulates per image."
    return (
        f"{network.name} does {cost.synaptic_operations:,.0f} additions for spikes, {cost.state_updates:,.0f} membrane "
        f"updates and {cost.macs:,.0f} multiply-accumulates per image."
    )


def _times(ours: float, theirs: float) -> str:
    if min(ours, theirs) <= 0:
        return ""
    ratio = max(ours, theirs) / min(ours, theirs)
    return f", {ratio:.3g} times {'less' if ours < theirs else 'more'}" if ratio >= 1.05 else ", about the same"


def _caveats(
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None,
) -> list[str]:
    leaks = data.straddling
    found = []
    if leaks.duplicates:
        found.append(f"{_count(leaks.duplicates, 'group')} of identical images")
    if leaks.near_duplicates:
        found.append(f"{_count(leaks.near_duplicates, 'group')} of nearly identical images")
    if leaks.subjects:
        found.append(f"{_count(leaks.subjects, 'subject')}")
    effect = "so every accuracy is flattered" if leaks.reaches_test else "none in the test part: only choices suffer"
    caveats = [f"The split leaks: {', '.join(found)} in more than one part, {effect}."] if found else []
    if data.subjects is not None and not data.grouped and not leaks.subjects:
        caveats.append("The split does not keep subjects apart, although they are known.")
    units = min([pair.units for pair in comparisons], default=data.test.images)
    if units < SMALL:
        what = "image" if units == data.test.images else "subject"
        caveats.append(f"The test set is small ({_count(units, what)}): only large differences could show.")
    runs = sum(len(network.runs) for network in networks)
    if protocol is not None and protocol.test_opened > runs:
        caveats.append(
            f"The test set was opened {protocol.test_opened} times for {runs} runs: figures may be chosen on it."
        )
    return caveats
