"""Records of the section on yardsticks: what simple classifiers make of the same split."""

from typing import Literal

from spikewise.evaluation.record import Count, Estimate, Many, Record, Share

__all__ = ["Yardstick", "YardstickDifference", "YardstickName", "Yardsticks"]

YardstickName = Literal["guessing", "logistic regression", "nearest neighbours", "SVM (RBF)"]


class Yardstick(Record):
    """One classifier on the pixels, its setting chosen on validation images."""

    name: YardstickName
    setting: str
    """What was chosen, such as "C = 10"; for guessing the class that is always answered."""
    validation_accuracy: Share | None
    accuracy: Estimate
    """On the test images. Its interval covers other test images: these classifiers have no seed."""


class YardstickDifference(Record):
    """A network's accuracy minus a yardstick's, on the same test images."""

    network: str
    yardstick: YardstickName
    difference: Estimate


class Yardsticks(Record):
    """Guessing and simple classifiers beside the networks of a run."""

    models: Many[Yardstick]
    differences: Many[YardstickDifference]
    train_images: Count
    """Used for training, evenly spread over the training part."""
    of_train_images: Count
    features: Count
    """Values of an image, after neighbouring pixels of large images were averaged."""
