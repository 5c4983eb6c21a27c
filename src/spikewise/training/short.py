"""A short training: the whole schedule in a part of the updates, to see what a learning rate is good for."""

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.counter import permutation
from spikewise.training.update import Task

__all__ = ["Short", "is_long_enough", "short_task"]

_SUBSET = 11  # purpose of random numbers
_SHARE: Final = 0.25
"""Of the updates of the training itself."""
_LEAST_EPOCHS, _LEAST_UPDATES, _MOST_UPDATES = 2, 50, 400
_MOST_JUDGES: Final = 2_000
"""Validation images that tell learning rates apart: the same for all, so that their differences count alone."""


class Short(NamedTuple):
    """A short training, and its size."""

    task: Task
    updates: int


def short_task(task: Task) -> Short:
    """The task in a quarter of its updates, 2 epochs and 50 at least, 400 at most, and never more than it has.

    Images are left out, at random, only where a single epoch would be too long.
    """
    train = task.train.resolved(len(task.split.train))
    assert train.epochs != "auto"
    size = train.batch_size
    each = -(-len(task.split.train) // size)
    wanted = max(_SHARE * train.epochs * each, _LEAST_EPOCHS * each, _LEAST_UPDATES)
    wanted = min(wanted, _MOST_UPDATES, train.epochs * each)
    epochs = max(1, round(wanted / each))
    share = epochs / train.epochs
    some = _some(task, task.split.train, round(wanted) * size)
    short = train.replace(
        epochs=epochs,
        schedule=train.schedule.compressed(share),
        warmup_epochs=train.warmup_epochs * share,
        keep="last",
        patience=None,
    )
    parts = task.split._replace(train=some, validation=_some(task, task.split.validation, _MOST_JUDGES))
    return Short(replace(task, split=parts, train=short), epochs * -(-len(some) // size))


def is_long_enough(task: Task) -> bool:
    """Whether its short training has the share of the updates that it is meant to have: the most did not cut it."""
    train = task.train.resolved(len(task.split.train))
    assert train.epochs != "auto"
    return _SHARE * train.epochs * -(-len(task.split.train) // train.batch_size) <= _MOST_UPDATES


def _some(task: Task, part: Int64[np.ndarray, " n"], count: int) -> Int64[np.ndarray, " m"]:
    """So many of the images of a part, drawn by the seed; the first of each class among them."""
    if count >= len(part):
        return part
    order = permutation(len(part), task.seed, _SUBSET)
    _, firsts = np.unique(task.images.labels[part[order]], return_index=True)
    chosen = np.union1d(order[:count], order[firsts])
    some: Int64[np.ndarray, " m"] = part[chosen]
    return some
