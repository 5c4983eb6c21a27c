"""Sides that did not train properly: they are not beaten, they are broken; and the setting that mends them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from spikewise.evaluation.collapse import collapsed_runs
from spikewise.evaluation.data_facts import DataFacts
from spikewise.evaluation.reservations import at_chance
from spikewise.evaluation.results import NetworkResult
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.diagnosis import NetworkFinding
from spikewise.evaluation.wording import called, count_of, listed, seeds_named, shares
from spikewise.shell import word

__all__ = [
    "Fault",
    "RunPlace",
    "advice_for",
    "faults_of",
    "faults_told",
    "place_of",
    "remedy_for",
    "rerun",
    "search_for",
]

_SEEN: Final = {"4 x 4 pixels": "16 grey areas (4 x 4 pixels)", "mean and contrast": "brightness and contrast"}
"""Clues of the audit that a network sees, too, in words."""
_EASY: Final = 0.9
"""Skill of a clue (0 is guessing, 1 is perfect) from which a network must be surely worse to be called no better."""


class RunPlace(NamedTuple):
    """Where a run is, for commands to copy: its kind, and its folder as seen from where the command is given."""

    kind: str
    folder: Path


def place_of(kind: str, folder: Path) -> RunPlace:
    """As the run was started; of an absolute path its name alone, which results that are passed on may show."""
    return RunPlace(kind, Path(folder.name) if folder.is_absolute() else folder)


class Fault(NamedTuple):
    """One reason to think that a network did not train properly."""

    network: str
    singular: str
    """What is said of it after its name."""
    plural: str
    """The same of several networks."""


def faults_of(networks: Sequence[NetworkResult], data: DataFacts, sections: Sections | None) -> dict[str, Fault]:
    """For each network that did not train properly the first reason: chance, collapse, a fault, a simple clue."""
    found: dict[str, Fault] = {}
    for network in networks:
        fault = _chance(network) or _collapse(network) or _serious(network, sections) or _clue(network, data, sections)
        if fault is not None:
            found[network.name] = fault
    return found


def faults_told(faults: Sequence[Fault]) -> str:
    """The networks with what is wrong, those with the same fault together."""
    told = []
    for words in dict.fromkeys(fault.singular for fault in faults):
        same = [fault for fault in faults if fault.singular == words]
        told.append(f"{listed([called(one.network) for one in same])} {words if len(same) == 1 else same[0].plural}")
    return "; ".join(told)


def remedy_for(names: Sequence[str], sections: Sections | None, place: RunPlace | None) -> str | None:
    """The command that runs once more with the gravest finding's settings; None where the diagnosis knows of none."""
    if place is None:
        return None
    advice = advice_for(names, sections)
    return None if advice is None else rerun([advice], place)


def search_for(place: RunPlace) -> str:
    """The command that looks for what is wrong."""
    return f"spikewise diagnose {word(place.folder)}"


def advice_for(names: Sequence[str], sections: Sections | None) -> NetworkFinding | None:
    """The gravest finding about these networks that comes with a setting; what is only worth knowing is left out."""
    findings = () if sections is None or sections.diagnosis is None else sections.diagnosis.findings
    usable = [one for one in findings if one.network in names and one.settings and one.severity != "note"]
    return min(usable, key=lambda one: one.severity != "serious", default=None)


def rerun(findings: Sequence[NetworkFinding], place: RunPlace) -> str:
    """The command that runs once more with what the first usable finding advises; empty where none has a setting."""
    settings = next((one.settings for one in findings if one.settings and one.severity != "note"), ())
    if not settings:
        return ""
    file = word(place.folder / "experiment.toml")
    return " ".join([f"spikewise {place.kind} --config {file}", *(f"--set {word(one)}" for one in settings)])


def _chance(network: NetworkResult) -> Fault | None:
    if not at_chance(network):
        return None
    words = "not shown to be better than guessing"
    return Fault(network.name, f"is {words}", f"are {words}")


def _collapse(network: NetworkResult) -> Fault | None:
    own = collapsed_runs([network])
    if not own:
        return None
    where = seeds_named([str(one.seed) for one in own])
    words = f"learned nothing in {len(own)} of {count_of(len(network.runs), 'training')} ({where})"
    return Fault(network.name, words, words)


def _serious(network: NetworkResult, sections: Sections | None) -> Fault | None:
    findings = () if sections is None or sections.diagnosis is None else sections.diagnosis.findings
    found = next((one for one in findings if one.network == network.name and one.severity == "serious"), None)
    if found is None:
        return None
    where = "" if found.layer is None else f" in {found.layer}"
    words = f"did not train properly ({found.code.replace('_', ' ')}{where})"
    return Fault(network.name, words, words)


def _clue(network: NetworkResult, data: DataFacts, sections: Sections | None) -> Fault | None:
    """No better at telling classes apart than a small classifier that sees next to nothing of an image.

    The clue's figure is of folds over all parts, so where the test part is of another kind (published splits of
    clinics) it is no match for a figure on it: a network that was better on validation images has learned.
    """
    balanced = network.metrics.get("balanced_accuracy")
    probes = [] if sections is None or sections.audit is None else list(sections.audit.probes)
    seen = [one for one in probes if one.target == "label" and one.clue in _SEEN]
    best = max(
        (one for one in seen if round(1 / one.chance) == len(data.classes)), key=lambda one: one.score, default=None
    )
    if balanced is None or best is None:
        return None
    on_validation = _on_validation(network)
    own = max(balanced.mean, on_validation)
    if own > best.score:
        return None
    if best.skill >= _EASY and (best.low is None or balanced.mean > best.low):
        return None
    where = " on validation images" if on_validation > balanced.mean else ""
    words = f"no better than what {_SEEN[best.clue]} alone tell ({shares(own, best.score)} mean recall{where})"
    return Fault(network.name, f"is {words}", f"are {words}")


def _on_validation(network: NetworkResult) -> float:
    """Mean recall on validation images, mean over runs; 0 where there is none."""
    found = [run.validation.get("balanced_accuracy") for run in network.runs]
    known = [one for one in found if one is not None]
    return sum(known) / len(known) if known else 0.0
