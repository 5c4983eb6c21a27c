"""The verdict: what the figures say, in words that are never stronger than the figures."""

from collections.abc import Collection, Sequence
from typing import Final

from spikewise.data.audit.records import Audit
from spikewise.evaluation.beside import (
    early_exit_sentences,
    energy_agreement,
    robustness_sentences,
    speed_sentences,
)
from spikewise.evaluation.reservations import (
    at_chance,
    chance_sentences,
    collapse_sentences,
    serious_findings,
    subjects_told,
    tie_sentences,
    yardstick_loss,
    yardstick_sentences,
)
from spikewise.evaluation.results import (
    DataFacts,
    NetworkResult,
    Outcome,
    PairComparison,
    Protocol,
    Verdict,
    WithoutCollapsed,
)
from spikewise.evaluation.sections import SECTION_NAMES, Sections
from spikewise.evaluation.sections.yardsticks import Yardsticks
from spikewise.evaluation.wording import (
    brief,
    count_of,
    interval,
    listed,
    p_value,
    points,
    seeds_named,
    signed,
    times,
)

__all__ = ["ACCURACIES", "FIRST_LOOK", "main_pair", "write_verdict"]

ACCURACIES: Final = "Test accuracy on "
"""How the sentence begins that says what tables say, too."""
FIRST_LOOK: Final = "A first look: "
"""How the headline of a run with `quick` begins."""
SMALL = 200
"""Test images (or subjects) below which the verdict warns: one answer is then worth half a point or more."""
_LOOKED_AT = {
    "anytime": "how accuracy grows with the time steps",
    "robustness": "how noise and other damage to the images change it",
}
"""Sections without which the verdict holds for clean images and all time steps only."""
_CONTRADICTING = {"balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1", "g_mean": "G-mean", "auc": "AUC"}
"""Figures that can contradict accuracy, as where classes are of unequal size."""


def write_verdict(  # noqa: PLR0913  # each part of the results that a sentence may come from
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None = None,
    *,
    examined: Collection[str] | None = None,
    sections: Sections | None = None,
    collapsed: WithoutCollapsed | None = None,
) -> Verdict:
    """Write the verdict from a comparison's figures.

    The outcome is that of the spiking network against its twin, or against the first baseline where there is no twin.
    What makes every other sentence moot comes first: a network that is not better than guessing, or worse than a simple
    classifier, a training that learned nothing, a serious fault that the diagnosis found.

    Args:
        examined: names of the sections that the run has; None says nothing about them, unless `sections` are given.
        sections: what the run has looked into so far.
        collapsed: the figures without the runs that learned nothing.
    """
    if sections is not None and examined is None:
        examined = [name for name in SECTION_NAMES if getattr(sections, name) is not None]
    main = _main_pair(networks, comparisons)
    audit = None if sections is None else sections.audit
    caveats = [*_caveats(networks, comparisons, data, protocol), *_grave(audit)]
    first = [*chance_sentences(networks, data), *collapse_sentences(networks, data, collapsed)]
    ties, silent = tie_sentences(networks)
    first += [*serious_findings(sections), *silent]
    yardsticks = None if sections is None else sections.yardsticks
    sentences, reversals = [*first, _accuracies(networks, data), *yardstick_sentences(yardsticks), *ties], list[str]()
    if main is not None:
        reversals = _reversals(main)
        sentences += [main.sentence, *reversals, *_other_figures(main), *_seed_flips(main)]
        sentences += [pair.sentence for pair in comparisons if pair is not main]
        sentences += _beside_accuracy(networks, main, sections)
    sentences += caveats + _not_examined(examined)
    outcome, headline = _outcome(networks, main)
    headline = _moot(networks, main, yardsticks) + headline
    if caveats or reversals or first:
        headline += ", with reservations"
    headline = _first_look(protocol) + headline + _limit(main) + "."
    return Verdict(headline=headline, paragraph=" ".join(sentences), sentences=tuple(sentences), outcome=outcome)


def _first_look(protocol: Protocol | None) -> str:
    """What stands before an answer that a whole run may change."""
    return FIRST_LOOK if protocol is not None and protocol.quick else ""


