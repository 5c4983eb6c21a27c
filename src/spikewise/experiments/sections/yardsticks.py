"""The section on yardsticks."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from spikewise.data import ImageSet, Split
from spikewise.evaluation.metrics import correct
from spikewise.evaluation.sections.yardsticks import Yardstick, YardstickDifference, Yardsticks
from spikewise.evaluation.statistics import bootstrap_seeds_and_images, paired_difference, wilson_estimate
from spikewise.evaluation.yardsticks import MOST_IMAGES, Answered, LabelledImages, answer_all, features_of
from spikewise.experiments.sections.study import SectionResult, Study

__all__ = ["make", "yardsticks_of"]

_COVERS = "over other test images; a yardstick has no seed"


def make(study: Study) -> SectionResult:
    """What simple classifiers make of the run's split, and how far each network is from them."""
    right = {}
    for candidate in study.candidates:
        said = [study.test(candidate, seed) for seed in study.setting.experiment.seeds]
        right[candidate.name] = np.stack([correct(one.labels, one.probabilities) for one in said])
    default = min(len(study.setting.split.train), MOST_IMAGES)
    most = study.few(default)
    record = yardsticks_of(study.setting.images, study.setting.split, right, most=most)
    return SectionResult(record, less=f"{record.train_images:,} training images" if most < default else "")


def yardsticks_of(
    images: ImageSet, parts: Split, right: Mapping[str, Bool[np.ndarray, "S N"]], *, most: int = MOST_IMAGES
) -> Yardsticks:
    """The same for whatever answered.

    Args:
        right: by network, whether each seed's answer to each test image is right.
        most: training images that the classifiers learn from.
    """
    groups = None if images.groups is None else images.groups[parts.test]
    train, validation, test = (
        LabelledImages(images.images[index], images.labels[index])
        for index in (parts.train, parts.validation, parts.test)
    )
    every = max(1, -(-len(parts.train) // most))
    found = answer_all(LabelledImages(train.images[::every], train.labels[::every]), validation, test, images.classes)
    differences = [
        YardstickDifference(
            network=name, yardstick=one.name, difference=paired_difference(answers, one.right[None], groups).estimate
        )
        for name, answers in right.items()
        for one in found
    ]
    return Yardsticks(
        models=tuple(_record(one, groups) for one in found),
        differences=tuple(differences),
        train_images=len(train.labels[::every]),
        of_train_images=len(train.labels),
        features=features_of(train.images),
    )


def _record(one: Answered, groups: np.ndarray | None) -> Yardstick:
    if groups is None:
        estimate = wilson_estimate(int(one.right.sum()), one.right.size)
    else:
        estimate = bootstrap_seeds_and_images(one.right[None], groups)
    method = f"{estimate.method.split(':')[0]}, {_COVERS}"
    return Yardstick(
        name=one.name,
        setting=one.setting,
        validation_accuracy=one.validation_accuracy,
        accuracy=estimate.replace(method=method),
    )
