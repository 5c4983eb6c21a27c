"""The section on yardsticks."""

import numpy as np

from spikewise.evaluation.metrics import correct
from spikewise.evaluation.sections.yardsticks import Yardstick, YardstickDifference, Yardsticks
from spikewise.evaluation.statistics import bootstrap_seeds_and_images, paired_difference, wilson_estimate
from spikewise.evaluation.yardsticks import MOST_IMAGES, Answered, Part, answer_all, features_of
from spikewise.experiments.sections.study import Made, Study

__all__ = ["make"]

_COVERS = "over other test images; a yardstick has no seed"


def make(study: Study) -> Made:
    """What simple classifiers make of the run's split, and how far each network is from them."""
    setting = study.setting
    images, parts = setting.images, setting.split
    groups = None if images.groups is None else images.groups[parts.test]
    train, validation, test = (
        Part(images.images[index], images.labels[index]) for index in (parts.train, parts.validation, parts.test)
    )
    found = answer_all(train, validation, test, images.classes)
    every = max(1, -(-len(parts.train) // MOST_IMAGES))
    models = tuple(_record(one, groups) for one in found)
    differences = []
    for contestant in study.contestants:
        said = [study.test(contestant, seed) for seed in setting.experiment.seeds]
        right = np.stack([correct(one.labels, one.probabilities) for one in said])
        for one in found:
            estimate = paired_difference(right, one.right[None], groups).estimate
            differences.append(YardstickDifference(network=contestant.name, yardstick=one.name, difference=estimate))
    record = Yardsticks(
        models=models,
        differences=tuple(differences),
        train_images=len(train.labels[::every]),
        of_train_images=len(train.labels),
        features=features_of(train.images),
    )
    return Made(record)


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
