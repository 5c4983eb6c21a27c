"""What stands below the headline: the figures that it rests on, what could change it, and what is still to come."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from spikewise.evaluation.answer import ANSWER_WORDS, Judgement
from spikewise.evaluation.beside import early_exit_sentences, energy_agreement, energy_sentences
from spikewise.evaluation.opponents import Opponent, spiking_network
from spikewise.evaluation.results import NetworkResult, PairComparison
from spikewise.evaluation.sections import SECTION_NAMES, Sections
from spikewise.evaluation.untrained import advice_for
from spikewise.evaluation.wording import called, capital, interval, listed, points

__all__ = [
    "advice_sentences",
    "changes",
    "evidence",
    "left_out",
    "not_examined",
    "opponents_tuned",
    "to_come",
    "wanting",
]

_LOOKED_AT: Final = {
    "anytime": "how accuracy grows with the time steps",
    "robustness": "how noise and other damage to the images change it",
}
"""Sections without which the verdict holds for clean images and all time steps only."""
_MAY_CHANGE: Final = {
    "yardsticks": "simple classifiers",
    "anytime": "early exit, which may lower the energy",
    "diagnosis": "the diagnosis, which may find that a side did not train properly",
}
"""Sections that the answer may change with."""
_UNTUNED: Final = (
    "The learning rate was not tuned for each side with the same budget: a lead is one over opponents at the rate of "
    "this run, and not shown to be the spikes' own."
)


def opponents_tuned(networks: Sequence[NetworkResult]) -> bool:
    """Whether the learning rate of every network without spikes was sought; False where nothing is known about it."""
    records = [network.tuning for network in networks if network.role != "spiking"]
    return bool(records) and all(record is not None and record.tuned for record in records)


def evidence(
    found: Judgement, main: PairComparison | None, networks: Sequence[NetworkResult], sections: Sections | None
) -> list[str]:
    """Accuracy and energy against the opponent that decided, accuracy against the twin, and the simple classifiers."""
    spiking, against = spiking_network(networks), found.against
    told = []
    if against is not None:
        told.append(_accuracy(against))
    if main is not None:
        told.append(main.sentence)
    told += _simple(found.opponents)
    other = None if against is None else next((one for one in networks if one.name == against.name), None)
    if spiking is not None and other is not None:
        told += [*energy_sentences(spiking, other), *energy_agreement(spiking, other)]
        told += early_exit_sentences(spiking, other, sections)
    if found.answer not in ("cannot_tell", "not_trained") and not _behind(found) and not opponents_tuned(networks):
        told.append(_UNTUNED)
    return told


def wanting(found: Judgement, networks: Sequence[NetworkResult]) -> list[str]:
    """Networks that did not train properly; else the one that is shown to be behind, for it might do better."""
    spiking = spiking_network(networks)
    if found.faults:
        return list(found.faults)
    if spiking is not None and _behind(found):
        return [spiking.name]
    if found.against is not None and found.against.relation == "better":
        return [found.against.name]
    return []


def _behind(found: Judgement) -> bool:
    """Whether somebody is shown to be more accurate than the spiking network."""
    return any(one.relation == "worse" for one in found.opponents)


def advice_sentences(found: Judgement, networks: Sequence[NetworkResult], sections: Sections | None) -> list[str]:
    """What the diagnosis would change about a network that is behind."""
    if found.faults:
        return []
    advice = advice_for(wanting(found, networks), sections)
    if advice is None:
        return []
    return [f"{capital(called(advice.network))} might do better: {advice.text} {advice.advice}"]


def not_examined(examined: Collection[str] | None, planned: Collection[str]) -> list[str]:
    """What the run did not look at, or has not yet."""
    if examined is None:
        return []
    missing = {name: words for name, words in _LOOKED_AT.items() if name not in examined}
    later = [words for name, words in missing.items() if name in planned]
    never = [words for name, words in missing.items() if name not in planned]
    return [
        *([f"This run has not looked yet at {listed(later)}."] if later else []),
        *([f"This run did not look at {listed(never)}."] if never else []),
    ]


def to_come(planned: Collection[str], examined: Collection[str] | None) -> list[str]:
    """What is still to be made that the answer may change with."""
    left = [words for name, words in _MAY_CHANGE.items() if name in planned and name not in (examined or ())]
    return [f"Still to come, and the answer may change with it: {listed(left)}."] if left else []


def left_out(sections: Sections | None) -> list[str]:
    """Sections that were not made, and that the answer might have changed with."""
    skipped = {} if sections is None else sections.skipped
    told = [f"{words} ({skipped[name]})" for name, words in _MAY_CHANGE.items() if name in skipped]
    return [f"Left out, and the answer might change with it: {'; '.join(told)}."] if told else []


def changes(found: Judgement, judged: Callable[[Sections | None], Judgement], sections: Sections | None) -> list[str]:
    """Which sections changed the answer that the test alone gave."""
    made = [] if sections is None else [name for name in SECTION_NAMES if getattr(sections, name) is not None]
    first = judged(None) if made else found
    if sections is None or first.answer == found.answer:
        return []
    told, seen, before = [], Sections(), first
    for name in made:
        seen = seen.model_copy(update={name: getattr(sections, name)})
        after = judged(seen)
        if after.answer != before.answer:
            told.append(f"{name}: {ANSWER_WORDS[after.answer]}")
        before = after
    return [f"The test alone answered '{ANSWER_WORDS[first.answer]}'; sections changed that ({listed(told)})."]


def _accuracy(against: Opponent) -> str:
    if against.pair is not None:
        return against.pair.sentence
    return (
        f"The spiking network's accuracy minus that of {against.words} is {points(against.difference.mean)} points "
        f"({interval(against.difference)})."
    )


def _simple(opponents: Sequence[Opponent]) -> list[str]:
    """The simple classifier that comes first."""
    simple = [one for one in opponents if not one.network]
    if not simple:
        return []
    best = max(simple, key=lambda one: one.accuracy)
    return [
        f"{capital(best.words)} is right on {points(best.accuracy)} % of the test images; its energy is not counted. "
        f"{_accuracy(best)}"
    ]
