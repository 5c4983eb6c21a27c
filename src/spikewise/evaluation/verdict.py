"""The verdict: what the figures say, in words that are never stronger than the figures."""

from collections.abc import Collection, Sequence
from typing import Final

from spikewise.evaluation.answer import Judgement, judge
from spikewise.evaluation.beside import (
    cost_sentences,
    early_exit_sentences,
    energy_agreement,
    robustness_sentences,
    speed_sentences,
)
from spikewise.evaluation.caveats import caveats, doubts
from spikewise.evaluation.data_facts import DataFacts
from spikewise.evaluation.grounds import (
    advice_sentences,
    changes,
    evidence,
    left_out,
    not_examined,
    opponents_tuned,
    to_come,
    wanting,
)
from spikewise.evaluation.noise import noise_sentences
from spikewise.evaluation.opponents import main_pair
from spikewise.evaluation.reservations import (
    chance_sentences,
    collapse_sentences,
    serious_findings,
    tie_sentences,
    yardstick_sentences,
)
from spikewise.evaluation.results import (
    NetworkResult,
    Outcome,
    PairComparison,
    Protocol,
    Verdict,
    WithoutCollapsed,
)
from spikewise.evaluation.sections import SECTION_NAMES, Sections
from spikewise.evaluation.untrained import RunPlace, remedy_for, search_for
from spikewise.evaluation.wording import called, count_of, interval, listed, p_value, points, seeds_named, signed

__all__ = ["ACCURACIES", "FIRST_LOOK", "main_pair", "write_verdict"]

ACCURACIES: Final = "Test accuracy on "
"""How the sentence begins that says what tables say, too."""
FIRST_LOOK: Final = "At a first look, "
"""How the headline of a run with `quick` begins."""
_CONTRADICTING = {"balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1", "g_mean": "G-mean", "auc": "AUC"}
"""Figures that can contradict accuracy, as where classes are of unequal size."""


def write_verdict(  # noqa: PLR0913  # each part of the results that a sentence may come from
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None = None,
    *,
    examined: Collection[str] | None = None,
    planned: Collection[str] = (),
    sections: Sections | None = None,
    collapsed: WithoutCollapsed | None = None,
    place: RunPlace | None = None,
) -> Verdict:
    """Write the verdict from a comparison's figures.

    The headline answers whether the spiking network is worth it (`judge`); the outcome is about accuracy alone, against
    its twin, or against the first baseline where there is no twin. What makes every other sentence moot comes first: a
    network that is not better than guessing, a training that learned nothing, a serious fault that the diagnosis found.

    Args:
        examined: names of the sections that the run has; None says nothing about them, unless `sections` are given.
        planned: names of those that are to follow: the answer may change with them.
        sections: what the run has looked into so far.
        collapsed: the figures without the runs that learned nothing.
        place: where the run is, for a command to copy.
    """
    if sections is not None and examined is None:
        examined = [name for name in SECTION_NAMES if getattr(sections, name) is not None]
    main = _main_pair(networks, comparisons)
    tuned = opponents_tuned(networks)
    found = judge(networks, comparisons, data, sections, tuned=tuned)
    yardsticks = None if sections is None else sections.yardsticks
    doubtful = [one.text for one in doubts(networks, data, protocol, sections)]
    care = [one.text for one in caveats(networks, comparisons, data, protocol)]
    ties, silent = tie_sentences(networks)
    moot = [*chance_sentences(networks, data), *collapse_sentences(networks, data, collapsed)]
    moot += [*serious_findings(sections), *silent]
    reversals = [] if main is None else _reversals(main)
    sentences = [*moot, _accuracies(networks, data), *yardstick_sentences(yardsticks), *ties]
    if main is not None:
        sentences += [main.sentence, *reversals, *_other_figures(main), *_seed_flips(main)]
        sentences += [pair.sentence for pair in comparisons if pair is not main]
        sentences += _beside_accuracy(networks, main, sections)
    noise = noise_sentences(networks, comparisons)
    sentences += [*noise, *doubtful, *care, *not_examined(examined, planned)]
    below = [*moot, *evidence(found, main, networks, sections), *noise, *reversals, *doubtful, *care]
    below += [*advice_sentences(found, networks, sections), *to_come(planned, examined), *left_out(sections)]
    below += changes(found, lambda seen: judge(networks, comparisons, data, seen, tuned=tuned), sections)
    reserved = found.answer not in ("not_trained", "cannot_tell") and (doubtful or reversals)
    return Verdict(
        headline=_first_look(protocol, found.headline) + ("; with reservations." if reserved else "."),
        paragraph=" ".join(sentences),
        sentences=tuple(sentences),
        outcome=_outcome(networks, main),
        answer=found.answer,
        grounds=tuple(dict.fromkeys(below)),
        remedy=_remedy(found, networks, sections, place),
    )


