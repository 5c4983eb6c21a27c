"""The answer to "is a spiking network worth it on these images?", over accuracy and energy, never stronger than both.

The spiking network is held against every conventional network of the run and every simple classifier. The burden of
proof is its own: `yes` and `as_good_and_cheaper` must hold against all of them, `no` and `as_good_but_dearer` need one.
docs/statistics.md has the table.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from spikewise.evaluation.opponents import Opponent, Price, early_exit, opponents_of, spiking_network
from spikewise.evaluation.results import Answer, DataFacts, NetworkResult, PairComparison
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.anytime import EarlyExit
from spikewise.evaluation.untrained import Fault, faults_of, faults_told
from spikewise.evaluation.wording import capital, fractions, gap, shares, signed

__all__ = ["ALIKE", "ANSWER_WORDS", "OPEN", "Judgement", "judge"]

ALIKE: Final = 0.02
"""Margin of accuracy: "as accurate" is said where the interval of the difference stays within it."""
OPEN: Final = 0.05
"""Where the interval leaves more than this open that would overturn the answer, nobody can tell."""
ANSWER_WORDS: Final[dict[Answer, str]] = {
    "yes": "yes",
    "better_but_dearer": "better but dearer",
    "as_good_and_cheaper": "as good and cheaper",
    "as_good_but_dearer": "as good but dearer",
    "cheaper_but_worse": "cheaper but worse",
    "no": "no",
    "depends": "it depends",
    "cannot_tell": "cannot tell",
    "not_trained": "not trained properly",
}
"""The answer in a word or three, as a badge has it."""
_GIVES_AWAY: Final = 0.005
"""Accuracy lost by early exit that the headline does not pass over."""


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


class _Subject(NamedTuple):
    """The spiking network in what is said about its cost."""

    network: NetworkResult
    exit: EarlyExit | None

    @property
    def accuracy(self) -> float:
        return self.network.metrics["accuracy"].mean


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
    subject = _Subject(spiking, early_exit(spiking.name, anytime))
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


def _decide(subject: _Subject, opponents: Sequence[Opponent], tuned: bool) -> tuple[Answer, str, Opponent | None]:
    networks = [one for one in opponents if one.network]
    worse = [one for one in opponents if one.relation == "worse"]
    if worse:
        return _worse(subject, worse, [one for one in networks if one.relation == "open"])
    if not networks:
        alone = f"{100 * subject.accuracy:.1f} % of the test images right"
        return "cannot_tell", f"The spiking network gets {alone}; there was no other network to compare it with", None
    unknown = [one for one in networks if one.relation == "unknown"]
    if unknown:
        return _unknown(subject, _best(unknown))
    level = [one for one in opponents if one.relation != "better"]
    return _as_good(subject, level) if level else _better(subject, networks, tuned)


def _worse(
    subject: _Subject, worse: Sequence[Opponent], level: Sequence[Opponent]
) -> tuple[Answer, str, Opponent | None]:
    best = _best(worse)
    behind = f"{gap(best.difference.mean)} more accurate ({shares(best.accuracy, subject.accuracy)})"
    if not (best.cheaper or best.cheaper_early):
        return "no", f"No. {capital(best.words)} is {behind}{_its_price(best)}{_if_early(best)}", best
    beaten = [one for one in worse if not (one.cheaper or one.cheaper_early)]
    dearer = [one for one in level if one.dearer]
    if beaten:
        other = _best(beaten)
        rest = f"{other.words} is {gap(other.difference.mean)} more accurate"
        rest += f" and {_costs(other)}" if other.network else ""
        return "no", f"No. {capital(best.words)} is {behind}, and {rest}", best
    if dearer:
        other = _best(dearer)
        rest = f"{other.words}, not shown to differ from it in accuracy, {_costs(other)}"
        return "no", f"No. {capital(best.words)} is {behind}, and {rest}", best
    loses = f"{gap(best.difference.mean)} less accurate than {best.words}"
    loses += f" ({shares(subject.accuracy, best.accuracy)})"
    return "cheaper_but_worse", f"Cheaper but worse: {loses}, for {_energy(subject, best)}", best


def _unknown(subject: _Subject, best: Opponent) -> tuple[Answer, str, Opponent | None]:
    ahead = best.accuracy > subject.accuracy
    first, second = (best.words, "the spiking network") if ahead else ("the spiking network", best.words)
    figures = (best.accuracy, subject.accuracy) if ahead else (subject.accuracy, best.accuracy)
    seeds = len(subject.network.runs)
    why = "one seed cannot tell that from luck" if seeds == 1 else "too few test images could show a difference"
    if best.accuracy == subject.accuracy:
        told = f"{first} and {second} have the same accuracy ({100 * best.accuracy:.1f} %)"
    else:
        told = f"{first} is {gap(best.difference.mean)} ahead of {second} ({shares(*figures)})"
    cost = _energy(subject, best)
    return "cannot_tell", f"Cannot tell: {told}, but {why}. The spiking network needs {cost}", best


def _as_good(subject: _Subject, level: Sequence[Opponent]) -> tuple[Answer, str, Opponent | None]:
    """Nobody is shown to be better, and some are not shown to be worse."""
    networks = [one for one in level if one.network]
    if not networks:
        best = _best(level)
        return "depends", (
            f"It depends: the spiking network is more accurate than every network without spikes, but not shown to be "
            f"more accurate than {best.words} ({shares(subject.accuracy, best.accuracy)})"
        ), best  # fmt: skip
    dearer = [one for one in networks if one.dearer and one.ahead <= OPEN]
    undecided = [one for one in networks if not one.cheaper]
    against = _best(dearer or undecided or networks)
    vague = [one for one in networks if one.behind > OPEN or (one.dearer and one.ahead > OPEN)]
    if vague and not dearer:
        against = max(vague, key=lambda one: one.widest)
        return "cannot_tell", (
            f"Cannot tell: the difference in accuracy from {against.words} may lie anywhere {_ends(against)}. "
            f"The spiking network needs {_energy(subject, against)}"
        ), against  # fmt: skip
    told = _as_accurate(against)
    if dearer:
        return "as_good_but_dearer", f"{told} but dearer: {_energy(subject, against)}", against
    simple = [one for one in level if not one.network]
    if undecided:
        return "depends", f"{told}; {_energy(subject, against)}", against
    if simple:
        best = _best(simple)
        rest = f"{capital(best.words)} is not shown to be less accurate ({shares(best.accuracy, subject.accuracy)})"
        return "depends", f"{told}, for {_energy(subject, against)}. {rest}", against
    return "as_good_and_cheaper", f"{told} and cheaper: {_energy(subject, against)}", against


def _better(subject: _Subject, networks: Sequence[Opponent], tuned: bool) -> tuple[Answer, str, Opponent | None]:
    best = _best(networks)
    dearer = [one for one in networks if one.dearer]
    undecided = [one for one in networks if not one.cheaper]
    rate = "" if tuned else ", whose learning rate was not tuned for it,"
    ahead = f"{gap(best.difference.mean)} more accurate than {best.words}"
    ahead += f" ({shares(subject.accuracy, best.accuracy)}){rate}"
    if not undecided:
        return "yes", f"Yes. The spiking network is {ahead} and needs {_energy(subject, best)}", best
    other = _best(dearer or undecided)
    rest = f"needs {_energy(subject, best)}"
    if other is not best:
        rest += f", but {_energy(subject, other, of=other.words)}" if best.cheaper else ""
    answer: Answer = "better_but_dearer" if dearer else "depends"
    start = "Better but dearer" if dearer else "It depends"
    return answer, f"{start}: the spiking network is {ahead} and {rest}", other


def _best(opponents: Sequence[Opponent]) -> Opponent:
    return max(opponents, key=lambda one: one.accuracy)


def _as_accurate(one: Opponent) -> str:
    if one.widest <= ALIKE:
        return f"As accurate as {one.words} (difference {_ends(one)})"
    return f"No significant difference in accuracy from {one.words} ({_ends(one)})"


def _ends(one: Opponent) -> str:
    low, high = one.difference.low, one.difference.high
    if low is None or high is None:
        return "without an interval"
    digits = 1 if one.widest >= 0.01 else 2
    return f"between {_plus(low, digits)} and {_plus(high, digits)} points"


def _plus(share: float, digits: int) -> str:
    text = signed(100 * share, digits)
    return text if share <= 0 or float(text) == 0 else f"+{text}"


def _its_price(best: Opponent) -> str:
    """What a more accurate opponent costs, as the tail of a sentence about it."""
    match best.whole.relation:
        case "dearer":
            return f" and {_costs(best)}"
        case "alike":
            return " at about the same energy"
        case "disagree":
            return f"; the spiking network needs {_whole(best, 'its energy')}"
        case _:
            return ""


def _if_early(best: Opponent) -> str:
    """What early exit makes of the energy, where that is not what a more accurate opponent's price says."""
    if best.early is None or best.early.relation in (best.whole.relation, "unknown"):
        return ""
    return f"; with early exit the spiking network needs {_told(best.early, 'its energy')}"


