"""Running a trained network over part of an image set."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from spikewise.data import ImageSet
from spikewise.data.residence import pixels_on
from spikewise.engine import RunOptions
from spikewise.exact import exact_arithmetic
from spikewise.graph import Graph
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["Predictions", "fitting_batch", "predict"]

_PROCESSOR = torch.device("cpu")
_MOST_IMAGES, _MOST_ON_GPU = 256, 2048
"""Of one batch: a processor's caches are small, and a GPU's many cores want much to do."""
_MOST_VALUES = 1 << 26
"""Of one layer for one batch, all steps together: 256 MiB."""
_GPU_SHARE = 1 / 16
"""The same on a GPU, as a share of its memory (all of it, so that the figures do not follow what else lies there)."""


class Predictions(NamedTuple):
    """What a network said about some images of a set."""

    index: Int64[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    """Positions in the set."""
    labels: Int64[np.ndarray, " N"]
    logits: Float[np.ndarray, "N K"]
    rates: dict[str, Float[Tensor, "*F"]]
    """Mean spikes per step of each neuron of each spiking layer."""
    input_events: dict[str, Float[Tensor, "*F"]]
    """Mean events per step at each input of each weighted layer; see `EngineResult.input_events`."""
    active: dict[str, Float[Tensor, "*F"]]
    """Share of steps at which each unit of each spiking layer sends anything."""
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
        batch_size: None is what `fitting_batch` says.
    """
    batch_size = batch_size or fitting_batch(network.graph, network.device)
    was_training = network.training
    network.eval()
    logits = []
    (rates, events, active), engine = (_Mean(len(index)) for _ in range(3)), ""
    try:
        with torch.no_grad(), exact_arithmetic():
            for batch, at in _batches(images, index, network.device, batch_size):
                output = network(batch, Draw(seed, 0, at), RunOptions(measure=True))
                logits.append(output.logits.float())
                engine = output.result.engine
                rates.add(output.result.rates, len(at))
                events.add(output.result.input_events, len(at))
                active.add(output.result.active, len(at))
    except torch.OutOfMemoryError:
        if batch_size == 1:
            raise
    finally:
        network.train(was_training)
    if sum(map(len, logits)) < len(index):  # something else lies in the memory; smaller batches have room beside it
        torch.cuda.empty_cache()
        return predict(network, images, index, seed=seed, batch_size=batch_size // 2)
    labels = images.labels[index]
    scores = torch.cat(logits).cpu()
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels)).item() if len(index) else None
    return Predictions(index, labels, scores.numpy(), rates.read(), events.read(), active.read(), loss, engine)


def fitting_batch(graph: Graph, device: torch.device = _PROCESSOR) -> int:
    """Images of one batch: at most 256 (2048 on a GPU), fewer for a network whose layers would fill the memory."""
    values = graph.steps * max(math.prod(at.output) for at in graph.named)
    if device.type == "cuda":
        fit = _GPU_SHARE * torch.cuda.get_device_properties(device).total_memory / 4
        return max(1, min(_MOST_ON_GPU, int(fit) // values))
    return max(1, min(_MOST_IMAGES, _MOST_VALUES // values))


def _batches(
    images: ImageSet, index: Int64[np.ndarray, " N"], device: torch.device, size: int
) -> Iterator[tuple[UInt8[Tensor, "B C H W"], Int64[Tensor, " B"]]]:
    """Images and their positions, on the device; nothing waits for it where it is a GPU."""
    if device.type != "cuda":
        for start in range(0, len(index), size):
            at = index[start : start + size]
            yield torch.from_numpy(np.ascontiguousarray(images.images[at])).to(device), torch.from_numpy(at)
        return
    pixels, there = pixels_on(images.images, device, size), torch.from_numpy(index).to(device)
    for start in range(0, len(index), size):
        positions = there[start : start + size]
        pixels.load(index[start : start + size])
        yield pixels.take(positions), positions


class _Mean:
    """Mean over images of a figure that comes batch by batch; it stays on its device until it is read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._of: dict[str, Tensor] = {}

    def add(self, batch: Mapping[str, Tensor], images: int) -> None:
        for layer, figure in batch.items():
            share = figure.float() * (images / self.count)
            self._of[layer] = self._of[layer] + share if layer in self._of else share

    def read(self) -> dict[str, Tensor]:
        return {layer: figure.cpu() for layer, figure in self._of.items()}
