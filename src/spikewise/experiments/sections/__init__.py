"""Sections: what is looked into after the test, one module each, and what they have in common.

A section gets a `Study`, the trained networks of a run with their images, and makes a record for `results.json` and, if
it has pictures, arrays for `sections/NAME.npz` of the run folder.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import assert_never

from spikewise.evaluation import Results, write_verdict
from spikewise.evaluation.sections import SectionName, Sections
from spikewise.evaluation.untrained import place_of
from spikewise.experiments.sections.study import Made, Study
from spikewise.files import make_folder, write_npz

__all__ = ["Made", "Study", "arrays_file", "look_into"]


def look_into(study: Study, names: Iterable[SectionName], *, again: bool = False) -> None:
    """Make the named sections of a finished run that are not there yet; each is kept as soon as it is made.

    Args:
        again: make also those that are there.
    """
    folder = study.setting.folder
    for name in names:
        results = Results.load(folder.results)
        if getattr(results.sections, name) is None or again:
            _with(study, results, _made(study, name, results.sections)).save(folder.results)
            (folder.path / "report.html").unlink(missing_ok=True)


def _with(study: Study, results: Results, sections: Sections) -> Results:
    """The results with these sections, and a verdict that knows of them."""
    verdict = write_verdict(
        results.networks,
        results.comparisons,
        results.data,
        results.protocol,
        planned=study.setting.experiment.sections,
        sections=sections,
        collapsed=results.without_collapsed,
        place=place_of(results.kind, study.setting.folder.path),
    )
    return results.model_copy(update={"sections": sections, "verdict": verdict})


def _made(study: Study, name: SectionName, there: Sections) -> Sections:
    started = time.perf_counter()
    made = _make(name, study)
    path = arrays_file(study.setting.folder.path, name)
    path.unlink(missing_ok=True)
    if made.arrays:
        make_folder(path.parent)
        write_npz(path, **made.arrays)
    seconds = {**there.seconds, name: time.perf_counter() - started}
    return there.model_copy(update={name: made.record, "seconds": seconds})


def arrays_file(run: Path, name: str) -> Path:
    """Where a section of a run folder keeps its arrays; it need not be there."""
    return run / "sections" / f"{name}.npz"


def _make(name: SectionName, study: Study) -> Made:
    # Each section's module is loaded when it is made: some bring much with them.
    match name:
        case "audit":
            from spikewise.experiments.sections.audit import make  # noqa: PLC0415
        case "yardsticks":
            from spikewise.experiments.sections.yardsticks import make  # noqa: PLC0415
        case "anytime":
            from spikewise.experiments.sections.anytime import make  # noqa: PLC0415
        case "calibration":
            from spikewise.experiments.sections.calibration import make  # noqa: PLC0415
        case "robustness":
            from spikewise.experiments.sections.robustness import make  # noqa: PLC0415
        case "explanations":
            from spikewise.experiments.sections.explanations import make  # noqa: PLC0415
        case "diagnosis":
            from spikewise.experiments.sections.diagnosis import make  # noqa: PLC0415
        case _:
            assert_never(name)
    return make(study)
