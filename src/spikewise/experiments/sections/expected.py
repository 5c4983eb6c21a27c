"""How long sections will take, from how long the networks took to train and to answer.

Figures of work were counted, or fitted on digits and MNIST; a section's own time is watched while it is made, so that
an error here costs images, not minutes.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, assert_never

from spikewise.evaluation import NetworkResult, Results
from spikewise.evaluation.anytime import spread_steps
from spikewise.evaluation.sections import SectionName
from spikewise.evaluation.sections.robustness import FAMILIES, Family
from spikewise.evaluation.yardsticks import MOST_IMAGES, features_of
from spikewise.experiments.sections.study import Study

__all__ = ["Pace", "family_seconds", "paces_of", "section_seconds"]

_PASSES: Final[Mapping[Family, int]] = {"corruptions": 60, "spikes": 15, "weights": 12, "neurons": 6, "attacks": 75}
"""Answers to each image; for attacks gradients."""
_FOLLOWED: Final = 3
"""Answers that following an image step by step costs."""
_TIMED: Final = 0.5
"""Seconds, for each seed, of timing steps and counting spikes on some images."""
_RANKED: Final = 1e-6
"""Seconds, for each test image, class and seed, of judging the answers of a step."""
_EXPLAINED: Final = 70 * 140
"""Gradients: of so many images, and for each."""
_EXAMINED: Final = 64 * 20 + 12 * 6 * 64
"""Gradients of a diagnosis: of its batch, and of trials of learning rates."""
_FITTED: Final = 2e-9
"""Seconds of the yardsticks for each value of a pair of images."""
_LEAST: Final = 0.3
"""Seconds of any section: loading what it needs, and intervals."""


class Pace(NamedTuple):
    """How fast one network is: seconds for an image."""

    answer: float
    learn: float
    """Forward and backward, validation included."""


def paces_of(study: Study, results: Results) -> dict[str, Pace]:
    """Of each network, as its training and the test have shown."""
    images = len(study.setting.split.train)
    return {network.name: _pace(network, images) for network in results.networks}


def section_seconds(name: SectionName, study: Study, paces: Mapping[str, Pace]) -> float:
    """How long a section will take if it is made as a whole."""
    setting, seeds = study.setting, len(study.setting.experiment.seeds)
    test, validation = len(setting.split.test), len(setting.split.validation)
    own = [paces[one.name] for one in study.candidates]
    match name:
        case "audit":  # it was made before the training
            work = 0.0
        case "yardsticks":
            count = min(len(setting.split.train), MOST_IMAGES)
            work = _FITTED * count**2 * features_of(setting.images.images[:1])
        case "anytime":
            steps = [paces[one.name] for one in study.candidates if one.graph.steps > 1]
            work = seeds * ((test + validation) * _FOLLOWED * sum(one.answer for one in steps) + _TIMED * len(steps))
            judged = len(spread_steps(setting.steps)) * test * len(setting.images.classes) * seeds * len(steps)
            work += _RANKED * judged
        case "calibration":
            work = seeds * validation * sum(one.answer for one in own)
        case "robustness":
            work = sum(family_seconds(study, paces, family) for family in FAMILIES)
        case "explanations":
            shown = [paces[one.name] for one in study.candidates if one.role != "baseline"] or own
            work = _EXPLAINED * sum(one.learn for one in shown)
        case "diagnosis":
            work = sum(seeds * validation * one.answer + _EXAMINED * one.learn for one in own)
        case _:
            assert_never(name)
    return _LEAST + work


def family_seconds(study: Study, paces: Mapping[str, Pace], family: Family) -> float:
    """How long one family of disturbances will take on as many images as are usual."""
    from spikewise.experiments.sections.robustness import default_images  # noqa: PLC0415  # it brings much with it

    own = [paces[one.name] for one in study.candidates]
    images, seeds = default_images(study, family), len(study.setting.experiment.seeds)
    if family == "attacks":
        return images * _PASSES[family] * sum(one.learn for one in own)
    return images * seeds * _PASSES[family] * sum(one.answer for one in own)


def _pace(network: NetworkResult, train_images: int) -> Pace:
    """As fast as it has shown itself: a first epoch, or a busy moment, is slower."""
    epochs = [epoch.seconds for run in network.runs for epoch in run.history]
    learn = min(epochs, default=0.0) / max(train_images, 1)
    throughput = network.cost.throughput_images_per_second
    return Pace(1 / throughput if throughput else learn / 3, learn)
