"""What a verdict says before and after its figures: networks that learned nothing, seeds that collapsed, ties."""

from collections.abc import Sequence

from spikewise.evaluation.collapse import Collapsed, collapsed_runs, has_learned, majority_share
from spikewise.evaluation.data_facts import DataFacts
from spikewise.evaluation.opponents import standing
from spikewise.evaluation.results import NetworkResult, PairComparison, WithoutCollapsed
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.yardsticks import Yardstick, Yardsticks
from spikewise.evaluation.wording import MINUS, called, capital, count_of, interval, listed, points, seeds_named

__all__ = ["at_chance", "chance_sentences", "collapse_sentences", "serious_findings", "subjects_told", "tie_sentences",
           "yardstick_sentences"]  # fmt: skip

_MANY_TIES, _SILENT = 0.005, 0.01
"""Shares of the test images from which ties are worth a sentence, and silent outputs a reservation."""


def at_chance(network: NetworkResult) -> bool:
    """Whether the figures leave open that the network does no better than one constant answer.

    No run must be surely better alone, and both must leave it open: accuracy against always giving the most frequent
    class of the test images, and mean recall over classes against 1 / K. Where there is no interval, the figure itself
    stands for its lower end.
    """
    majority = majority_share(network.runs[0]) if network.runs else None
    accuracy, balanced = network.metrics.get("accuracy"), network.metrics.get("balanced_accuracy")
    if majority is None or accuracy is None or balanced is None or any(has_learned(run) for run in network.runs):
        return False
    classes = sum(1 for row in network.runs[0].confusion if sum(row))
    lows = [one.mean if one.low is None else one.low for one in (accuracy, balanced)]
    return lows[0] <= majority + 1e-9 and lows[1] <= 1 / max(classes, 1) + 1e-9


def chance_sentences(networks: Sequence[NetworkResult], data: DataFacts) -> list[str]:
    """Which networks are not shown to be better than guessing."""
    lost = [network for network in networks if at_chance(network)]
    if not lost:
        return []
    counts = [sum(row) for row in lost[0].runs[0].confusion]
    majority = counts.index(max(counts))
    share = majority_share(lost[0].runs[0])
    assert share is not None
    names = capital(listed([called(network.name) for network in lost]))
    verb = "is" if len(lost) == 1 else "are"
    return [
        f"{names} {verb} not shown to be better than guessing: always answering '{data.classes[majority]}' is right on "
        f"{points(share)} % of the test images."
    ]


def subjects_told(data: DataFacts) -> str:
    """What must follow a reservation about subjects that nobody stated: how they were told; else nothing."""
    rule = data.subjects_rule or "numbers in file names"
    if data.subjects_trust == "doubtful":
        return f" These subjects are doubtful: they were read by {rule}, and may be none."
    return f" The subjects were read by {rule}." if data.subjects_trust == "likely" else ""


def collapse_sentences(
    networks: Sequence[NetworkResult], data: DataFacts, without: WithoutCollapsed | None
) -> list[str]:
    """Runs that learned nothing, by network, with the figures without them."""
    found = collapsed_runs(networks)
    sentences = []
    for network in networks:
        own = [one for one in found if one.network == network.name]
        if own:
            sentences.append(_collapsed(network, own, data, without))
    if without is not None:
        sentences += [_pair_without(pair) for pair in without.comparisons[:1]]
    return sentences


def _collapsed(
    network: NetworkResult, own: Sequence[Collapsed], data: DataFacts, without: WithoutCollapsed | None
) -> str:
    seeds = seeds_named([str(one.seed) for one in own])
    text = (
        f"{len(own)} of {count_of(len(network.runs), 'training')} of {called(network.name)} learned nothing ({seeds}): "
    )
    alike = [one for one in own if one.one_answer]
    if len(alike) == len(own):
        answers = listed(list(dict.fromkeys(f"'{data.classes[one.answer]}'" for one in own)))
        text += f"(nearly) every test image is answered {answers}"
    else:
        text += f"its mean recall over the classes is {points(own[0].recall)} %, as guessing gives"
    kept = None if without is None else without.metrics.get(network.name)
    if kept is None:
        return text + "."
    accuracy, which = kept["accuracy"], "it" if len(own) == 1 else "them"
    return f"{text}. Without {which} its accuracy is {points(accuracy.mean)} % ({interval(accuracy)})."