def _costs(other: Opponent) -> str:
    """The opponent's energy in that of the spiking network: costs half the energy."""
    if other.whole.relation != "dearer":
        return "costs about the same energy" if other.whole.relation == "alike" else "is not shown to cost more energy"
    return f"costs {fractions([1 / ratio for ratio in other.whole.ratios.values()], 'the energy')}"


def _energy(subject: _Subject, other: Opponent, of: str = "") -> str:
    """The spiking network's energy in that of an opponent, with early exit where that says something else."""
    what = f"the energy of {of}" if of else "its energy"
    whole, early = other.whole, other.early
    if early is None or subject.exit is None or early.relation in (whole.relation, "unknown"):
        return _whole(other, what)
    told = _over_models(whole, what) if whole.relation == "disagree" else _told(whole, what)
    steps = f" at {subject.network.steps} steps"
    lost = -subject.exit.difference.mean
    price = f", which gives away {gap(lost)}" if lost >= _GIVES_AWAY else ""
    models = ", by model," if early.relation == "disagree" else ""
    return f"{told}{steps}, {_of_it(early)}{models} with early exit{price}"


def _whole(other: Opponent, what: str) -> str:
    return _by_model(other.whole, what) if other.whole.relation == "disagree" else _told(other.whole, what)


def _told(price: Price, what: str) -> str:
    match price.relation:
        case "unknown":
            return "an energy that no model prices for both"
        case "alike":
            return "about the same energy" if what == "its energy" else f"about {what}"
        case _:
            return fractions(list(price.ratios.values()), what)


def _by_model(price: Price, what: str) -> str:
    """Where the models disagree: by what becomes of zeros, if that explains it; else the range."""
    computed, skipped = (price.where_zeros_are(one) for one in ("computed", "skipped"))
    if computed.relation == "cheaper" and skipped.relation in ("dearer", "alike", "disagree"):
        paid = fractions(list(computed.ratios.values()), what)
        return f"{paid} if that pays for zeros, {_of_it(skipped)} if it skips them"
    return _over_models(price, what)


def _over_models(price: Price, what: str) -> str:
    return f"{fractions(list(price.ratios.values()), what)}, by model"


def _of_it(price: Price) -> str:
    """After an energy was named: a third of it; 1.8 times."""
    told = fractions(list(price.ratios.values()), "it")
    return told.replace(" times it", " times").replace("half it", "half of it")
