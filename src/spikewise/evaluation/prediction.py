"""Running a trained network over part of an image set."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from spikewise.data import ImageSet
from spikewise.engine import RunOptions
from spikewise.graph import Graph
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["Predictions", "fitting_batch", "predict"]

_MOST_IMAGES = 256
_MOST_VALUES = 1 << 26
"""Of one layer for one batch, all steps together: 256 MiB."""


class Predictions(NamedTuple):
    """What a network said about some images of a set."""

    index: Int64[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    """Positions in the set."""
    labels: Int64[np.ndarray, " N"]
    logits: Float[np.ndarray, "N K"]
    rates: dict[str, Float[Tensor, "*F"]]
    """Mean spikes per step of each neuron of each spiking layer."""
    input_events: dict[str, Float[Tensor, "*F"]]
    """Share of steps at which each input of each weighted layer is not zero."""
    loss: float | None
    """Mean cross-entropy of softmax(logits)."""
    engine: str = ""
    """Which engine ran."""

    @property
    def probabilities(self) -> Float[np.ndarray, "N K"]:
        """Softmax of the logits."""
        shifted = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    @property
    def predicted(self) -> Int64[np.ndarray, " N"]:
        """Most probable class."""
        return np.asarray(self.logits.argmax(axis=1))


def predict(
    network: Network, images: ImageSet, index: Int64[np.ndarray, " N"], *, seed: int, batch_size: int | None = None
) -> Predictions:
    """Run `network`, in evaluation mode, over the images at `index`; it is left in the mode it was in.

    Args:
        batch_size: None is at most 256, fewer for a network whose layers would fill the memory.
    """
    batch_size = batch_size or fitting_batch(network.graph)
    was_training = network.training
    network.eval()
    logits = []
    rates, events, engine = _Mean(len(index)), _Mean(len(index)), ""
    with torch.no_grad():
        for start in range(0, len(index), batch_size):
            at = index[start : start + batch_size]
            batch = torch.from_numpy(np.ascontiguousarray(images.images[at])).to(network.device)
            output = network(batch, Draw(seed, 0, torch.from_numpy(at)), RunOptions(measure=True))
            logits.append(output.logits.float().cpu())
            engine = output.result.engine
            rates.add(output.result.rates, len(at))
            events.add(output.result.input_events, len(at))
    network.train(was_training)
    labels = images.labels[index]
    scores = torch.cat(logits)
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels)).item() if len(index) else None
    return Predictions(index, labels, scores.numpy(), rates.of, events.of, loss, engine)


def fitting_batch(graph: Graph) -> int:
    """Images of one batch: at most 256, fewer for a network whose layers would fill the memory."""
    values = graph.steps * max(math.prod(at.output) for at in graph.named)
    return max(1, min(_MOST_IMAGES, _MOST_VALUES // values))


class _Mean:
    """Mean over images of a figure that comes batch by batch."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.of: dict[str, Tensor] = {}

    def add(self, batch: Mapping[str, Tensor], images: int) -> None:
        for layer, figure in batch.items():
            share = figure.float().cpu() * (images / self.count)
            self.of[layer] = self.of[layer] + share if layer in self.of else share
