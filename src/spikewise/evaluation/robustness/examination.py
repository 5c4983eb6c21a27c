"""`examine`: put networks through families of disturbances."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, NamedTuple

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from spikewise.config import Config
from spikewise.errors import ShapeError, unknown_choice
from spikewise.evaluation.robustness.candidates import Images, TrainedCandidate, affordable
from spikewise.evaluation.robustness.corruptions import CORRUPTIONS
from spikewise.evaluation.robustness.summary import summarise
from spikewise.evaluation.robustness.trials import (
    RobustnessTrials,
    under_attack,
    undisturbed,
    with_corruptions,
    with_damage,
    with_spike_noise,
)
from spikewise.evaluation.sections.robustness import FAMILIES, Disturbance, Family, FamilyScores, Robustness
from spikewise.graph import Graph

__all__ = [
    "MOST_IMAGES",
    "SHOWN_STRENGTH",
    "RobustnessResult",
    "RobustnessScope",
    "default_count",
    "examine",
    "merged",
    "parse_families",
    "selected",
]

MOST_IMAGES: Final = 1000
"""Used, unless more are asked for."""
_MOST_ATTACKED: Final = 256
SHOWN_STRENGTH: Final = 2
"""Of the five strengths of a corruption the one that examples show, counted from 0."""


class RobustnessScope(Config):
    """How much is examined."""

    images: Annotated[int, Field(ge=2)] | None = None
    """Test images for every family; None is at most 1000, of which at most 256 are attacked, and fewer for networks
    that are slow."""
    families: tuple[Family, ...] = FAMILIES


class RobustnessResult(NamedTuple):
    """Figures, and one image under each corruption and attack."""

    record: Robustness
    examples: Mapping[str, UInt8[np.ndarray, "C H W"]]


def examine(
    candidates: Sequence[TrainedCandidate], images: Images, scope: RobustnessScope, *, attack_from: str | None = None
) -> RobustnessResult:
    """What is left of each network's accuracy.

    Args:
        candidates: the first is compared with each of the others.
        images: in random order; the first of them are used.
        attack_from: the network whose adversarial images are also shown to all others.
    Raises:
        ShapeError: no network, or no image.
    """
    if not candidates or not len(images.labels):
        raise ShapeError(f"Robustness needs networks and images; got {len(candidates)} and {len(images.labels)}.")
    families: list[FamilyScores] = []
    disturbances: list[Disturbance] = []
    examples: dict[str, UInt8[np.ndarray, "C H W"]] = {}
    for family in scope.families:
        few = images.first(_count(candidates, images, scope, family))
        if family == "attacks":
            made = under_attack(candidates, few, transfer_from=attack_from)
        else:
            made = _tried(candidates, few, family)
        judged = [one._replace(networks=one.networks[:1], seeds=one.seeds[:1]) for one in candidates]
        clean = undisturbed(judged if family == "attacks" else candidates, few)
        record, curves = summarise(family, made, clean, few, against=candidates[0].name)
        families.append(record)
        disturbances += curves
        examples |= _examples(family, made, few)
    return RobustnessResult(Robustness(families=tuple(families), disturbances=tuple(disturbances)), examples)


def merged(old: Robustness | None, new: Robustness) -> Robustness:
    """The families of `new`, and those of `old` that it does not have."""
    if old is None:
        return new
    fresh = {one.family for one in new.families}
    families = [one for one in old.families if one.family not in fresh] + list(new.families)
    disturbances = [one for one in old.disturbances if one.family not in fresh] + list(new.disturbances)
    return Robustness(
        families=tuple(sorted(families, key=lambda one: FAMILIES.index(one.family))),
        disturbances=tuple(sorted(disturbances, key=lambda one: FAMILIES.index(one.family))),
    )


def selected(record: Robustness, families: Iterable[str]) -> Robustness:
    """Some families of a record."""
    kept = frozenset(families)
    return Robustness(
        families=tuple(one for one in record.families if one.family in kept),
        disturbances=tuple(one for one in record.disturbances if one.family in kept),
    )


def parse_families(names: Iterable[str]) -> tuple[Family, ...]:
    """Families by name, in their usual order.

    Raises:
        ConfigError: there is no such family.
    """
    asked = set(names)
    for name in asked - set(FAMILIES):
        raise unknown_choice("family", name, FAMILIES)
    return tuple(family for family in FAMILIES if family in asked)


def _tried(candidates: Sequence[TrainedCandidate], images: Images, family: Family) -> RobustnessTrials:
    if family == "corruptions":
        return with_corruptions(candidates, images)
    if family == "spikes":
        return with_spike_noise(candidates, images)
    return with_damage(candidates, images, family)


def _count(candidates: Sequence[TrainedCandidate], images: Images, scope: RobustnessScope, family: Family) -> int:
    if scope.images is not None:
        return min(scope.images, len(images.labels))
    return default_count([one.graph for one in candidates], len(images.labels), family)


def default_count(graphs: Sequence[Graph], images: int, family: Family) -> int:
    """How many of `images` a family is examined on, unless more or fewer are asked for."""
    purpose, most = ("attacks", _MOST_ATTACKED) if family == "attacks" else ("corruptions", MOST_IMAGES)
    return affordable(graphs, min(most, images), purpose)


def _examples(family: Family, made: RobustnessTrials, images: Images) -> dict[str, UInt8[np.ndarray, "C H W"]]:
    if family == "attacks" and made.example is not None:
        return {"attack": made.example}
    if family != "corruptions":
        return {}
    one = images.first(1)
    shown = {c.name: c(one.pixels, one.index, c.strengths[SHOWN_STRENGTH])[0] for c in CORRUPTIONS}
    return {"original": one.pixels[0], **shown}