def _pair_without(pair: PairComparison) -> str:
    words = {True: "significant", False: "not significant", None: "which one seed cannot judge"}[pair.significant]
    sides = f"{called(pair.a)} {MINUS} {called(pair.b)}"
    return (
        f"Without the collapsed trainings {sides} is {points(pair.difference.mean)} points "
        f"({interval(pair.difference)}), {words}; the figures above hold all trainings."
    )


def tie_sentences(networks: Sequence[NetworkResult]) -> tuple[list[str], list[str]]:
    """How often several classes shared the highest logit, and reservations where outputs were silent."""
    told, silent = [], []
    for network in networks:
        ties = [run.ties for run in network.runs if run.ties is not None]
        if not ties:
            continue
        tied, quiet, open_ = (
            sum(getattr(one, name) for one in ties) / len(ties) for name in ("tied", "silent", "undecided")
        )
        if tied >= _MANY_TIES:
            rest = f"; in {points(open_)} % they are equal, too, and one of the equals was drawn" if open_ else ""
            told.append(
                f"For {points(tied)} % of the test images several classes share the highest output of "
                f"{called(network.name)}: the mean membrane decides{rest}."
            )
        if quiet >= _SILENT:
            silent.append(
                f"No output neuron of {called(network.name)} spikes for {points(quiet)} % of the test images."
            )
    return told, silent


def serious_findings(sections: Sections | None) -> list[str]:
    """What the diagnosis calls serious: a network that cannot learn is not beaten, it is broken."""
    if sections is None or sections.diagnosis is None:
        return []
    return [
        f"{capital(called(one.network))} ({seeds_named([str(seed) for seed in one.seeds])}) has a serious fault: "
        f"{one.text} {one.advice}"
        for one in sections.diagnosis.findings
        if one.severity == "serious"
    ]


def yardstick_sentences(yardsticks: Yardsticks | None) -> list[str]:
    """Simple classifiers on the same split, and which networks do not beat the best of them."""
    best = _best(yardsticks)
    if yardsticks is None or best is None:
        return []
    told = [f"{one.name} {points(one.accuracy.mean)} % ({interval(one.accuracy)})" for one in yardsticks.models]
    part = "" if yardsticks.train_images == yardsticks.of_train_images else (
        f" on {yardsticks.train_images:,} of {yardsticks.of_train_images:,} training images"
    )  # fmt: skip
    sentences = [f"Simple classifiers on the same split, chosen on validation{part}: {'; '.join(told)}."]
    against = {
        called(one.network): standing(one, yardsticks) for one in yardsticks.differences if one.yardstick == best.name
    }
    worse = [name for name, found in against.items() if found == "worse"]
    open_ = [name for name, found in against.items() if found in ("open", "unknown")]
    if worse:
        sentences.append(
            f"{capital(listed(worse))} {'is' if len(worse) == 1 else 'are'} less accurate than {_called(best)}."
        )
    if open_:
        sentences.append(
            f"{capital(listed(open_))} {'is' if len(open_) == 1 else 'are'} not shown to beat {_called(best)}."
        )
    return sentences


def _best(yardsticks: Yardsticks | None) -> Yardstick | None:
    return None if yardsticks is None else max(yardsticks.models, key=lambda one: one.accuracy.mean, default=None)


def _called(best: Yardstick) -> str:
    return "one constant answer" if best.name == "guessing" else f"the best of these, {best.name} ({best.setting})"