def _moot(networks: Sequence[NetworkResult], main: PairComparison | None, yardsticks: Yardsticks | None) -> str:
    """What stands before a headline that says little without it."""
    judged = networks if main is None else [_named(networks, name) for name in (main.a, main.b)]
    if judged and all(at_chance(network) for network in judged):
        both = "Neither network is" if len(judged) == 2 else f"{judged[0].name} is not"
        return f"{both} shown to be better than guessing: "
    simple = yardstick_loss(main, yardsticks)
    return "" if simple is None else f"Both networks are less accurate than {simple} on the pixels: "


def _beside_accuracy(networks: Sequence[NetworkResult], main: PairComparison, sections: Sections | None) -> list[str]:
    a, b = (_named(networks, name) for name in (main.a, main.b))
    anytime = None if sections is None else sections.anytime
    return [
        *_cost_sentences(a, b),
        *energy_agreement(a, b),
        *early_exit_sentences(a, b, anytime),
        *speed_sentences(a, b),
        *robustness_sentences(main, sections),
    ]


def main_pair(networks: Sequence[NetworkResult]) -> tuple[str, str] | None:
    """The pair that a comparison is made for: spiking network and twin, or the first baseline where there is none."""
    by_role: dict[str, list[str]] = {}
    for network in networks:
        by_role.setdefault(network.role, []).append(network.name)
    others = [*by_role.get("twin", []), *by_role.get("baseline", [])]
    return (by_role["spiking"][0], others[0]) if others and "spiking" in by_role else None


def _main_pair(networks: Sequence[NetworkResult], comparisons: Sequence[PairComparison]) -> PairComparison | None:
    main = main_pair(networks)
    return None if main is None else next((pair for pair in comparisons if {pair.a, pair.b} == set(main)), None)


def _outcome(networks: Sequence[NetworkResult], main: PairComparison | None) -> tuple[Outcome, str]:
    if main is None:
        return "cannot_tell", "Nothing to compare with: the figures of one network stand alone"
    spiking, other = main.a, main.b
    ahead = main.difference.mean
    if _named(networks, main.a).role != "spiking":
        spiking, other, ahead = main.b, main.a, -ahead
    if main.significant is None:
        return "cannot_tell", f"These runs cannot tell whether {spiking} and {other} differ in accuracy"
    if not main.significant:
        return "no_difference", f"No significant difference in accuracy between {spiking} and {other}"
    word = "more" if ahead > 0 else "less"
    headline = f"{spiking} is {word} accurate than {other} by {points(abs(ahead))} percentage points"
    return ("spiking_better" if ahead > 0 else "spiking_worse"), headline


def _limit(main: PairComparison | None) -> str:
    """What a headline without a difference adds: how large one would have had to be."""
    if main is None or main.significant is not False or main.detectable is None or main.detectable >= 1:
        return ""
    return f"; this test set could have shown one of {points(main.detectable)} points or more"


def _named(networks: Sequence[NetworkResult], name: str) -> NetworkResult:
    return next(network for network in networks if network.name == name)


def _accuracies(networks: Sequence[NetworkResult], data: DataFacts) -> str:
    figures = []
    for network in networks:
        accuracy = network.metrics["accuracy"]
        runs = count_of(len(network.runs), "seed")
        figures.append(f"{network.name} {points(accuracy.mean)} % ({interval(accuracy)}; {runs})")
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
    accuracy = f"favours {ahead}" if pair.significant else f"leans to {ahead}, though not significantly"
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
    return f"{_CONTRADICTING[name]} by {written} for {ahead} ({'no p' if other.p is None else p_value(other.p)})"


def _seed_flips(pair: PairComparison) -> list[str]:
    """Whether the lead changes from seed to seed."""
    ahead = {
        name: [str(test.seed) for test in pair.per_seed if (test.only_a - test.only_b) * sign > 0]
        for name, sign in ((pair.a, 1), (pair.b, -1))
    }
    tied = [str(test.seed) for test in pair.per_seed if test.only_a == test.only_b]
    if not all(ahead.values()):
        return []
    sides = [f"{name} is ahead with {seeds_named(seeds)}" for name, seeds in ahead.items()]
    sides += [f"{seeds_named(tied)} {'ties' if len(tied) == 1 else 'tie'}"] if tied else []
    return [f"The lead changes with the seed: {listed(sides)}."]


