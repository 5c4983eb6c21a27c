"""Phrases of the headline: how an accuracy and an energy stand to an opponent's, never stronger than the figures."""

from typing import Final, NamedTuple

from spikewise.evaluation.opponents import Opponent, Price
from spikewise.evaluation.results import NetworkResult
from spikewise.evaluation.sections.anytime import EarlyExit
from spikewise.evaluation.wording import fractions, gap, signed

__all__ = ["ALIKE", "SpikingSide", "as_accurate", "by_any_model", "costs", "ends", "energy", "hinge", "if_early",
           "its_price"]  # fmt: skip

ALIKE: Final = 0.02
"""Margin of accuracy: "as accurate" is said where the interval of the difference stays within it."""
_GIVES_AWAY: Final = 0.005
"""Accuracy lost by early exit that the headline does not pass over."""
_ITS: Final = "its energy"


class SpikingSide(NamedTuple):
    """The spiking network in what is said about its cost."""

    network: NetworkResult
    exit: EarlyExit | None

    @property
    def accuracy(self) -> float:
        """Mean over its trainings."""
        return self.network.metrics["accuracy"].mean


def as_accurate(one: Opponent) -> str:
    """As accurate as the other (difference between ...), or that no difference was significant."""
    if one.widest <= ALIKE:
        return f"as accurate as {one.words} (difference {ends(one)})"
    return f"no significant difference in accuracy from {one.words} ({ends(one)})"


def ends(one: Opponent) -> str:
    """Between which points the difference lies."""
    low, high = one.difference.low, one.difference.high
    if low is None or high is None:
        return "without an interval"
    digits = 1 if one.widest >= 0.01 else 2
    return f"between {_plus(low, digits)} and {_plus(high, digits)} points"


def hinge(other: Opponent) -> str:
    """What an answer depends on that is another by other models, or with early exit."""
    if other.whole.relation == "unknown":
        return "the energy, which no model gives for both"
    if _early_differs(other) and not other.cheaper:
        return "early exit"
    return "the hardware" if _told_by_zeros(other.whole) else "the model of energy"


def its_price(best: Opponent) -> str:
    """What a more accurate opponent costs, as the tail of a sentence about it."""
    match best.whole.relation:
        case "dearer":
            return f" and {costs(best)}"
        case "alike":
            return " at about the same energy"
        case _:
            return ""


def if_early(best: Opponent) -> str:
    """What early exit makes of the energy, where that is not what a more accurate opponent's price says."""
    if best.early is None or not _early_differs(best):
        return ""
    return f"; with early exit the spiking network needs {_told(best.early, _ITS)}"


def costs(other: Opponent) -> str:
    """The opponent's energy in that of the spiking network: costs half the energy."""
    if other.whole.relation != "dearer":
        return "costs about the same energy" if other.whole.relation == "alike" else "is not shown to cost more energy"
    return f"costs {fractions([1 / ratio for ratio in other.whole.ratios.values()], 'the energy')}"


def energy(subject: SpikingSide, other: Opponent, of: str = "") -> str:
    """The spiking network's energy in that of an opponent, with early exit where that says something else."""
    what = f"the energy of {of}" if of else _ITS
    whole, early = other.whole, other.early
    if early is None or subject.exit is None or not _early_differs(other):
        return _by_model(whole, what) if whole.relation == "disagree" else _told(whole, what)
    told = f"{_told(whole, what)} at {subject.network.steps} steps"
    told += ", by model," if whole.relation == "disagree" else ","
    then = _of_it(early, "times as much" if whole.relation == "alike" else "times")
    models = ", by model," if early.relation == "disagree" else ""
    lost = -subject.exit.difference.mean
    price = f", which gives away {gap(lost)}" if lost >= _GIVES_AWAY else ""
    return f"{told} {then}{models} with early exit{price}"


def by_any_model(other: Opponent) -> str:
    """The spiking network's energy in that of an opponent, over all models: 0.25 to 2 times its energy, by model."""
    return _told(other.whole, _ITS) + (", by model" if other.whole.relation == "disagree" else "")


def _early_differs(other: Opponent) -> bool:
    return other.early is not None and other.early.relation not in (other.whole.relation, "unknown")


def _plus(share: float, digits: int) -> str:
    text = signed(100 * share, digits)
    return text if share <= 0 or float(text) == 0 else f"+{text}"


def _told(price: Price, what: str) -> str:
    match price.relation:
        case "unknown":
            return "an energy that no model prices for both"
        case "alike":
            return "about the same energy" if what == _ITS else f"about {what}"
        case _:
            return fractions(list(price.ratios.values()), what)


def _told_by_zeros(price: Price) -> bool:
    """Whether what becomes of zeros explains that the models disagree."""
    computed, skipped = (price.where_zeros_are(one) for one in ("computed", "skipped"))
    return computed.relation == "cheaper" and skipped.relation in ("dearer", "alike", "disagree")


def _by_model(price: Price, what: str) -> str:
    """Where the models disagree: by what becomes of zeros, if that explains it; else how many say what."""
    if _told_by_zeros(price):
        computed, skipped = (price.where_zeros_are(one) for one in ("computed", "skipped"))
        paid = fractions(list(computed.ratios.values()), what)
        return f"{paid} on hardware that multiplies by zero, {_of_it(skipped)} on hardware that skips zeros"
    return f"{_told(price, what)} (less by {price.cheaper_by} of {len(price.ratios)} models)"


def _of_it(price: Price, times: str = "times") -> str:
    """After an energy was named: a third of it; 1.8 times."""
    told = fractions(list(price.ratios.values()), "it")
    return told.replace("times it", times).replace("half it", "half of it").replace("twice it", "twice")
