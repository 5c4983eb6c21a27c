"""The section on robustness."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from spikewise.data.counter import permutation
from spikewise.evaluation import Results
from spikewise.evaluation.robustness import (
    MOST_IMAGES,
    Images,
    RobustnessResult,
    RobustnessScope,
    TrainedCandidate,
    default_count,
    examine,
    merged,
)
from spikewise.evaluation.sections.robustness import FAMILIES, Family, Robustness
from spikewise.experiments.sections import with_sections
from spikewise.experiments.sections.expected import family_seconds, paces_of
from spikewise.experiments.sections.study import FEWEST, SectionResult, Study
from spikewise.files import make_folder, write_npz
from spikewise.report.sections.robustness import stored_examples

__all__ = ["default_images", "make", "remake"]

_CHOICE = 207  # purpose of random numbers


def make(study: Study) -> SectionResult:
    """What is left of every network's accuracy when images, spikes, weights or neurons are disturbed.

    Where time is short, one family after the other is made with as many images as the time allows; what comes too late
    is left out.
    """
    return _made(study, RobustnessScope()) if study.left is None else _within(study, study.left)


def _within(study: Study, left: Callable[[], float]) -> SectionResult:
    paces = paces_of(study, Results.load(study.setting.folder.results))
    waiting = {family: family_seconds(study, paces, family) for family in FAMILIES}
    record, arrays, less, slower = None, dict[str, np.ndarray](), list[str](), 1.0
    for family in FAMILIES:
        default, expected = default_images(study, family), max(waiting[family], 1e-9)
        allowed = left() / (slower * max(sum(waiting.values()), 1e-9))  # of all families that wait, alike
        count = min(default, int(allowed * default))
        del waiting[family]
        if count < min(FEWEST, default):
            less.append(f"no {family}")
            continue
        started = time.perf_counter()
        found = _made(study, RobustnessScope(images=count, families=(family,)))
        slower = max((time.perf_counter() - started) / (expected * count / default), 1e-3)
        assert isinstance(found.record, Robustness)
        record, arrays = merged(record, found.record), arrays | dict(found.arrays)
        less += [f"{family} on {count:,} of {default:,} images"] if count < default else []
    return SectionResult(record, arrays, ", ".join(less))


def default_images(study: Study, family: Family) -> int:
    """Test images on which a family is made where there is time enough."""
    return default_count([one.graph for one in study.candidates], len(study.setting.split.test), family)


def remake(study: Study, scope: RobustnessScope, arrays: Path) -> None:
    """Make some families of a finished run's section again, or for the first time; the others stay as they are.

    Args:
        arrays: the run's file of example images.
    """
    started = time.perf_counter()
    path = study.setting.folder.results
    made = _made(study, scope)
    results = Results.load(path)
    assert isinstance(made.record, Robustness)
    record = merged(results.sections.robustness, made.record)
    if made.arrays:
        make_folder(arrays.parent)
        write_npz(arrays, **{**stored_examples(arrays), **made.arrays})
    there = results.sections
    seconds = {**there.seconds, "robustness": time.perf_counter() - started}
    less = {**there.less, "robustness": _still_less(there.less.get("robustness", ""), scope.families)}
    skipped = {name: why for name, why in there.skipped.items() if name != "robustness"}
    update = {
        "robustness": record,
        "seconds": seconds,
        "less": {k: v for k, v in less.items() if v},
        "skipped": skipped,
    }
    with_sections(study, results, there.model_copy(update=update)).save(path)


def _still_less(words: str, made: Collection[Family]) -> str:
    """What `_within` said of the families that have not been made again since."""
    return ", ".join(told for told in words.split(", ") if not set(told.split()) & set(made))


def _made(study: Study, scope: RobustnessScope) -> SectionResult:
    found = _examined(study, scope)
    return SectionResult(found.record, found.examples if study.setting.images.publishable else {})


def _examined(study: Study, scope: RobustnessScope) -> RobustnessResult:
    setting = study.setting
    seeds = setting.experiment.seeds
    candidates = [
        TrainedCandidate(one.name, [setting.trained(one, seed) for seed in seeds], seeds)
        for one in sorted(study.candidates, key=lambda one: one.role != "spiking")
    ]
    roles = {one.role: one.name for one in study.candidates}
    images = _test_images(study, scope.images or MOST_IMAGES)
    return examine(candidates, images, scope, attack_from=roles.get("twin", roles.get("baseline")))


def _test_images(study: Study, most: int) -> Images:
    """Test images in an order that is random, and the same in every run on the same split."""
    images, test = study.setting.images, study.setting.split.test
    index = test[permutation(len(test), 0, _CHOICE)][:most]
    groups = None if images.groups is None else images.groups[index]
    return Images(np.ascontiguousarray(images.images[index]), images.labels[index], index, groups)
