"""Records of the section on robustness."""

from typing import Final, Literal, get_args

from spikewise.evaluation.record import Count, Estimate, Many, Number, Record, Share

__all__ = [
    "FAMILIES",
    "AccuracyCurve",
    "Disturbance",
    "Family",
    "FamilyScores",
    "GradientCheck",
    "NetworkScore",
    "Robustness",
    "ScoreDifference",
]

Family = Literal["corruptions", "spikes", "weights", "neurons", "attacks"]
FAMILIES: Final[tuple[Family, ...]] = get_args(Family)


class AccuracyCurve(Record):
    """Accuracy of one network at each strength, with 95 % intervals over seeds and images."""

    network: str
    accuracy: Many[Share]
    low: Many[Number]
    """Null where the data cannot give an interval."""
    high: Many[Number]
    score: Estimate | None
    """Share of the accuracy above chance that is left, as a mean over strengths; null where there was too little."""


class Disturbance(Record):
    """One way to make it harder, at several strengths."""

    name: str
    family: Family
    parameter: str
    """What the strengths are."""
    strengths: Many[float]
    counted: bool
    """Whether the family's score counts it; checks are not counted."""
    curves: Many[AccuracyCurve]


class NetworkScore(Record):
    """One network in one family: mean over the counted disturbances."""

    network: str
    score: Estimate | None


class ScoreDifference(Record):
    """Score of a minus score of b on the same images."""

    a: str
    b: str
    difference: Estimate
    p: Number


class GradientCheck(Record):
    """Whether gradients through one network can be trusted to attack it."""

    network: str
    usable: bool
    """Whether its encoder passes a gradient to the image."""
    zero_gradients: Share | None
    """Share of the attacked images whose gradient is zero everywhere: these cannot be attacked this way."""


class FamilyScores(Record):
    """All networks in one family, on the same images."""

    family: Family
    images: Count
    seeds: Count
    chance: Share
    """Accuracy of the best constant answer on these images."""
    clean: Many[AccuracyCurve]
    """The undisturbed images, as a curve of one point."""
    scores: Many[NetworkScore]
    differences: Many[ScoreDifference]
    gradients: Many[GradientCheck] = ()
    """For attacks."""
    left_out: Many[str] = ()
    """What could not be done here, and why, in words."""


class Robustness(Record):
    """What is left of each network's accuracy when images, spikes, weights or neurons are disturbed."""

    families: Many[FamilyScores]
    disturbances: Many[Disturbance]
