"""Which neurons answer to which class."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spikewise.engine import RunOptions
from spikewise.evaluation.explanations.scoring import SeededNetwork
from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.graph import Neuron

__all__ = ["rates_by_class"]

_MOST_NEURONS: Final = 160


def rates_by_class(
    seeded: SeededNetwork,
    images: UInt8[np.ndarray, "N C H W"],
    index: Int[np.ndarray, " N"],
    labels: Int[np.ndarray, " N"],
) -> Mapping[str, Float[np.ndarray, "K F"]]:
    """Mean spikes per step of hidden neurons by the class of the image: at most 160 of each layer, evenly spread.

    Args:
        labels: true classes; a class without images has rates of 0.
    """
    graph = seeded.network.graph
    layers = [at.name for at in graph.named[:-1] if isinstance(at.layer, Neuron) and at.layer.spikes]
    sums = {name: np.zeros((graph.classes, 0)) for name in layers}
    source = Selection(images, index) if layers else Selection(images[:0], index[:0])
    for part, batch, draw in batches_of(seeded.network, source, seeded.seed, record=layers):
        with torch.no_grad():
            traces = seeded.network(batch, draw, RunOptions(record=frozenset(layers))).result.traces
        for name in layers:
            spikes = traces[name].spikes
            assert spikes is not None
            rates = spikes.mean(0).flatten(1).double().cpu().numpy()
            chosen = np.unique(np.linspace(0, rates.shape[1] - 1, _MOST_NEURONS).round().astype(np.int64))
            share = np.eye(graph.classes)[labels[part]].T @ rates[:, chosen]
            sums[name] = share if sums[name].shape[1] == 0 else sums[name] + share
    count = np.maximum(np.bincount(labels, minlength=graph.classes), 1)[:, None]
    return {name: total / count for name, total in sums.items()}
