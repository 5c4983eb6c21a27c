"""Ties of a network's outputs, broken and counted; `spikewise.ties` has the rule."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from spikewise.evaluation.results import Ties
from spikewise.network import Output
from spikewise.readouts import Readout
from spikewise.ties import highest, top, without_ties

__all__ = ["TieCount", "answers_of", "evidence_of", "logits_without_ties"]


def answers_of(output: Output, index: Int64[Tensor, " B"]) -> Int64[np.ndarray, " B"]:
    """The class of each image of a batch, ties broken."""
    return logits_without_ties(output, index).argmax(1).cpu().numpy()


def logits_without_ties(output: Output, index: Int64[Tensor, " B"]) -> Float[Tensor, "B K"]:
    """The logits of a batch, ties broken."""
    return without_ties(output.logits.float(), output.trajectory.membrane.float().mean(0), index)


def evidence_of(readout: Readout, output: Output, index: Int64[Tensor, " B"]) -> Float[Tensor, "T B K"]:
    """The evidence after each step, ties broken by the steps so far; the last is the logits, to the bit."""
    membrane = output.trajectory.membrane.float()
    grown = readout.evidence(output.trajectory).float().clone()
    grown[-1] = output.logits.float()
    means = membrane.cumsum(0) / torch.arange(1, len(membrane) + 1, device=membrane.device).view(-1, 1, 1)
    means[-1] = membrane.mean(0)
    return without_ties(grown, means, index)


class TieCount(NamedTuple):
    """Images counted as batches pass; the counts stay on the device until they are read."""

    images: int = 0
    tied: Tensor | int = 0
    silent: Tensor | int = 0
    undecided: Tensor | int = 0

    def add(
        self, logits: Float[Tensor, "B K"], membrane: Float[Tensor, "B K"], spikes: Float[Tensor, "T B K"] | None
    ) -> "TieCount":
        """With one batch more.

        Args:
            logits: before ties were broken.
            spikes: of the output, where the readout counts them.
        """
        best = top(logits)
        tied = best.sum(-1) > 1
        undecided = tied & (highest(best, membrane).sum(-1) > 1)
        silent = torch.zeros_like(tied) if spikes is None else ~(spikes != 0).any(-1).any(0)
        return TieCount(
            self.images + len(logits),
            self.tied + tied.sum(),
            self.silent + silent.sum(),
            self.undecided + undecided.sum(),
        )

    def shares(self) -> Ties:
        """Shares of the images."""
        return Ties(
            **{name: float(getattr(self, name)) / max(self.images, 1) for name in ("tied", "silent", "undecided")}
        )
