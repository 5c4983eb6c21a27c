"""Yardsticks: always giving one answer, and three simple classifiers on the pixels, on the split of a run.

What a spiking network and its twin are worth on some images depends on what a classifier gives that trains in seconds.
Settings are chosen on validation images alone. Cost is bounded: at most 5,000 training images, evenly spread, and at
most 1,024 values of an image, neighbouring pixels averaged.

Source: Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2009, sections 4.4 (logistic
regression), 12.3 (support vectors) and 13.3 (nearest neighbours); classifiers: scikit-learn.
"""

import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8

from spikewise.evaluation.diagnosis.probe import pixel_features
from spikewise.evaluation.sections.yardsticks import YardstickName

__all__ = ["MOST_IMAGES", "Answered", "LabelledImages", "answer_all", "features_of"]

MOST_IMAGES: Final = 5000
_MOST_STEPS: Final = 300


class LabelledImages(NamedTuple):
    """Images of one part of the split, with their labels."""

    images: UInt8[np.ndarray, "N C H W"]
    labels: Int[np.ndarray, " N"]


class Answered(NamedTuple):
    """What one yardstick said about the test images."""

    name: YardstickName
    setting: str
    validation_accuracy: float | None
    right: Bool[np.ndarray, " N"]


class _Tried(NamedTuple):
    setting: str
    make: Callable[[], Any]  # a scikit-learn classifier: they have no common type


def features_of(images: UInt8[np.ndarray, "N C H W"]) -> int:
    """Values of an image that the classifiers see."""
    return int(pixel_features(images[:1]).shape[1])


def answer_all(
    train: LabelledImages, validation: LabelledImages, test: LabelledImages, classes: tuple[str, ...]
) -> list[Answered]:
    """Guessing, logistic regression, nearest neighbours and a support vector machine, in this order.

    Without validation images, or with training images of one class, there is guessing alone.
    """
    every = max(1, -(-len(train.labels) // MOST_IMAGES))
    part = LabelledImages(train.images[::every], train.labels[::every])
    majority = int(np.bincount(train.labels).argmax())
    found = [
        Answered(
            "guessing", f"always {classes[majority]}", _share(validation.labels == majority), test.labels == majority
        )
    ]
    if not len(validation.labels) or len(np.unique(part.labels)) < 2:
        return found
    x, v, t = (pixel_features(one.images) for one in (part, validation, test))
    mean, scale = x.mean(0), max(float(x.std()), 1e-9)
    x, v, t = ((one - mean) / scale for one in (x, v, t))
    for name, tried in _tried(len(part.labels), x.shape[1]).items():
        best: tuple[float, str, Any] | None = None
        for one in tried:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a solver that stops at its last step is as good as it got
                fitted = one.make().fit(x, part.labels)
            accuracy = float((fitted.predict(v) == validation.labels).mean())
            if best is None or accuracy > best[0]:
                best = (accuracy, one.setting, fitted)
        assert best is not None
        found.append(Answered(name, best[1], best[0], np.asarray(best[2].predict(t) == test.labels)))
    return found


def _tried(images: int, features: int) -> dict[YardstickName, list[_Tried]]:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  # takes long to load
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    def logistic(c: float) -> _Tried:
        return _Tried(f"C = {c:g}", lambda: LogisticRegression(C=c, max_iter=_MOST_STEPS))

    def neighbours(k: int) -> _Tried:
        return _Tried(f"{k} neighbours", lambda: KNeighborsClassifier(k))

    def svm(c: float, width: float) -> _Tried:
        gamma = width / features
        return _Tried(f"C = {c:g}, gamma = {gamma:.3g}", lambda: SVC(C=c, gamma=gamma))

    return {
        "logistic regression": [logistic(c) for c in (0.001, 0.01, 0.1)],
        "nearest neighbours": [neighbours(k) for k in (1, 3, 5, 11) if k < images],
        "SVM (RBF)": [svm(c, width) for c, width in ((1, 1), (10, 1), (10, 3))],
    }


def _share(right: Bool[np.ndarray, " N"]) -> float | None:
    return float(right.mean()) if right.size else None
