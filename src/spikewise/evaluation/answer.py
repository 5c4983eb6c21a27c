"""The answer to "is a spiking network worth it on these images?", over accuracy and energy, never stronger than both.

The spiking network is held against every conventional network of the run and every simple classifier. The burden of
proof is its own: `yes` and `as_good_and_cheaper` must hold against all of them, `no` and `as_good_but_dearer` need one.
docs/statistics.md has the table.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from spikewise.evaluation.answer_words import (
    SpikingSide,
    as_accurate,
    by_any_model,
    costs,
    ends,
    energy,
    hinge,
    if_early,
    its_price,
)
from spikewise.evaluation.data_facts import DataFacts
from spikewise.evaluation.opponents import Opponent, early_exit, opponents_of, spiking_network
from spikewise.evaluation.results import Answer, NetworkResult, PairComparison
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.untrained import Fault, faults_of, faults_told
from spikewise.evaluation.wording import capital, gap, percent, shares

__all__ = ["ANSWER_WORDS", "OPEN", "Judgement", "judge"]

OPEN: Final = 0.05
"""Where the interval leaves more than this open that would overturn the answer, nobody can tell."""
ANSWER_WORDS: Final[dict[Answer, str]] = {
    "yes": "yes",
    "better_but_dearer": "better but dearer",
    "as_good_and_cheaper": "as good and cheaper",
    "as_good_as_dear": "as good, as dear",
    "as_good_but_dearer": "as good but dearer",
    "cheaper_but_worse": "cheaper but worse",
    "no": "no",
    "depends": "it depends",
    "cannot_tell": "cannot tell",
    "not_trained": "not trained properly",
}
"""The answer in a word or three, as a badge has it."""


_Decided: TypeAlias = "tuple[Answer, str, Opponent | None]"


class Judgement(NamedTuple):
    """The answer, and whom it was found against."""

    answer: Answer
    headline: str
    """Without its full stop."""
    against: Opponent | None
    """The opponent that decided; None where nothing was compared."""
    opponents: tuple[Opponent, ...]
    """Those that were compared."""
    faults: dict[str, Fault]


def judge(
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    sections: Sections | None = None,
    *,
    tuned: bool = False,
) -> Judgement:
    """Find the answer and say it in at most two short sentences.

    Args:
        tuned: whether every candidate's learning rate was sought with the same budget.
    """
    faults = faults_of(networks, data, sections)
    spiking = spiking_network(networks)
    if spiking is None:
        return Judgement("cannot_tell", "No spiking network took part, so there is no answer", None, (), faults)
    anytime = None if sections is None else sections.anytime
    subject = SpikingSide(spiking, early_exit(spiking.name, anytime))
    everybody = opponents_of(spiking, networks, comparisons, sections)
    sound = [one for one in everybody if one.name not in faults]
    if spiking.name not in faults:
        decided = _decide(subject, sound, tuned)
        if len(sound) == len(everybody):
            return Judgement(*decided, tuple(sound), faults)
        if decided[0] in ("no", "as_good_but_dearer"):  # a stronger opponent could only make it plainer
            broken = [faults[one.name] for one in everybody if one.name in faults]
            return Judgement(decided[0], f"{decided[1]}; {faults_told(broken)}", decided[2], tuple(sound), faults)
    headline = f"No answer: {faults_told(list(faults.values()))}"
    return Judgement("not_trained", headline, None, tuple(sound), faults)


def _decide(subject: SpikingSide, opponents: Sequence[Opponent], tuned: bool) -> _Decided:
    networks = [one for one in opponents if one.network]
    worse = [one for one in opponents if one.relation == "worse"]
    if worse:
        return _worse(subject, worse, [one for one in networks if one.relation == "open"])
    if not networks:
        alone = f"{percent(subject.accuracy, 1)} of the test images right"
        return "cannot_tell", f"The spiking network gets {alone}; there was no other network to compare it with", None
    unknown = [one for one in networks if one.relation == "unknown"]
    if unknown:
        return _unknown(subject, _best(unknown))
    level = [one for one in opponents if one.relation != "better"]
    return _as_good(subject, level) if level else _better(subject, networks, tuned)


def _worse(subject: SpikingSide, worse: Sequence[Opponent], level: Sequence[Opponent]) -> _Decided:
    """Somebody is more accurate: no, unless each of those costs more, at least by some model or beside early exit."""
    best = _best(worse)
    behind = f"{gap(best.difference.mean)} more accurate ({shares(best.accuracy, subject.accuracy)})"
    beaten = [one for one in worse if not one.cheaper_somehow]
    dearer = [one for one in level if one.dearer]
    if best in beaten:
        return "no", f"No. {capital(best.words)} is {behind}{its_price(best)}{if_early(best)}", best
    if beaten:
        other = _best(beaten)
        rest = f"{other.words} is {gap(other.difference.mean)} more accurate"
        rest += f" and {costs(other)}" if other.network else ""
        return "no", f"No. {capital(best.words)} is {behind}, and {rest}", best
    if dearer:
        other = _best(dearer)
        rest = f"{other.words}, not shown to differ from it in accuracy, {costs(other)}"
        return "no", f"No. {capital(best.words)} is {behind}, and {rest}", best
    return _trade(subject, worse)


def _trade(subject: SpikingSide, worse: Sequence[Opponent]) -> _Decided:
    """Whoever is more accurate costs more, if not by every model."""
    best = _best(worse)
    loses = f"{gap(best.difference.mean)} less accurate than {best.words} ({shares(subject.accuracy, best.accuracy)})"
    mixed = [one for one in worse if not one.cheaper]
    if not mixed:
        return "cheaper_but_worse", f"Cheaper but worse: {loses}, for {energy(subject, best)}", best
    other = best if best in mixed else _best(mixed)
    told = f"It depends on {hinge(other)}: {loses}, for {by_any_model(best) if best is not other else ''}"
    if other is not best:
        told += f", and {gap(other.difference.mean)} less accurate than {other.words}, for "
    return "depends", told + energy(subject, other), other


def _unknown(subject: SpikingSide, best: Opponent) -> _Decided:
    ahead = best.accuracy > subject.accuracy
    first, second = (best.words, "the spiking network") if ahead else ("the spiking network", best.words)
    figures = (best.accuracy, subject.accuracy) if ahead else (subject.accuracy, best.accuracy)
    seeds = len(subject.network.runs)
    why = "one seed cannot tell that from luck" if seeds == 1 else "too few test images could show a difference"
    if best.accuracy == subject.accuracy:
        told = f"{first} and {second} have the same accuracy ({percent(best.accuracy, 1)})"
    else:
        told = f"{first} is {gap(best.difference.mean)} ahead of {second} ({shares(*figures)})"
    return "cannot_tell", f"Cannot tell: {told}, but {why}. {_needs(subject, best)}", best


def _needs(subject: SpikingSide, other: Opponent) -> str:
    """The cost alone, as a sentence without its full stop."""
    if other.whole.relation == "unknown":
        return "No model of energy prices both"
    return f"The spiking network needs {energy(subject, other, of=other.words)}"


def _as_good(subject: SpikingSide, level: Sequence[Opponent]) -> _Decided:
    """Nobody is shown to be better, and some are not shown to be worse."""
    networks = [one for one in level if one.network]
    if not networks:
        best = _best(level)
        return "depends", (
            f"It depends on whether a simple classifier will do: the spiking network is more accurate than every "
            f"network without spikes, but not shown to be more accurate than {best.words} "
            f"({shares(subject.accuracy, best.accuracy)})"
        ), best  # fmt: skip
    dearer = [one for one in networks if one.dearer and one.ahead <= OPEN]
    undecided = [one for one in networks if not (one.cheaper or one.as_dear)]
    as_dear = [one for one in networks if one.as_dear]
    against = _best(dearer or undecided or as_dear or networks)
    vague = [one for one in networks if one.behind > OPEN or ((one.dearer or one.as_dear) and one.ahead > OPEN)]
    if vague and not dearer:
        against = max(vague, key=lambda one: one.widest)
        told = f"the difference in accuracy from {against.words} may lie anywhere {ends(against)}"
        return "cannot_tell", f"Cannot tell: {told}. {_needs(subject, against)}", against
    if dearer:
        price = f"{_dearer(against)}: {energy(subject, against)}"
        return "as_good_but_dearer", f"{capital(as_accurate(against))} but {price}", against
    return _not_dearer(subject, level, against, undecided=bool(undecided))


def _not_dearer(subject: SpikingSide, level: Sequence[Opponent], against: Opponent, *, undecided: bool) -> _Decided:
    """As good as the one that decides, and not dearer than any by all models."""
    price, simple = energy(subject, against), [one for one in level if not one.network]
    told = as_accurate(against)
    if undecided:
        return "depends", f"It depends on {hinge(against)}: {told}{_for(against, price)}", against
    if simple:
        best = _best(simple)
        rest = f"but {best.words} may be as accurate ({shares(best.accuracy, subject.accuracy)})"
        start = "It depends on whether a simple classifier will do"
        return "depends", f"{start}: {told}{_for(against, price)}, {rest}", against
    if against.as_dear:
        return "as_good_as_dear", f"{capital(told)}{_for(against, price)}", against
    return "as_good_and_cheaper", f"{capital(told)} and cheaper: {price}", against


def _dearer(other: Opponent) -> str:
    return "dearer" if other.surely_dearer else "cheaper by no model"


def _for(other: Opponent, price: str) -> str:
    """The cost, after an accuracy."""
    if other.whole.relation == "unknown":
        return ""
    return f" {'at' if other.as_dear else 'for'} {price}"


def _better(subject: SpikingSide, networks: Sequence[Opponent], tuned: bool) -> _Decided:
    best = _best(networks)
    dearer = [one for one in networks if one.dearer]
    undecided = [one for one in networks if one.whole.relation not in ("cheaper", "alike")]
    rate = "" if tuned else ", whose learning rate was not tuned for it,"
    ahead = f"the spiking network is {gap(best.difference.mean)} more accurate than {best.words}"
    ahead += f" ({shares(subject.accuracy, best.accuracy)}){rate}"
    if not undecided:
        return "yes", f"Yes. {capital(ahead)} and needs {energy(subject, best)}", best
    other = _best(dearer or undecided)
    if other is best:
        needs = "" if best.whole.relation == "unknown" else f" and needs {energy(subject, best)}"
    else:
        needs = f" and needs {by_any_model(best)}" if best.whole.ratios else ""
        rest = "" if other.whole.relation == "unknown" else energy(subject, other, of=other.words)
        needs += f", but {rest}" if needs and rest else f" and needs {rest}" if rest else ""
    if dearer:
        return "better_but_dearer", f"Better but dearer: {ahead}{needs}", other
    return "depends", f"It depends on {hinge(other)}: {ahead}{needs}", other


def _best(opponents: Sequence[Opponent]) -> Opponent:
    return max(opponents, key=lambda one: one.accuracy)
