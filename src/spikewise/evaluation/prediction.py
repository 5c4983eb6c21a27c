"""Running a trained network over part of an image set."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from spikewise.data import ImageSet
from spikewise.data.residence import pixels_on
from spikewise.engine import RunOptions
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.results import Ties
from spikewise.evaluation.ties import TieCount
from spikewise.exact import exact_arithmetic
from spikewise.graph import Graph
from spikewise.memory import ran_out_of_memory, return_freed_memory
from spikewise.network import Network
from spikewise.readouts import SpikeCount
from spikewise.ties import without_ties
from spikewise.types import Draw

__all__ = ["Batch", "Predictions", "Selection", "batches_of", "fitting_batch", "predict"]

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
    ties: Ties | None = None
    """How often several classes shared the highest logit; one of them has a little more in `logits`."""

    @property
    def probabilities(self) -> Float[np.ndarray, "N K"]:
        """Softmax of the logits."""
        return softmax(self.logits)

    @property
    def predicted(self) -> Int64[np.ndarray, " N"]:
        """Most probable class; ties are broken already (`ties.without_ties`)."""
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
    ties, counted = TieCount(), isinstance(network.graph.readout, SpikeCount)
    try:
        with torch.no_grad(), exact_arithmetic():
            for _, batch, draw in batches_of(network, Selection.of(images, index), seed, size=batch_size):
                output = network(batch, draw, RunOptions(measure=True))
                membrane, spikes = output.trajectory.membrane.float().mean(0), output.trajectory.spikes
                ties = ties.add(output.logits.float(), membrane, spikes if counted else None)
                logits.append(without_ties(output.logits.float(), membrane, draw.index))
                engine = output.result.engine
                rates.add(output.result.rates, len(batch))
                events.add(output.result.input_events, len(batch))
                active.add(output.result.active, len(batch))
    except Exception as error:
        if batch_size == 1 or not ran_out_of_memory(error):
            raise
    finally:
        network.train(was_training)
    if sum(map(len, logits)) < len(index):  # something else lies in the memory; smaller batches have room beside it
        torch.cuda.empty_cache()
        return_freed_memory()
        return predict(network, images, index, seed=seed, batch_size=batch_size // 2)
    labels = images.labels[index]
    scores = torch.cat(logits).cpu()
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels)).item() if len(index) else None
    return Predictions(
        index, labels, scores.numpy(), rates.read(), events.read(), active.read(), loss, engine, ties.shares()
    )


def fitting_batch(
    graph: Graph, device: torch.device = _PROCESSOR, *, record: Collection[str] = (), copies: int = 1
) -> int:
    """Images of one batch: at most 256 (2048 on a GPU), fewer for a network whose layers would fill the memory.

    Args:
        record: layers whose every step is kept until the run ends.
        copies: how often the run holds each of its values, such as for gradients.
    """
    largest = max(math.prod(graph.named[0].input), *(math.prod(at.output) for at in graph.named))
    # a recorded layer keeps what it sent, and the membranes behind that
    kept = sum((2 if at.layer.spikes else 1) * math.prod(at.output) for at in graph.named if at.name in record)
    values = graph.steps * (largest + kept)
    most, fit = _MOST_IMAGES, _MOST_VALUES
    if device.type == "cuda":
        most, fit = _MOST_ON_GPU, int(_GPU_SHARE * torch.cuda.get_device_properties(device).total_memory / 4)
    return max(1, min(most, fit // values) // copies)


class Batch(NamedTuple):
    """Some images as a network takes them."""

    part: slice
    """Where they stand among the images that were asked for."""
    pixels: UInt8[Tensor, "B C H W"]
    """On the network's device."""
    draw: Draw


class Selection(NamedTuple):
    """Images that a network is to run over."""

    pixels: UInt8[np.ndarray, "N C H W"]
    keys: Int[np.ndarray, " M"]
    """Of each image's random numbers: its position in its set."""
    at: Int[np.ndarray, " M"] | None = None
    """Positions in `pixels` of the images to run over; None is all, in their order."""

    @classmethod
    def of(cls, images: ImageSet, index: Int[np.ndarray, " M"]) -> "Selection":
        """Those at some positions of a set."""
        return cls(images.images, index, index)


def batches_of(
    network: Network,
    source: Selection,
    seed: int,
    *,
    record: Collection[str] = (),
    copies: int = 1,
    size: int | None = None,
) -> Iterator[Batch]:
    """Images in batches that fit the memory, with their random keys: every loop over images goes through here.

    Args:
        record: layers that the caller records.
        copies: as for `fitting_batch`.
        size: of a batch; None is what `fitting_batch` says.
    """
    device = network.device
    size = size or fitting_batch(network.graph, device, record=record, copies=copies)
    keys = torch.from_numpy(np.ascontiguousarray(source.keys, dtype=np.int64)).to(device)
    # A GPU holds a whole set, or has its next batches copied while it works: nothing waits for it.
    resident = pixels_on(source.pixels, device, size) if device.type == "cuda" and source.at is not None else None
    places = None if resident is None or source.at is None else torch.from_numpy(source.at).to(device)
    for start in range(0, len(source.keys), size):
        part = slice(start, start + size)
        if resident is None or places is None or source.at is None:
            chosen = source.pixels[part if source.at is None else source.at[part]]
            pixels = torch.from_numpy(np.ascontiguousarray(chosen)).to(device)
        else:
            resident.load(source.at[part])
            pixels = resident.take(places[part])
        yield Batch(part, pixels, Draw(seed, 0, keys[part]))


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