def _remedy(
    found: Judgement, networks: Sequence[NetworkResult], sections: Sections | None, place: RunPlace | None
) -> str | None:
    """The command that may mend what is wrong; where something is, and nobody has looked, the one that looks."""
    unseen = sections is None or sections.diagnosis is None
    if place is not None and found.faults and unseen:
        return search_for(place)
    return remedy_for(wanting(found, networks), sections, place)


def _first_look(protocol: Protocol | None, headline: str) -> str:
    """The headline, after a word of warning where a whole run may change the answer."""
    if protocol is None or not protocol.quick:
        return headline
    return f"{FIRST_LOOK}{headline[:1].lower()}{headline[1:]}"


def _beside_accuracy(networks: Sequence[NetworkResult], main: PairComparison, sections: Sections | None) -> list[str]:
    a, b = (_named(networks, name) for name in (main.a, main.b))
    return [
        *cost_sentences(a, b),
        *energy_agreement(a, b),
        *early_exit_sentences(a, b, sections),
        *speed_sentences(a, b),
        *robustness_sentences(main, sections),
    ]


def _main_pair(networks: Sequence[NetworkResult], comparisons: Sequence[PairComparison]) -> PairComparison | None:
    main = main_pair(networks)
    return None if main is None else next((pair for pair in comparisons if {pair.a, pair.b} == set(main)), None)


def _outcome(networks: Sequence[NetworkResult], main: PairComparison | None) -> Outcome:
    if main is None or main.significant is None:
        return "cannot_tell"
    if not main.significant:
        return "no_difference"
    ahead = main.difference.mean if _named(networks, main.a).role == "spiking" else -main.difference.mean
    return "spiking_better" if ahead > 0 else "spiking_worse"


def _named(networks: Sequence[NetworkResult], name: str) -> NetworkResult:
    return next(network for network in networks if network.name == name)


def _accuracies(networks: Sequence[NetworkResult], data: DataFacts) -> str:
    figures = []
    for network in networks:
        accuracy = network.metrics["accuracy"]
        runs = count_of(len(network.runs), "seed")
        figures.append(f"{called(network.name)} {points(accuracy.mean)} % ({interval(accuracy)}; {runs})")
    return f"{ACCURACIES}{count_of(data.test.images, 'image')} of {data.name}: {', '.join(figures)}."


def _other_figures(pair: PairComparison) -> list[str]:
    """Figures that tell the two apart, each taken alone, where accuracy does not, and in the same direction."""
    found = [
        _other_figure(pair, name)
        for name in _CONTRADICTING
        if name in pair.others and not pair.significant and _stands_out(pair, name) and not _opposed(pair, name)
    ]
    if not found:
        return []
    return [f"Accuracy does not tell them apart, but these figures do if each is taken alone: {listed(found)}."]


def _reversals(pair: PairComparison) -> list[str]:
    """Figures that point to the other network than accuracy does, where either is sure of itself."""
    against = [
        _other_figure(pair, name)
        for name in _CONTRADICTING
        if name in pair.others and _opposed(pair, name) and (pair.significant or _stands_out(pair, name))
    ]
    if not against:
        return []
    ahead = pair.a if pair.difference.mean > 0 else pair.b
    accuracy = f"favours {called(ahead)}" if pair.significant else f"leans to {called(ahead)}, though not significantly"
    return [
        f"Not every figure points the same way. Accuracy {accuracy}; the other way go {listed(against)} (their p are "
        "not corrected for looking at several figures). Which counts depends on what a mistake costs."
    ]


def _opposed(pair: PairComparison, name: str) -> bool:
    return pair.others[name].difference.mean * pair.difference.mean < 0


def _stands_out(pair: PairComparison, name: str) -> bool:
    """Whether a further figure, tested alone, is sure of its sign."""
    p = pair.others[name].p
    return pair.significant is not None and p is not None and p < 1 - pair.difference.level


def _other_figure(pair: PairComparison, name: str) -> str:
    other = pair.others[name]
    size, ahead = abs(other.difference.mean), pair.a if other.difference.mean > 0 else pair.b
    written = signed(size, 4) if name == "auc" else f"{points(size)} points"
    return (
        f"{_CONTRADICTING[name]} by {written} for {called(ahead)} ({'no p' if other.p is None else p_value(other.p)})"
    )


def _seed_flips(pair: PairComparison) -> list[str]:
    """Whether the lead changes from seed to seed."""
    ahead = {
        name: [str(test.seed) for test in pair.per_seed if (test.only_a - test.only_b) * sign > 0]
        for name, sign in ((pair.a, 1), (pair.b, -1))
    }
    tied = [str(test.seed) for test in pair.per_seed if test.only_a == test.only_b]
    if not all(ahead.values()):
        return []
    sides = [f"{called(name)} is ahead with {seeds_named(seeds)}" for name, seeds in ahead.items()]
    sides += [f"{seeds_named(tied)} {'ties' if len(tied) == 1 else 'tie'}"] if tied else []
    return [f"The lead changes with the seed: {listed(sides)}."]
