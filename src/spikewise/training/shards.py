"""Updates by shards: a batch is cut in equal parts, whose gradients are summed in an order that nothing changes.

    g = ((g1 + g2) + (g3 + g4)) + ((g5 + g6) + (g7 + g8))

with g_s the gradient of shard s, weighed by its images: a sum of floats depends on its order, and this order is that of
the shards, whoever finds them. Each of 1, 2, 4 or 8 processes takes as many shards in a row and sums them, all get the
sums of all, and each makes the same step: weights have the same bytes however many processes there are.

Batch normalisation goes by the whole batch: its sums are added over all shards, in the same order (`exchange`). A
penalty of rates goes by those of the shard.
"""

import itertools
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spikewise.engine import Exchange
from spikewise.errors import ConfigError
from spikewise.graph import BatchNorm
from spikewise.memory import ran_out_of_memory
from spikewise.training.exchange import ShardExchange
from spikewise.training.group import ProcessGroup
from spikewise.training.memory import MemoryTooSmallError
from spikewise.training.trees import tree_sum
from spikewise.training.update import BatchFigures, Learner, TrainingBatch

__all__ = ["ShardedUpdates", "check_shards", "cut"]

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


class _Share(NamedTuple):
    """What a shard is of its batch."""

    importance: float
    """Of its images for the loss."""
    images: float
    first: bool
    """Whether no image comes before its own: its process says what batch normalisation remembers."""


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
        self._by_batch = any(isinstance(at.layer, BatchNorm) for at in learner.network.graph.named)

    def figures(self, index: Int[np.ndarray, " B"], epoch: int) -> BatchFigures:
        """Find the gradients of a batch; they then stand in the weights."""
        task, device = self._learner.task, self._learner.network.device
        parts = cut(len(index), task.train.shards)
        whole = task.batch(index, epoch, device) if task.augment.mixup else None  # blends with the next image
        labels = torch.from_numpy(task.images.labels[index]).to(device)
        importance = self._learner.importance(labels, None if whole is None else whole.shares).double()
        total = importance.sum()

        def row(part: slice, exchange: Exchange | None = None) -> Tensor:
            if part.start == part.stop:
                return torch.zeros(sum(self._sizes) + len(self._weights) + _FIGURES, device=device)
            batch = task.batch(index[part], epoch, device) if whole is None else whole.part(part)
            weighs = float(importance[part].sum() / total)
            return self._row(batch, _Share(weighs, len(batch.labels) / len(index), first=part.start == 0), exchange)

        found = tree_sum(self._together(parts, row) if self._by_batch else map(row, parts[self._own]))
        if self._group is not None:
            found = tree_sum(self._group.gather(found).unbind(0))
        return self._spread(found)

    def _together(self, parts: list[slice], row: Callable[[slice, Exchange | None], Tensor]) -> list[Tensor]:
        """The rows of this process's shards, which exchange sums while they are made."""
        own = parts[self._own]
        if self._learner.network.device.type != "cpu":  # PyTorch works backward in one thread for each GPU
            own = [slice(own[0].start, own[-1].stop)]
        size = 1 if self._group is None else self._group.size
        if size == len(own) == 1:
            return [row(own[0], None)]
        present = [part.stop > part.start for part in own]
        every = len(parts) // size
        absent = any(parts[at].start == parts[at + every - 1].stop for at in range(0, len(parts), every))
        exchange = ShardExchange(present, self._group, absent=absent)
        made = iter(exchange.each(lambda number, one: row(own[number], one)))
        return [next(made) if there else row(part, None) for part, there in zip(own, present, strict=True)]

    def learn(self, rate: float) -> None:
        """One step of the optimizer down what was found."""
        self._learner.descend(rate)

    def _row(self, batch: TrainingBatch, share: _Share, exchange: Exchange | None) -> Float[Tensor, " n"]:
        """All that is summed, of one shard."""
        learner = self._learner
        try:
            answer = learner.answer(batch, exchange)
            # Not into the weights: other shards may be at work at the same time.
            gradients = torch.autograd.grad(answer.loss * share.importance, self._weights, allow_unused=True)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            raise MemoryTooSmallError(
                f"The memory of {learner.network.device} does not hold a shard of {len(batch.labels)} images. Use a "
                "smaller train.batch_size, more train.shards, or a smaller network."
            ) from error
        sound = torch.isfinite(answer.result.trajectory.membrane).all()
        loss = answer.loss.detach() * share.importance
        figures = (loss, answer.cross_entropy * share.images, answer.right(batch).sum(), ~sound)
        pieces = [
            *(torch.zeros_like(w) if g is None else g for w, g in zip(self._weights, gradients, strict=True)),
            *(buffer if share.first else torch.zeros_like(buffer) for buffer in self._buffers),
            torch.tensor([g is not None for g in gradients], dtype=torch.float32, device=batch.labels.device),
            torch.stack([figure.float() for figure in figures]),
        ]
        return torch.cat([piece.flatten() for piece in pieces])

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
