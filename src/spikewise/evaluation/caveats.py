"""Reservations about the images, the split and the test: what makes figures doubtful, or merely less certain."""

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from spikewise.evaluation.data_facts import DataFacts, Overlap
from spikewise.evaluation.reservations import subjects_told
from spikewise.evaluation.results import NetworkResult, PairComparison, Protocol
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.wording import called, count_of, listed, points

__all__ = ["Reservation", "caveats", "doubts"]

SMALL: Final = 200
"""Test images (or subjects) below which the verdict warns: one answer is then worth half a point or more."""
_APART, _SURE = 0.05, 3.0
"""How far mean recall on validation lies above the test, also in standard errors: less is luck, or chosen epochs."""


class Reservation(NamedTuple):
    """What a reader must know before believing the figures: `bad` makes them wrong, `care` less certain."""

    level: Literal["bad", "care"]
    title: str
    text: str
    """Stands without the title: it is a sentence of the verdict, too."""


def doubts(
    networks: Sequence[NetworkResult], data: DataFacts, protocol: Protocol | None, sections: Sections | None
) -> list[Reservation]:
    """What may make the figures themselves wrong, so that the headline must not stand alone."""
    audit = None if sections is None else sections.audit
    grave = [] if audit is None else [one for one in audit.findings if one.severity == "red"]
    found = _leaks(data) if data.overlap.reaches_test else []
    runs = sum(len(network.runs) for network in networks)
    if protocol is not None and protocol.test_opened > runs:
        text = (
            f"The test set was opened {protocol.test_opened} times for {runs} runs: what is chosen on test images no "
            "longer tells how new images will fare."
        )
        found.append(Reservation("bad", "The test set was opened more than once a run", text))
    title = "A grave fault of the images"
    return found + [
        Reservation("bad", title, f"The audit of the images found a grave fault: {one.title}. {one.effect}")
        for one in grave
    ]


def caveats(
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None,
) -> list[Reservation]:
    """What makes the figures less certain, or flatters choices but not the test."""
    found = [] if data.overlap.reaches_test else _leaks(data)
    if data.subjects is not None and not data.grouped and not data.overlap.subjects:
        known = "" if data.subjects_trust == "doubtful" else ", although they are known"
        text = f"The split does not keep subjects apart{known}.{subjects_told(data)}"
        found.append(Reservation("care", "Subjects were not kept apart", text))
    units = min([pair.units for pair in comparisons], default=data.test.images)
    if units < SMALL:
        what = "image" if units == data.test.images else "subject"
        text = f"The test set is small ({count_of(units, what)}): only large differences could show."
        found.append(Reservation("care", "Few test images", text))
    found += _same_layers(networks)
    found += _unlike_validation(networks, data)
    found += [
        Reservation("care", "Several spikes at once", _several(one)) for one in networks if one.cost.several_spikes
    ]
    if min((len(network.runs) for network in networks), default=2) == 1:
        text = "There is one seed: another could give other figures, and nobody can tell by how much."
        found.append(Reservation("care", "One seed", text))
    return found if protocol is None else [*found, *_of_protocol(protocol)]


def _same_layers(networks: Sequence[NetworkResult]) -> list[Reservation]:
    """Where images are large or coloured, the twin is as convolutional as the small CNN: two opponents of one kind."""
    sizes = {one.role: (one.parameters, one.cost.macs) for one in networks if one.role in ("twin", "baseline")}
    if len(sizes) < 2 or sizes["twin"] != sizes["baseline"]:
        return []
    text = (
        "The same network without spikes and the small CNN have the same layers here; they differ by the gain of their "
        "outputs and the weights that they begin with, so a lead of one over the other says little."
    )
    return [Reservation("care", "Two opponents of one kind", text)]


def _unlike_validation(networks: Sequence[NetworkResult], data: DataFacts) -> list[Reservation]:
    """Where a published test part is of another kind, or its classes are: what was chosen may not suit it."""
    runs = [run for network in networks for run in network.runs]
    pairs = [(run.validation.get("balanced_accuracy"), run.test.get("balanced_accuracy")) for run in runs]
    known = [(before, after) for before, after in pairs if before is not None and after is not None]
    if not known or not data.validation.images or not data.test.images:
        return []
    validation, test = (sum(one) / len(known) for one in zip(*known, strict=True))
    # Seeds share their images, so more of them make the difference no surer.
    spread = math.sqrt(validation * (1 - validation) / data.validation.images + test * (1 - test) / data.test.images)
    if validation - test < max(_APART, _SURE * spread):
        return []
    text = (
        f"Validation images are answered better than test images ({points(validation)} against {points(test)} % mean "
        "recall, over all networks): test images are of another kind, or validation shares with training what they do "
        "not (patients, copies). What was chosen on validation (learning rates, epochs, thresholds) may not suit them."
    )
    return [Reservation("care", "Test images unlike those that choices were made on", text)]


def _several(network: NetworkResult) -> str:
    return (
        f"In {called(network.name)} more than one spike may arrive at an input in one step; each is counted, but chips "
        "that send single spikes cannot run it as it is."
    )


def _of_protocol(protocol: Protocol) -> list[Reservation]:
    found = []
    if protocol.quick:
        looked = f"{count_of(protocol.epochs, 'epoch')}, {count_of(len(protocol.seeds), 'seed')}"
        text = f"This is a first look ({looked}): the command without --quick gives the answer, which may be another."
        found.append(Reservation("care", "A first look", text))
    if protocol.opened_elsewhere:
        text = (
            f"Test images of this set were opened {count_of(protocol.opened_elsewhere, 'time')} in other run folders "
            "beside this one, first looks included: settings that were chosen by what was seen there flatter these "
            "figures, running again does not."
        )
        found.append(Reservation("care", "Test images of this set were opened in other runs, too", text))
    return found


def _leaks(data: DataFacts) -> list[Reservation]:
    leaks, found = data.overlap, []
    if leaks.duplicates:
        found.append(f"{count_of(leaks.duplicates, 'group')} of identical images")
    if leaks.near_duplicates:
        found.append(f"{count_of(leaks.near_duplicates, 'group')} of nearly identical images")
    sure = bool(found)
    if leaks.subjects:
        found.append(f"{count_of(leaks.subjects, 'subject')}")
        sure |= data.subjects_trust != "doubtful"
    if not found:
        return []
    effect = _reach(leaks)
    verb = "is" if (leaks.duplicates or 0) + (leaks.near_duplicates or 0) + (leaks.subjects or 0) == 1 else "are"
    said = f"{listed(found)} {verb} in more than one part of the split{effect}"
    told = subjects_told(data) if leaks.subjects else ""
    if sure:
        return [Reservation("bad", "The split leaks", f"{said}.{told}")]
    return [Reservation("care", "The split may leak", f"{said} if they are subjects.{told}")]


def _reach(leaks: Overlap) -> str:
    """What leaks do to the figures, as the tail of a sentence; nothing where nobody knows."""
    near = leaks.near_reaches_test if leaks.near_duplicates else False
    if near or (leaks.reaches_test and (leaks.duplicates or leaks.subjects)):
        return ", which can flatter every accuracy"
    return "" if near is None else ", none in the test part: only choices suffer"
