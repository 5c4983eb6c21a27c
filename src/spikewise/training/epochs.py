"""One pass over the training part on a processor: it looks at the loss and the weights after every batch."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from spikewise.data import batches
from spikewise.errors import EngineError
from spikewise.memory import ran_out_of_memory, stop_keeping_if_short
from spikewise.training.group import ProcessGroup
from spikewise.training.health import all_finite, divergence, first_bad_weight
from spikewise.training.memory import out_of_memory
from spikewise.training.shards import ShardedUpdates
from spikewise.training.update import BatchFigures, Learner, WholeUpdates

__all__ = ["Epochs", "HostEpochs", "Pass", "learning_rates"]

Seen = Callable[[int, float], None]
"""Told how many images are done, and their mean loss."""


class Pass(NamedTuple):
    """One pass over the training part."""

    loss: float
    """Mean over the images of what was minimised, each batch by the weights it met."""
    cross_entropy: float
    """Mean of it over the same batches, nothing added, in nats."""
    accuracy: float
    learning_rate: float
    """Of the last batch."""


@runtime_checkable
class Epochs(Protocol):
    """Makes a network's passes over the training part."""

    @property
    def how(self) -> str:
        """How its steps run, in words."""

    @property
    def can_stop(self) -> bool:
        """Whether work that is not waited for is never done."""

    @property
    def caution(self) -> str | None:
        """Why they run slower than they should here, if they do."""

    def launch(self, epoch: int) -> None:
        """Give the device all it needs to make the pass, without waiting for it."""

    def collect(self, seen: Seen) -> Pass:
        """Wait for the pass, and say how far it is.

        Raises:
            TrainingError: the loss or the weights are not numbers any more; it names the batch.
        """


def learning_rates(learner: Learner, epoch: int) -> list[float]:
    """Learning rate of each batch of an epoch (from 1)."""
    config = learner.task.train
    count = -(-len(learner.task.split.train) // config.batch_size)
    # The middle of the batch: no update is lost at either end of a schedule, however few there are.
    return [config.learning_rate_at(epoch - 1 + (number + 0.5) / count) for number in range(count)]


@runtime_checkable
class Updates(Protocol):
    """Makes the updates of a network, one after the other."""

    def figures(self, index: Int[np.ndarray, " B"], epoch: int) -> BatchFigures:
        """Have the network answer the images at some positions of the set."""

    def learn(self, rate: float) -> None:
        """One step of the optimizer by what it answered."""


class HostEpochs:
    """Batch by batch, each looked at before the next.

    Args:
        group: the processes that share each batch; None is this one alone.
    """

    can_stop = True

    def __init__(self, learner: Learner, group: ProcessGroup | None = None) -> None:
        self._learner, self._task = learner, learner.task
        whole = learner.task.train.shards == 1 and group is None
        self._updates: Updates = WholeUpdates(learner) if whole else ShardedUpdates(learner, group)
        self._epoch = 0

    @property
    def how(self) -> str:
        """One after the other."""
        return "step by step"

    @property
    def caution(self) -> str | None:
        """A processor has one way only."""
        return None

    def launch(self, epoch: int) -> None:
        """Nothing is done before it is waited for."""
        self._epoch = epoch

    def collect(self, seen: Seen) -> Pass:
        """Make the pass."""
        task, epoch = self._task, self._epoch
        total, plain, right, done = 0.0, 0.0, 0, 0
        self._learner.network.train()
        rates = learning_rates(self._learner, epoch)
        order = batches(task.split.train, task.train.batch_size, seed=task.seed, epoch=epoch)
        for number, (index, rate) in enumerate(zip(order, rates, strict=True), start=1):
            figures = self._step(index, number, rate)
            total, plain = total + figures.loss * len(index), plain + figures.cross_entropy * len(index)
            right, done = right + figures.hits, done + len(index)
            seen(done, total / done)
            stop_keeping_if_short()
        return Pass(total / done, plain / done, right / done, rates[-1])

    def _step(self, index: Int[np.ndarray, " B"], number: int, rate: float) -> BatchFigures:
        try:
            return self._update(index, number, rate)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
        # Outside of the handler, whose traceback would hold on to what the failed update had allocated; the loss
        # that is kept for `learn` would, too.
        del self._updates
        raise out_of_memory(self._learner, len(index))

    def _update(self, index: Int[np.ndarray, " B"], number: int, rate: float) -> BatchFigures:
        epoch, network = self._epoch, self._learner.network
        figures = self._figures(index, number)
        if not np.isfinite(figures.loss):
            raise divergence(
                f"the loss is {figures.loss}",
                "in",
                epoch=epoch,
                batch=number,
                bad_weight=first_bad_weight(network),
                bad_output=None if figures.sound else network.graph.named[-1].name,
            )
        self._updates.learn(rate)
        if not all_finite(network):
            bad = first_bad_weight(network)
            raise divergence(f"the loss was {figures.loss:.4g}", "after", epoch=epoch, batch=number, bad_weight=bad)
        return figures

    def _figures(self, index: Int[np.ndarray, " B"], number: int) -> BatchFigures:
        try:
            return self._updates.figures(index, self._epoch)
        except EngineError:
            bad = first_bad_weight(self._learner.network)
            if bad is None:
                raise
            said = "nothing can be computed"
            raise divergence(said, "before", epoch=self._epoch, batch=number, bad_weight=bad) from None
