"""Whether the parts of a `results.json` speak of the same networks, seeds, classes and steps.

A file that was edited, cut or put together from two runs may be sound part by part; what is drawn of it later would
fail somewhere, as if the program were at fault.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.anytime import Anytime
from spikewise.evaluation.sections.diagnosis import Diagnosis
from spikewise.evaluation.sections.explanations import Explanations
from spikewise.evaluation.sections.robustness import Robustness
from spikewise.evaluation.sections.yardsticks import Yardsticks

if TYPE_CHECKING:
    from spikewise.evaluation.results import Results

__all__ = ["contradictions"]


def contradictions(results: "Results") -> Iterator[str]:
    """What one part says that another part does not know, in words."""
    names = [network.name for network in results.networks]
    if len(set(names)) != len(names):
        yield f"two networks share a name: {', '.join(names)}"
    for where, name in _named(results):
        if name not in names:
            yield f"{where} names '{name}'; the networks are {', '.join(names)}"
    classes, seeds = len(results.data.classes), set(results.protocol.seeds)
    for network in results.networks:
        for run in network.runs:
            if run.seed not in seeds:
                yield f"'{network.name}' has a run of seed {run.seed}, which is none of the protocol's"
            if run.confusion and any(len(row) != classes for row in (run.confusion, *run.confusion)):
                yield f"the confusion of '{network.name}' is not one of {classes} classes"
    yield from _in_sections(results.sections, classes)


def _named(results: "Results") -> Iterator[tuple[str, str]]:
    """Each place that names a network, with the name."""
    for pair in results.comparisons:
        yield from (("a comparison", name) for name in (pair.a, pair.b))
    if (without := results.without_collapsed) is not None:
        yield from (("without_collapsed", run.network) for run in without.runs)
        yield from (("without_collapsed", name) for name in without.metrics)
        yield from (("without_collapsed", name) for pair in without.comparisons for name in (pair.a, pair.b))
    found = results.sections
    yield from (("yardsticks", one.network) for one in (found.yardsticks.differences if found.yardsticks else ()))
    yield from _of_anytime(found.anytime) if found.anytime else ()
    yield from (("calibration", one.network) for one in (found.calibration.networks if found.calibration else ()))
    yield from _of_robustness(found.robustness) if found.robustness else ()
    yield from (("explanations", one.network) for one in (found.explanations.networks if found.explanations else ()))
    yield from _of_diagnosis(found.diagnosis) if found.diagnosis else ()


def _of_anytime(section: Anytime) -> Iterator[tuple[str, str]]:
    yield from (("anytime", one.network) for one in section.networks)
    yield from (("anytime", one.network) for one in section.options)


def _of_robustness(section: Robustness) -> Iterator[tuple[str, str]]:
    curves = [curve for one in section.disturbances for curve in one.curves]
    for family in section.families:
        yield from (("robustness", one.network) for one in family.clean)
        yield from (("robustness", one.network) for one in family.scores)
        yield from (("robustness", one.network) for one in family.gradients)
        yield from (("robustness", name) for pair in family.differences for name in (pair.a, pair.b))
    yield from (("robustness", curve.network) for curve in curves)


def _of_diagnosis(section: Diagnosis) -> Iterator[tuple[str, str]]:
    yield from (("diagnosis", one.network) for one in section.findings)
    yield from (("diagnosis", one.network) for one in section.networks)


def _in_sections(sections: Sections, classes: int) -> Iterator[str]:
    """What the parts of one section say of each other."""
    yield from _lengths(sections.robustness) if sections.robustness else ()
    yield from _explained(sections.explanations, classes) if sections.explanations else ()
    yield from _yardsticks(sections.yardsticks) if sections.yardsticks else ()


def _lengths(section: Robustness) -> Iterator[str]:
    for one in section.disturbances:
        for curve in one.curves:
            if {len(curve.accuracy), len(curve.low), len(curve.high)} != {len(one.strengths)}:
                yield f"robustness: a curve of '{one.name}' has other points than its {len(one.strengths)} strengths"


def _explained(section: Explanations, classes: int) -> Iterator[str]:
    for network in section.networks:
        known = {one.method for one in network.random_weights}
        if not network.deletion or not {one.method for one in network.deletion} <= known:
            yield f"explanations: the checks of '{network.network}' are of other methods than its random weights"
        for one in network.deletion:
            curves = (one.curve_top, one.curve_bottom, one.curve_random, one.curve_brightest)
            if {len(curve) for curve in curves} != {len(one.shares)}:
                yield f"explanations: a curve of '{network.network}' has other points than its {len(one.shares)} shares"
    for image in section.shown:
        if {len(image.answers), len(image.probabilities)} != {len(section.networks)}:
            yield f"explanations: an image has {len(image.answers)} answers of {len(section.networks)} networks"
        if max(image.label, *image.answers, 0) >= classes:
            yield f"explanations: an image has a class beyond the {classes} of the run"


def _yardsticks(section: Yardsticks) -> Iterator[str]:
    models = {one.name for one in section.models}
    for one in section.differences:
        if one.yardstick not in models:
            yield f"yardsticks: a difference is from '{one.yardstick}', which is not among them"
