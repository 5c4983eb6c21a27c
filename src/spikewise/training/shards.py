"""Updates by shards: a batch is cut in equal parts, whose gradients are summed in an order that nothing changes.

    g = ((g1 + g2) + (g3 + g4)) + ((g5 + g6) + (g7 + g8))

with g_s the gradient of shard s, weighed by its images: a sum of floats depends on its order, and this order is that of
the shards, whoever finds them. Each of 1, 2, 4 or 8 processes takes as many shards in a row and sums them, all get the
sums of all, and each makes the same step: weights have the same bytes however many processes there are.

What a network makes of a batch as a whole, it makes of a shard: batch normalisation takes mean and variance of the
shard, and a penalty of rates its rates. The running statistics are the weighted means of those of the shards.
Source: Hoffer, Hubara and Soudry, "Train longer, generalize better", NeurIPS 2017, algorithm 1 (ghost batch
normalisation; there the running statistics take the shards one after the other).
"""

import itertools
from collections.abc import Iterable
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spikewise.errors import ConfigError
from spikewise.training.group import ProcessGroup
from spikewise.training.memory import MemoryTooSmallError
from spikewise.training.update import BatchFigures, Learner, TrainingBatch

__all__ = ["ShardedUpdates", "check_shards", "cut", "tree_sum"]

_FIGURES: Final = 4
"""Loss, cross-entropy, right answers, and how many outputs were not finite."""


def check_shards(shards: int, processes: int) -> None:
    """Refuse a number of processes that cannot share the shards.

    Raises:
        ConfigError: they are more than the shards, or cannot take as many each.
    """
    if processes <= shards and shards % processes == 0:
        return
    fits = [f"{1 << power}" for power in range(shards.bit_length())]
    enough = 1 << (processes - 1).bit_length()
    raise ConfigError(
        f"{processes} processes were started to share the {shards} shard{'s' * (shards > 1)} of each batch "
        f"(train.shards = {shards}), and each takes as many: {', '.join(fits)} can. Start as many, or give "
        f"--set train.shards={enough}, with which a run has one result in any such number of processes up to {enough}."
    )


def cut(count: int, shards: int) -> list[slice]:
    """The shards of a batch of `count` images, as equal as can be; some are empty where images are few."""
    edges = [number * count // shards for number in range(shards + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def tree_sum(rows: Iterable[Tensor]) -> Tensor:
    """The sum of a power of two of rows, in pairs, and pairs of pairs; few are in memory at once, and none changes."""
    waiting: list[tuple[int, Tensor]] = []
    for row in rows:
        size, total = 1, row
        while waiting and waiting[-1][0] == size:
            before = waiting.pop()[1]
            total = before + total if size == 1 else before.add_(total)
            size *= 2
        waiting.append((size, total))
    ((_, total),) = waiting
    return total


class ShardedUpdates:
    """The updates of a network by shards, alone or with other processes.

    Args:
        group: the processes that share them; None is this one alone.
    """

    def __init__(self, learner: Learner, group: ProcessGroup | None = None) -> None:
        self._learner, self._group = learner, group
        rank, size = (0, 1) if group is None else (group.rank, group.size)
        shards = learner.task.train.shards
        check_shards(shards, size)
        self._own = slice(rank * shards // size, (rank + 1) * shards // size)
        self._weights = [weight for weight in learner.network.parameters() if weight.requires_grad]
        self._buffers = list(learner.network.buffers())
        self._sizes = [one.numel() for one in (*self._weights, *self._buffers)]

    def figures(self, index: Int[np.ndarray, " B"], epoch: int) -> BatchFigures:
        """Find the gradients of a batch; they then stand in the weights."""
        task, device = self._learner.task, self._learner.network.device
        before = [buffer.clone() for buffer in self._buffers]
        parts = cut(len(index), task.train.shards)
        whole = task.batch(index, epoch, device) if task.augment.mixup else None  # blends with the next image
        labels = torch.from_numpy(task.images.labels[index]).to(device)
        importance = self._learner.importance(labels, None if whole is None else whole.shares).double()
        total = importance.sum()

        def row(part: slice) -> Tensor:
            if part.start == part.stop:
                return torch.zeros(sum(self._sizes) + len(self._weights) + _FIGURES, device=device)
            batch = task.batch(index[part], epoch, device) if whole is None else whole.part(part)
            for buffer, value in zip(self._buffers, before, strict=True):
                buffer.copy_(value)
            return self._row(batch, float(importance[part].sum() / total), len(batch.labels) / len(index))

        found = tree_sum(map(row, parts[self._own]))
        if self._group is not None:
            found = tree_sum(self._group.gather(found).unbind(0))
        return self._spread(found)

    def learn(self, rate: float) -> None:
        """One step of the optimizer down what was found."""
        self._learner.descend(rate)

    def _row(self, batch: TrainingBatch, importance: float, share: float) -> Float[Tensor, " n"]:
        """All that is summed, of one shard.

        Args:
            importance: of its images for the loss, of that of the batch.
            share: of the images of the batch.
        """
        learner = self._learner
        learner.optimizer.zero_grad(set_to_none=True)
        try:
            answer = learner.answer(batch)
            loss = answer.loss * importance
            torch.autograd.backward(loss)
        except torch.OutOfMemoryError as error:
            raise MemoryTooSmallError(
                f"The memory of {learner.network.device} does not hold a shard of {len(batch.labels)} images. Use a "
                "smaller train.batch_size, more train.shards, or a smaller network."
            ) from error
        sound = torch.isfinite(answer.result.trajectory.membrane).all()
        figures = (loss.detach(), answer.cross_entropy * share, answer.right(batch).sum(), ~sound)
        given = [weight.grad is not None for weight in self._weights]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in self._weights]
        pieces = [
            *(gradient.flatten() for gradient in gradients),
            *(buffer.flatten() * share for buffer in self._buffers),
            torch.tensor(given, dtype=torch.float32, device=batch.labels.device),
            torch.stack([figure.float() for figure in figures]),
        ]
        return torch.cat(pieces)

    def _spread(self, found: Float[Tensor, " n"]) -> BatchFigures:
        """Put the sums where they belong."""
        weights = len(self._weights)
        *parts, given, figures = torch.split(found, [*self._sizes, weights, _FIGURES])
        for weight, part, has in zip(self._weights, parts, (given > 0).tolist(), strict=False):
            weight.grad = part.view_as(weight) if has else None
        for buffer, part in zip(self._buffers, parts[weights:], strict=True):
            buffer.copy_(part.view_as(buffer))
        loss, entropy, hits, unsound = figures.tolist()
        return BatchFigures(loss, entropy, int(hits), not unsound)
