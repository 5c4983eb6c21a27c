"""Sections: what is looked into after the test, one module each, and what they have in common.

A section gets a `Study`, the trained networks of a run with their images, and makes a record for `results.json` and, if
it has pictures, arrays for `sections/NAME.npz` of the run folder.
"""

import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

from spikewise.evaluation import Results, write_verdict
from spikewise.evaluation.sections import SectionName, Sections
from spikewise.evaluation.untrained import place_of
from spikewise.experiments.sections.study import SectionResult, Study
from spikewise.files import make_folder, write_npz

__all__ = ["SectionResult", "Study", "arrays_file", "keep_section", "note_skipped", "run_analyses",
           "with_sections"]  # fmt: skip


def run_analyses(study: Study, names: Iterable[SectionName], *, again: bool = False) -> None:
    """Make the named sections of a finished run that are not there yet; each is kept as soon as it is made.

    Args:
        again: make also those that are there.
    """
    for name in names:
        if getattr(Results.load(study.setting.folder.results).sections, name) is None or again:
            keep_section(study, name)


def keep_section(study: Study, name: SectionName, *, besides: str = "") -> bool:
    """Make one section and keep it; False where the time that the study has was too short for any of it.

    Args:
        besides: what is less than usual in it whatever it says itself.
    """
    path = study.setting.folder.results
    sections = _made(study, name, Results.load(path).sections, besides)
    if sections is not None:
        with_sections(study, Results.load(path), sections).save(path)
    return sections is not None


def note_skipped(study: Study, name: SectionName, why: str) -> None:
    """Record why a section was left out."""
    path = study.setting.folder.results
    results = Results.load(path)
    sections = results.sections.model_copy(update={"skipped": {**results.sections.skipped, name: why}})
    with_sections(study, results, sections).save(path)


def with_sections(study: Study, results: Results, sections: Sections) -> Results:
    """The results with these sections, and a verdict that knows of them."""
    verdict = write_verdict(
        results.networks,
        results.comparisons,
        results.data,
        results.protocol,
        planned=[name for name in study.setting.experiment.sections if name not in sections.skipped],
        sections=sections,
        collapsed=results.without_collapsed,
        place=place_of(results.kind, study.setting.folder.path),
    )
    return results.model_copy(update={"sections": sections, "verdict": verdict})


def _made(study: Study, name: SectionName, there: Sections, besides: str) -> Sections | None:
    started = time.perf_counter()
    made = _make(name, study)
    if made.record is None:
        return None
    path = arrays_file(study.setting.folder.path, name)
    path.unlink(missing_ok=True)
    if made.arrays:
        make_folder(path.parent)
        write_npz(path, **made.arrays)
    took, words = time.perf_counter() - started, "; ".join(one for one in (made.less, besides) if one)
    seconds = {**there.seconds, name: took + (there.seconds.get(name, 0.0) if name == "audit" else 0.0)}
    less = _without(there.less, name)
    if words:
        less[name] = words
    update = {name: made.record, "seconds": seconds, "less": less, "skipped": _without(there.skipped, name)}
    return there.model_copy(update=update)


def _without(words: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: text for key, text in words.items() if key != name}


def arrays_file(run: Path, name: str) -> Path:
    """Where a section of a run folder keeps its arrays; it need not be there."""
    return run / "sections" / f"{name}.npz"


def _make(name: SectionName, study: Study) -> SectionResult:
    # Each section's module is loaded when it is made: some bring much with them.
    made: SectionResult = import_module(f"{__name__}.{name}").make(study)
    return made
