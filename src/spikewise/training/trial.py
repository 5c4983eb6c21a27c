"""How fast a network trains on its device: a few steps, measured."""

import contextlib
import time
from dataclasses import replace

from spikewise.exact import exact_arithmetic
from spikewise.network import Network
from spikewise.training.epochs import Epochs
from spikewise.training.loop import epochs_of
from spikewise.training.update import Learner, Task

__all__ = ["training_speed", "trial_of"]

_BATCHES = 32
"""Of a pass at most."""
_SECONDS = 1.0
"""After which a pass of a processor is long enough; a GPU's cannot be stopped, and is short."""
_PASSES = 2


class _Enough(Exception):
    """The pass need not go on."""


def trial_of(task: Task) -> Task:
    """The part of a task whose steps are measured."""
    some = task.split.train[: _BATCHES * task.train.batch_size]
    train = task.train.resolved(len(task.split.train)).replace(class_weights=False)  # a part may lack a class
    return replace(task, split=task.split._replace(train=some), train=train)


def training_speed(network: Network, task: Task) -> float:
    """Images a second in training steps; the first pass is left out, in which kernels are compiled, steps recorded.

    It trains the network: give one that is not needed.

    Raises:
        TrainingError: it cannot be trained there: the memory is too small, or the loss is not a number.
    """
    with exact_arithmetic():
        passes = epochs_of(Learner(network, trial_of(task)))
        return max([_speed(passes, epoch) for epoch in range(1, _PASSES + 2)][1:])


def _speed(passes: Epochs, epoch: int) -> float:
    """Images a second of one pass, or of its beginning."""
    started = time.perf_counter()
    done, seconds = 0, 1.0

    def seen(images: int, loss: float) -> None:
        nonlocal done, seconds
        del loss
        done, seconds = images, time.perf_counter() - started
        if seconds > _SECONDS and passes.can_stop:
            raise _Enough

    passes.launch(epoch)
    with contextlib.suppress(_Enough):
        passes.collect(seen)
    return done / seconds
