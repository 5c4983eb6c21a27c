"""Running a trained network step by step: its answers, its spikes and its latency after each step."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from spikewise.data import ImageSet
from spikewise.engine import EngineState, RunOptions
from spikewise.evaluation.anytime import AnswersByStep, LatencyByStep, Spent, spread_steps
from spikewise.evaluation.cost import LayerWork, carried_bits, energies, layer_work
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.evaluation.ties import evidence_of
from spikewise.graph import Graph
from spikewise.network import Network, Output
from spikewise.threads import one_thread
from spikewise.types import Draw

__all__ = ["Counter", "ImageSample", "follow", "measure_latency"]

_COUNTED = 256
_REPEATS, _LEAST_REPEATS, _SECONDS = 40, 4, 0.5


class ImageSample(NamedTuple):
    """Some images of a set as one seed's network sees them."""

    images: ImageSet
    index: Int64[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    """Positions in the set."""
    seed: int

    def of(self, chosen: Int[np.ndarray, " M"]) -> "ImageSample":
        """Those at some positions of `index`."""
        return self._replace(index=self.index[chosen])

    def batches(self, network: Network) -> Iterator[tuple[Tensor, Draw]]:
        """Pixels and random key, in batches that fit the memory: those of `predict`, so that sums round alike."""
        for batch in batches_of(network, Selection.of(self.images, self.index), self.seed):
            yield batch.pixels, batch.draw


Events = Mapping[str, Tensor]
"""What arrived at each weighted layer, per step and image; see `EngineResult.input_events`."""


def follow(network: Network, sample: ImageSample, *, measure: bool = True) -> tuple[AnswersByStep, Events]:
    """What `network` says after each step, from one run over the images; probabilities at up to 25 spread steps.

    Args:
        measure: count the spikes too; otherwise there are no events.
    """
    network.eval()
    kept = spread_steps(network.graph.steps)
    predicted, sure, shown, total = [], [], [], _Sum()
    with torch.no_grad():
        for pixels, draw in sample.batches(network):
            output = network(pixels, draw, RunOptions(measure=measure))
            evidence = evidence_of(network.graph.readout, output, draw.index).cpu().numpy()
            probabilities = softmax(evidence)
            predicted.append(probabilities.argmax(2))
            sure.append(probabilities.max(2))
            shown.append(probabilities[np.array(kept) - 1].astype(np.float32))  # many steps, of all seeds at a time
            total.add(output.result.input_events, len(pixels))
    by_step = dict(zip(kept, np.concatenate(shown, axis=1), strict=True))
    labels = sample.images.labels[sample.index]
    return AnswersByStep(labels, np.concatenate(predicted, axis=1), np.concatenate(sure, axis=1), by_step), total.mean()


class Counter:
    """Counts what a network spends up to each step, from the spikes it really sends.

    How spikes spread over the steps is counted on at most 256 evenly spaced images. Each layer's additions are then
    scaled so that after all steps they are those of all images: a ratio estimate (Cochran, "Sampling techniques", 1977,
    chapter 6), exact where all images were counted.

    Args:
        whole: what `follow` counted on all images of `sample`.
    """

    def __init__(self, network: Network, sample: ImageSample, whole: Events) -> None:
        self.network, self.graph = network, network.graph
        count = len(sample.index)
        self.chosen = np.unique(np.linspace(0, count - 1, min(count, _COUNTED)).round().astype(np.int64))
        self.sample = sample.of(self.chosen)
        work = [layer_work(_cut(self.graph, t), events) for t, events in enumerate(self._so_far(), 1)]
        self.factors = _factors(layer_work(self.graph, whole), work[-1])
        self.work = [self._scaled(one) for one in work]

    def spent(self) -> list[Spent]:
        """What an image costs up to each step."""
        return [self._price(one) for one in self.work]

    def spent_until(self, exits: Int[np.ndarray, " N"]) -> Spent:
        """What an image costs if each of the sample's images is answered after its own step.

        Images that stop together are run together, so easy images may send fewer spikes; they weigh as much as such
        images do among all. Where none of the counted images stops at a step, the mean of all stands in.
        """
        shares = np.bincount(exits, minlength=self.graph.steps + 1) / len(exits)
        parts = [(shares[t], self._price(self._until(int(t), exits))) for t in np.flatnonzero(shares)]
        return Spent(
            macs=sum(share * one.macs for share, one in parts),
            synaptic_operations=sum(share * one.synaptic_operations for share, one in parts),
            state_updates=sum(share * one.state_updates for share, one in parts),
            energy_nanojoule={
                model: sum(share * one.energy_nanojoule[model] for share, one in parts)
                for model in parts[0][1].energy_nanojoule
            },
        )

    def _until(self, steps: int, exits: Int[np.ndarray, " N"]) -> Sequence[LayerWork]:
        stopping = self.sample.of(np.flatnonzero(exits[self.chosen] == steps))
        if not len(stopping.index):
            return self.work[steps - 1]
        total = _Sum()
        with torch.no_grad():
            for pixels, draw in stopping.batches(self.network):
                inputs = self.network.encode(pixels, draw)[:steps]
                result = self.network.run(inputs, draw, RunOptions(measure=True)).result
                total.add(result.input_events, len(pixels))
        return self._scaled(layer_work(_cut(self.graph, steps), total.mean()))

    def _so_far(self) -> Iterator[Events]:
        """Mean events per step, over the first 1, 2, ..., T steps."""
        self.network.eval()
        sums = [_Sum() for _ in range(self.graph.steps)]
        with torch.no_grad():
            for pixels, draw in self.sample.batches(self.network):
                state: EngineState | None = None
                for total, step in zip(sums, torch.split(self.network.encode(pixels, draw), 1), strict=True):
                    result = self.network.run(step, draw, RunOptions(state=state, measure=True)).result
                    state = result.state
                    total.add(result.input_events, len(pixels))
        running = _Sum()
        for total in sums:
            running.add(total.mean(), 1)
            yield running.mean()

    def _scaled(self, work: Sequence[LayerWork]) -> list[LayerWork]:
        return [layer.scaled(self.factors.get(layer.name, 1.0)) for layer in work]

    def _price(self, work: Sequence[LayerWork]) -> Spent:
        return Spent(
            macs=sum(layer.macs for layer in work),
            synaptic_operations=sum(layer.synaptic_operations for layer in work),
            state_updates=sum(layer.state_updates for layer in work),
            energy_nanojoule=energies(work, carried_bits(self.graph.steps)),
        )


def measure_latency(network: Network, sample: ImageSample) -> LatencyByStep:
    """Time the sample's first image, already encoded, with one thread; medians of a few repeats."""
    network.eval()
    steps = spread_steps(network.graph.steps)
    pixels, draw = next(sample.of(np.array([0])).batches(network))
    with torch.no_grad(), one_thread():
        inputs = network.encode(pixels, draw)
        at_once = _milliseconds(lambda: (network.run(inputs[:t], draw) for t in steps))
        streamed = _milliseconds(lambda: _stream(network, inputs, draw))
    return LatencyByStep(dict(zip(steps, np.median(at_once, axis=0).tolist(), strict=True)), float(np.median(streamed)))


def _stream(network: Network, inputs: Tensor, draw: Draw) -> Iterator[Output]:
    state: EngineState | None = None
    for step in torch.split(inputs, 1):
        output = network.run(step, draw, RunOptions(state=state))
        state = output.result.state
        yield output


def _milliseconds(work: Callable[[], Iterable[Output]]) -> Float[np.ndarray, "repeats outputs"]:
    """How long each output took to come."""
    times: list[list[float]] = []
    began = time.perf_counter()
    while len(times) < _LEAST_REPEATS or (len(times) < _REPEATS and time.perf_counter() - began < _SECONDS):
        times.append([])
        before = time.perf_counter()
        for output in work():
            output.logits.argmax().item()  # waits for the device
            now = time.perf_counter()
            times[-1].append(1000 * (now - before))
            before = now
    return np.array(times[1:])  # the first repeat allocates


def _cut(graph: Graph, steps: int) -> Graph:
    """The graph with fewer steps, for counting only: its encoder would encode otherwise."""
    return graph.model_copy(update={"encoder": graph.encoder.model_copy(update={"steps": steps})})


def _factors(whole: Sequence[LayerWork], counted: Sequence[LayerWork]) -> dict[str, float]:
    return {
        all_images.name: _caused(all_images) / _caused(some)
        for all_images, some in zip(whole, counted, strict=True)
        if _caused(some)
    }


def _caused(layer: LayerWork) -> float:
    """Operations that its inputs cause: by spikes, or by real numbers other than zero."""
    return layer.synaptic_operations + layer.effective_macs


class _Sum:
    """Adds up events that come in parts."""

    def __init__(self) -> None:
        self.weight = 0
        self.total: dict[str, Tensor] = {}

    def add(self, events: Events, weight: int) -> None:
        self.weight += weight
        for name, figure in events.items():
            share = figure.double().cpu() * weight
            self.total[name] = self.total[name] + share if name in self.total else share

    def mean(self) -> Events:
        return {name: total / self.weight for name, total in self.total.items()}