def _cost_sentences(a: NetworkResult, b: NetworkResult) -> list[str]:
    sentences = [_operations(a) + " " + _operations(b)]
    energies = []
    for model in a.cost.energy_nanojoule:
        if model in b.cost.energy_nanojoule:
            ours, theirs = a.cost.energy_nanojoule[model], b.cost.energy_nanojoule[model]
            energies.append(f"{brief(ours)} nJ and {brief(theirs)} nJ by '{model}'{times(ours, theirs)}")
    if energies:
        sentences.append(
            f"The energy of one image, {a.name} and {b.name}: {'; '.join(energies)}. "
            "It is computed from operation counts, not measured."
        )
    spent = a.cost.train_seconds_per_epoch, b.cost.train_seconds_per_epoch
    if spent[0] is not None and spent[1] is not None:
        sentences.append(
            f"An epoch of training took {a.name} {spent[0].mean:.3g} s and {b.name} {spent[1].mean:.3g} s"
            f"{times(spent[0].mean, spent[1].mean)}."
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


def _caveats(
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None,
) -> list[str]:
    caveats = _leaks(data)
    if data.subjects is not None and not data.grouped and not data.straddling.subjects:
        known = "" if data.subjects_trust == "doubtful" else ", although they are known"
        caveats.append(f"The split does not keep subjects apart{known}.{subjects_told(data)}")
    units = min([pair.units for pair in comparisons], default=data.test.images)
    if units < SMALL:
        what = "image" if units == data.test.images else "subject"
        caveats.append(f"The test set is small ({count_of(units, what)}): only large differences could show.")
    if min((len(network.runs) for network in networks), default=2) == 1:
        caveats.append("There is one seed: another could give other figures, and nobody can tell by how much.")
    runs = sum(len(network.runs) for network in networks)
    if protocol is not None and protocol.quick:
        looked = f"{count_of(protocol.epochs, 'epoch')}, {count_of(len(protocol.seeds), 'seed')}"
        caveats.append(f"This is a first look ({looked}): the command without --quick gives the answer.")
    if protocol is not None and protocol.test_opened > runs:
        caveats.append(
            f"The test set was opened {protocol.test_opened} times for {runs} runs: figures may be chosen on it."
        )
    if protocol is not None and protocol.opened_elsewhere:
        caveats.append(
            f"Test images of this set were opened {count_of(protocol.opened_elsewhere, 'time')} in other run folders "
            "beside this one: what was chosen by looking there flatters these figures."
        )
    return caveats


def _leaks(data: DataFacts) -> list[str]:
    leaks, found = data.straddling, []
    if leaks.duplicates:
        found.append(f"{count_of(leaks.duplicates, 'group')} of identical images")
    if leaks.near_duplicates:
        found.append(f"{count_of(leaks.near_duplicates, 'group')} of nearly identical images")
    sure = bool(found)
    if leaks.subjects:
        found.append(f"{count_of(leaks.subjects, 'subject')}")
        sure |= data.subjects_trust != "doubtful"
    effect = "which can flatter every accuracy" if leaks.reaches_test else "none in the test part: only choices suffer"
    if not found:
        return []
    said = f"{', '.join(found)} in more than one part, {effect}"
    told = subjects_told(data) if leaks.subjects else ""
    return [f"The split leaks: {said}.{told}" if sure else f"The split may leak: {said} if they are subjects.{told}"]


def _grave(audit: Audit | None) -> list[str]:
    findings = [] if audit is None else [one for one in audit.findings if one.gravity == "red"]
    return [f"The audit of the images found a grave fault: {one.title}. {one.effect}" for one in findings]


def _not_examined(examined: Collection[str] | None) -> list[str]:
    missing = [words for name, words in _LOOKED_AT.items() if examined is not None and name not in examined]
    return [f"This run did not look at {listed(missing)}."] if missing else []
