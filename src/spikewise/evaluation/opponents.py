"""Opponents: what a spiking network is up against, and how it stands to each in accuracy and in energy.

Conventional networks of the run are compared by their pairs (significant after correction, or not); simple classifiers
by the interval of the difference, made wider for the number of them, since the best of several was chosen by looking.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import scipy  # its parts load when they are first used

from spikewise.evaluation.cost.energy import ENERGY_MODELS
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.results import NetworkResult, PairComparison
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.anytime import Anytime, EarlyExit
from spikewise.evaluation.sections.yardsticks import YardstickDifference, Yardsticks
from spikewise.evaluation.wording import called

__all__ = ["Opponent", "Price", "Relation", "early_exit", "is_cheaper", "main_pair", "opponents_of", "spiking_network",
           "standing"]  # fmt: skip

Relation = Literal["better", "worse", "open", "unknown"]
"""Of the spiking network: significantly more or less accurate, not shown to differ, or nothing could show it."""
_ALIKE: Final = 1.05
"""Ratio of energies up to which two are called about the same."""
_ZEROS: Final = {model.name: model.zeros for model in ENERGY_MODELS}


class Price(NamedTuple):
    """Energy of the spiking network over that of an opponent, by each model that prices both."""

    ratios: Mapping[str, float]

    @property
    def relation(self) -> Literal["cheaper", "dearer", "alike", "disagree", "unknown"]:
        """`cheaper` is by every model, `dearer` by some and the reverse by none; `disagree`: anything else."""
        if not self.ratios:
            return "unknown"
        found = {_side(ratio) for ratio in self.ratios.values()}
        if len(found) == 1:
            return found.pop()
        return "disagree" if "cheaper" in found else "dearer"

    @property
    def cheaper_by(self) -> int:
        """How many models call the spiking network cheaper."""
        return sum(_side(ratio) == "cheaper" for ratio in self.ratios.values())

    def where_zeros_are(self, what: Literal["computed", "skipped"]) -> "Price":
        """By the models of hardware that multiplies by zero, too, or skips that; an unknown model multiplies."""
        return Price({name: one for name, one in self.ratios.items() if _ZEROS.get(name, "computed") == what})


class Opponent(NamedTuple):
    """A conventional network or a simple classifier, as the spiking network stands to it."""

    name: str
    words: str
    """In prose."""
    accuracy: float
    difference: Estimate
    """Spiking network minus opponent; without ends where no interval can be given."""
    relation: Relation
    network: bool
    """False for a simple classifier: its energy is not counted."""
    whole: Price = Price({})
    """After all time steps."""
    early: Price | None = None
    """With early exit; None where nobody looked at it."""
    pair: PairComparison | None = None

    @property
    def cheaper(self) -> bool:
        """Whether the spiking network needs less energy by every model, after all steps."""
        return self.whole.relation == "cheaper"

    @property
    def cheaper_somehow(self) -> bool:
        """Whether it needs less by some model, after all steps or if it answers as soon as it is sure."""
        return self.whole.cheaper_by > 0 or (self.early is not None and self.early.cheaper_by > 0)

    @property
    def dearer(self) -> bool:
        """Whether it needs less by no model and more by some, and early exit changes nothing about that."""
        return self.whole.relation == "dearer" and (self.early is None or self.early.relation in ("dearer", "unknown"))

    @property
    def surely_dearer(self) -> bool:
        """Whether it needs more by every model."""
        return bool(self.whole.ratios) and all(_side(ratio) == "dearer" for ratio in self.whole.ratios.values())

    @property
    def as_dear(self) -> bool:
        """Whether it needs about the same by every model, and early exit changes nothing about that."""
        return self.whole.relation == "alike" and (self.early is None or self.early.relation in ("alike", "unknown"))

    @property
    def behind(self) -> float:
        """How much less accurate the spiking network may be by the interval; infinite without one."""
        return float("inf") if self.difference.low is None else -self.difference.low

    @property
    def ahead(self) -> float:
        """How much more accurate it may be."""
        return float("inf") if self.difference.high is None else self.difference.high

    @property
    def widest(self) -> float:
        """The largest difference, either way, that the interval leaves open; infinite without an interval."""
        return max(abs(self.behind), abs(self.ahead))


def spiking_network(networks: Sequence[NetworkResult]) -> NetworkResult | None:
    """The network that the question is about: the first one with spikes."""
    return next((network for network in networks if network.role == "spiking"), None)


def main_pair(networks: Sequence[NetworkResult]) -> tuple[str, str] | None:
    """The pair that a comparison is made for: spiking network and twin, or the first baseline where there is none."""
    spiking = spiking_network(networks)
    others = [network.name for role in ("twin", "baseline") for network in networks if network.role == role]
    return (spiking.name, others[0]) if others and spiking is not None else None


def opponents_of(
    spiking: NetworkResult,
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    sections: Sections | None,
) -> list[Opponent]:
    """Every conventional network of the run, then the simple classifiers, without guessing."""
    anytime = None if sections is None else sections.anytime
    exit_ = early_exit(spiking.name, anytime)
    found = [_network(spiking, one, comparisons, exit_) for one in networks if one.role != "spiking"]
    return found + _simple(spiking, None if sections is None else sections.yardsticks)


def early_exit(network: str, anytime: Anytime | None) -> EarlyExit | None:
    """The early exit that tables name first; None where there is none."""
    if anytime is None:
        return None
    found = next((one for one in anytime.networks if one.network == network), None)
    return next((one for one in (found.early_exit if found else ()) if one.tolerance == anytime.tolerance), None)


def standing(one: YardstickDifference, yardsticks: Yardsticks) -> Relation:
    """How a network stands to a simple classifier.

    To be called less accurate than one of several, the interval is widened to the level that Bonferroni asks for; to
    be called more accurate it need not be, for that is said of a network only if it holds for all of them.
    """
    low, high, mean = one.difference.low, one.difference.high, one.difference.mean
    if low is None or high is None:
        return "unknown"
    several = max(1, sum(model.name != "guessing" for model in yardsticks.models))
    alpha = 1 - one.difference.level
    wider = float(scipy.stats.norm.isf(alpha / 2 / several) / scipy.stats.norm.isf(alpha / 2))
    if low > 0:
        return "better"
    return "worse" if mean + wider * (high - mean) < 0 else "open"


def _network(
    spiking: NetworkResult, other: NetworkResult, comparisons: Sequence[PairComparison], early: EarlyExit | None
) -> Opponent:
    pair = next((one for one in comparisons if {one.a, one.b} == {spiking.name, other.name}), None)
    apart = spiking.metrics["accuracy"].mean - other.metrics["accuracy"].mean
    difference = Estimate(mean=apart, method="no pair") if pair is None else _turned(pair, spiking.name)
    relation: Relation = "unknown"
    if pair is not None and pair.significant is not None:
        relation = "open" if not pair.significant else "better" if difference.mean > 0 else "worse"
    theirs = other.cost.energy_nanojoule
    return Opponent(
        name=other.name,
        words=called(other.name),
        accuracy=other.metrics["accuracy"].mean,
        difference=difference,
        relation=relation,
        network=True,
        whole=_price(spiking.cost.energy_nanojoule, theirs),
        early=None if early is None else _price(early.energy_nanojoule, theirs),
        pair=pair,
    )


def _simple(spiking: NetworkResult, yardsticks: Yardsticks | None) -> list[Opponent]:
    if yardsticks is None:
        return []
    against = {one.yardstick: one for one in yardsticks.differences if one.network == spiking.name}
    return [
        Opponent(
            name=model.name,
            words=called(model.name),
            accuracy=model.accuracy.mean,
            difference=against[model.name].difference,
            relation="unknown" if len(spiking.runs) < 2 else standing(against[model.name], yardsticks),
            network=False,
        )
        for model in yardsticks.models
        if model.name != "guessing" and model.name in against
    ]


def _turned(pair: PairComparison, first: str) -> Estimate:
    """The pair's difference as `first` minus the other."""
    one = pair.difference
    if pair.a == first:
        return one
    low, high = (None if end is None else -end for end in (one.high, one.low))
    return one.model_copy(update={"mean": -one.mean, "low": low, "high": high})


def _price(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Price:
    both = [name for name, energy in ours.items() if energy > 0 and theirs.get(name, 0) > 0]
    return Price({name: ours[name] / theirs[name] for name in both})


def is_cheaper(ours: float, theirs: float) -> bool:
    """Whether the first of two energies is less than about the same."""
    return min(ours, theirs) > 0 and _side(ours / theirs) == "cheaper"


def _side(ratio: float) -> Literal["cheaper", "dearer", "alike"]:
    if ratio >= _ALIKE:
        return "dearer"
    return "cheaper" if ratio <= 1 / _ALIKE else "alike"
