"""Collecting what the report shows beside the figures: sample images, traces, disagreements."""

import math

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from spikewise.data import ImageSet, Split
from spikewise.engine import LayerTrace, RunOptions
from spikewise.engine.parameters import neuron_parameters
from spikewise.evaluation.prediction import Predictions, Selection, batches_of
from spikewise.evaluation.ties import answers_of
from spikewise.graph import Neuron
from spikewise.network import Network
from spikewise.report.artifacts import Artifacts, Disagreements, Traces

__all__ = ["collect", "disagreements", "sample_of_each_class", "trace", "trace_pixels"]

_PER_CLASS, _TRACED, _SHOWN, _NEURONS = 4, 10, 24, 128


def collect(
    images: ImageSet,
    split: Split,
    spiking: tuple[str, Network, int] | None,
    pair: tuple[tuple[str, Predictions], tuple[str, Predictions], int] | None,
) -> Artifacts:
    """Artifacts of a run.

    Args:
        spiking: name, network and seed of the spiking network to trace, if there is one.
        pair: names and test predictions of the two networks whose answers are compared, and their seed.
    """
    grid = sample_of_each_class(images, split.train, _PER_CLASS)
    traced = sample_of_each_class(images, split.test, 1)[:_TRACED]
    artifacts = Artifacts(
        grid_images=images.images[grid],
        grid_labels=images.labels[grid],
        traces=trace(images, traced, *spiking) if spiking else None,
        disagreements=disagreements(images, *pair) if pair else None,
    )
    return artifacts if images.publishable else artifacts.without_images()


def sample_of_each_class(images: ImageSet, index: Int64[np.ndarray, " n"], per_class: int) -> Int64[np.ndarray, " m"]:
    """The first few positions of each class among `index`."""
    labels = images.labels[index]
    chosen = [index[labels == k][:per_class] for k in range(len(images.classes))]
    return np.concatenate(chosen)


def trace(images: ImageSet, index: Int64[np.ndarray, " S"], name: str, network: Network, seed: int) -> Traces:
    """What a spiking network does on a few images of a set, step by step."""
    return trace_pixels(images.images[index], images.labels[index], index, (name, network, seed))


def trace_pixels(
    pixels: UInt8[np.ndarray, "S C H W"],
    labels: Int64[np.ndarray, " S"] | None,
    index: Int64[np.ndarray, " S"],
    spiking: tuple[str, Network, int],
) -> Traces:
    """What a spiking network does on a few images, step by step.

    Args:
        labels: None where the truth is not known; the answers stand in its place.
        index: where the images stand in their set, which decides their random numbers.
        spiking: name, network and seed.
    """
    name, network, seed = spiking
    graph = network.graph
    network.eval()
    hidden = graph.spiking_layers[: -1 if graph.named[-1].name in graph.spiking_layers else None]
    chosen, parts = Selection(pixels, index), []
    with torch.no_grad():
        for _, batch, draw in batches_of(network, chosen, seed, record=hidden):
            output = network(batch, draw, RunOptions(record=frozenset(hidden)))
            parts.append({
                "encoded": _image_first(network.encode(batch, draw)).astype(np.float16),
                "membrane": _image_first(output.trajectory.membrane),
                "evidence": _image_first(graph.readout.evidence(output.trajectory)),
                "predicted": answers_of(output, draw.index),
                **{f"layer {layer}": _sampled(output.result.traces[layer]) for layer in hidden},
                **({} if output.trajectory.spikes is None else {"spikes": _image_first(output.trajectory.spikes)}),
            })  # fmt: skip
    seen = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return Traces(
        network=name,
        seed=seed,
        images=pixels,
        labels=seen["predicted"] if labels is None else labels,
        predicted=seen["predicted"],
        encoded=seen["encoded"],
        layers={layer: seen[f"layer {layer}"] for layer in hidden},
        membrane=seen["membrane"],
        evidence=seen["evidence"],
        spikes=seen.get("spikes"),
        threshold=_threshold(network),
        neurons=tuple(math.prod(at.output) for at in graph.named if at.name in hidden),
    )


def _threshold(network: Network) -> float | None:
    """Threshold of the output neurons as it is used, learned or not: the mean over neurons that have their own."""
    last = network.graph.named[-1]
    if not isinstance(last.layer, Neuron) or not last.layer.spikes:
        return None
    used = neuron_parameters(last, network.weights).get("threshold")
    return used.detach().mean().item() if isinstance(used, Tensor) else used


def disagreements(
    images: ImageSet, first: tuple[str, Predictions], second: tuple[str, Predictions], seed: int
) -> Disagreements:
    """Test images on which two networks give different answers, those with one right answer first."""
    (a, of_a), (b, of_b) = first, second
    right_a, right_b = of_a.predicted == of_a.labels, of_b.predicted == of_b.labels
    differ = np.flatnonzero(of_a.predicted != of_b.predicted)
    order = np.argsort(~(right_a ^ right_b)[differ], kind="stable")
    shown = differ[order][:_SHOWN]
    p_a, p_b = of_a.probabilities, of_b.probabilities
    return Disagreements(
        a=a,
        b=b,
        seed=seed,
        images=images.images[of_a.index[shown]],
        index=shown,
        labels=of_a.labels[shown],
        predicted_a=of_a.predicted[shown],
        predicted_b=of_b.predicted[shown],
        probability_a=p_a[shown, of_a.predicted[shown]],
        probability_b=p_b[shown, of_b.predicted[shown]],
        both_right=int((right_a & right_b).sum()),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((~right_a & right_b).sum()),
        both_wrong=int((~right_a & ~right_b).sum()),
    )


def _sampled(layer: LayerTrace) -> np.ndarray:
    """Spikes [S, T, F] of evenly spaced neurons."""
    assert layer.spikes is not None
    flat = layer.spikes.flatten(2)
    count = flat.shape[2]
    chosen = torch.linspace(0, count - 1, min(count, _NEURONS)).round().long()
    return _image_first(flat[:, :, chosen]).astype(np.uint8)


def _image_first(x: Tensor) -> np.ndarray:
    return x.transpose(0, 1).cpu().numpy()
