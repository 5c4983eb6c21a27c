"""What a device notes of each batch while nobody looks, and what is made of it afterwards."""

import itertools
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from spikewise.network import Network
from spikewise.ties import without_ties
from spikewise.training.update import BatchAnswers

__all__ = ["Journal", "JournalEntry"]

_HITS, _FIGURES = 2, 4
"""Column of the right answers, and columns of a row before those of the weights."""


class JournalEntry(NamedTuple):
    """One batch."""

    loss: float
    cross_entropy: float
    hits: int
    output_finite: bool
    bad_before: str | None
    """The first weight that was no number before the batch; None if all were."""
    bad_after: str | None


class Journal:
    """A table on a network's device with a row for each batch of an epoch.

    What was said to the images is kept until `mark_right` tells right from wrong for many batches at once: breaking
    ties takes thirty small kernels, which would be a good part of a small batch's step.

    Args:
        size: images of a batch; the last may have fewer.
        kept: batches whose answers are kept.
    """

    def __init__(self, network: Network, batches: int, size: int, kept: int) -> None:
        self._network, self._names = network, list(network.weights)
        self._size, self._kept = size, kept
        self._said = torch.zeros(2, kept * size, network.graph.classes, device=network.device)
        # float64 holds every float32 and every count exactly, so that one table, and one transfer, is enough.
        self._rows = torch.zeros(batches + 1, _FIGURES + len(self._names), dtype=torch.float64, device=network.device)

    def open(self) -> None:
        """Note which weights are numbers before the first batch."""
        self._rows[0, _FIGURES:] = self._finite_weights()

    def write(self, number: Int64[Tensor, " 1"], answer: BatchAnswers) -> None:
        """Note what came of a batch, after its update; never waits for the device."""
        output_finite = answer.result.trajectory.membrane.detach().isfinite().all()
        loss = answer.loss.detach()
        figures = (loss, answer.cross_entropy, torch.zeros_like(loss), output_finite)
        seen = torch.stack([figure.double() for figure in figures])
        row = torch.cat([seen, self._finite_weights().double()])
        self._rows.index_copy_(0, number + 1, row[None])
        images = number % self._kept * self._size + torch.arange(len(answer.logits), device=number.device)
        self._said.index_copy_(1, images, torch.stack([answer.logits, answer.membrane]))

    def mark_right(self, first: int, index: Int64[Tensor, " N"], labels: Int64[Tensor, " N"]) -> None:
        """Count the right answers of the batches since `first`, which is a multiple of `kept`; never waits.

        Args:
            index: where their images stand in the set.
        """
        logits, membrane = self._said[:, : len(index)]
        right = (without_ties(logits, membrane, index).argmax(-1) == labels).double()
        batch = first + 1 + torch.arange(len(index), device=index.device) // self._size
        self._rows[:, _HITS].index_add_(0, batch, right)

    def copy(self, first: int, last: int, out: Float64[Tensor, "b R"] | None = None) -> Float64[Tensor, "b R"]:
        """The rows of batches from `first` up to `last`, and the one before; without waiting if `out` is given."""
        rows = self._rows[first : last + 1]
        return rows.cpu() if out is None else out[: len(rows)].copy_(rows, non_blocking=True)

    def first_bad(self, number: int) -> str | None:
        """The first weight that was no number before a batch; None if all were. Waits for the device."""
        return self._first_bad(self._rows[number].tolist())

    def buffer(self, batches: int) -> Float64[Tensor, "b R"]:
        """Memory of the host for `copy` to write into."""
        return torch.empty(
            batches + 1, self._rows.shape[1], dtype=torch.float64, pin_memory=self._rows.device.type == "cuda"
        )

    def read(self, rows: Float64[Tensor, "b R"]) -> list[JournalEntry]:
        """What `copy` copied."""
        table = rows.tolist()
        return [
            JournalEntry(now[0], now[1], int(now[2]), bool(now[3]), self._first_bad(before), self._first_bad(now))
            for before, now in itertools.pairwise(table)
        ]

    def _finite_weights(self) -> Bool[Tensor, " W"]:
        weights = [weight.detach() for weight in self._network.weights.values()]
        largest: list[Float[Tensor, ""]] = torch._foreach_norm(weights, float("inf"))  # type: ignore[assignment]
        return torch.stack(largest).isfinite()

    def _first_bad(self, row: list[float]) -> str | None:
        return next((name for name, finite in zip(self._names, row[_FIGURES:], strict=True) if not finite), None)
