"""Reservations about the images, the split and the test: what makes figures doubtful, or merely less certain."""

from collections.abc import Sequence
from typing import Final

from spikewise.evaluation.reservations import subjects_told
from spikewise.evaluation.results import DataFacts, NetworkResult, PairComparison, Protocol
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.wording import called, count_of

__all__ = ["caveats", "doubts"]

SMALL: Final = 200
"""Test images (or subjects) below which the verdict warns: one answer is then worth half a point or more."""


def doubts(
    networks: Sequence[NetworkResult], data: DataFacts, protocol: Protocol | None, sections: Sections | None
) -> list[str]:
    """What may make the figures themselves wrong, so that the headline must not stand alone."""
    audit = None if sections is None else sections.audit
    grave = [] if audit is None else [one for one in audit.findings if one.severity == "red"]
    found = _leaks(data) if data.overlap.reaches_test else []
    runs = sum(len(network.runs) for network in networks)
    if protocol is not None and protocol.test_opened > runs:
        found.append(
            f"The test set was opened {protocol.test_opened} times for {runs} runs: figures may be chosen on it."
        )
    return found + [f"The audit of the images found a grave fault: {one.title}. {one.effect}" for one in grave]


def caveats(
    networks: Sequence[NetworkResult],
    comparisons: Sequence[PairComparison],
    data: DataFacts,
    protocol: Protocol | None,
) -> list[str]:
    """What makes the figures less certain, or flatters choices but not the test."""
    found = [] if data.overlap.reaches_test else _leaks(data)
    if data.subjects is not None and not data.grouped and not data.overlap.subjects:
        known = "" if data.subjects_trust == "doubtful" else ", although they are known"
        found.append(f"The split does not keep subjects apart{known}.{subjects_told(data)}")
    units = min([pair.units for pair in comparisons], default=data.test.images)
    if units < SMALL:
        what = "image" if units == data.test.images else "subject"
        found.append(f"The test set is small ({count_of(units, what)}): only large differences could show.")
    found += [
        f"In {called(network.name)} more than one spike may arrive at an input in one step; each is counted, but chips "
        "that send single spikes cannot run it as it is."
        for network in networks
        if network.cost.several_spikes
    ]
    if min((len(network.runs) for network in networks), default=2) == 1:
        found.append("There is one seed: another could give other figures, and nobody can tell by how much.")
    if protocol is not None and protocol.quick:
        looked = f"{count_of(protocol.epochs, 'epoch')}, {count_of(len(protocol.seeds), 'seed')}"
        found.append(f"This is a first look ({looked}): the command without --quick gives the answer.")
    if protocol is not None and protocol.opened_elsewhere:
        found.append(
            f"Test images of this set were opened {count_of(protocol.opened_elsewhere, 'time')} in other run folders "
            "beside this one, first looks included: settings that were chosen by what was seen there flatter these "
            "figures, running again does not."
        )
    return found


def _leaks(data: DataFacts) -> list[str]:
    leaks, found = data.overlap, []
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
