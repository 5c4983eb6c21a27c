"""Thresholds of the neurons that stand for activations: what a channel's spike at every step is worth.

Source of the percentile: Rueckauer et al., "Conversion of continuous-valued deep networks to efficient event-driven
networks for image classification", Frontiers in Neuroscience 11:682, 2017, section 2.2.2; channel by channel: Kim et
al., "Spiking-YOLO", AAAI 2020 (arXiv 1903.06530).
"""

import math
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from spikewise.conversion.obstacles import hidden_activations
from spikewise.data import ImageSet
from spikewise.engine import RunOptions
from spikewise.engine.parameters import qcfs_threshold
from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.graph import QCFS
from spikewise.network import Network

__all__ = ["balanced_thresholds", "calibration_images", "levels_of", "trained_thresholds"]

_MOST_VALUES: Final = 1 << 26
"""Of one layer over all calibration images: 256 MiB."""
_LEAST: Final = 0.01
"""Of a layer's threshold: that of a channel which hardly ever gives anything. Smaller ones would blow up weights."""


def levels_of(network: Network) -> int | None:
    """Levels of the activations of a network that was trained to be converted; None of one that was not."""
    layers = (at.layer for at in hidden_activations(network.graph))
    return next((layer.levels for layer in layers if isinstance(layer, QCFS)), None)


def trained_thresholds(network: Network) -> dict[str, Float[Tensor, " C"]]:
    """Those that quantised activations have learned."""
    return {
        at.name: qcfs_threshold(at, network.weights).detach().cpu().double().reshape(-1)
        for at in hidden_activations(network.graph)
    }


def calibration_images(network: Network, index: Int64[np.ndarray, " N"], most: int) -> Int64[np.ndarray, " M"]:
    """At most so many of the images at `index`, evenly spread; fewer where a layer's maps would fill the memory."""
    widest = max(math.prod(at.output) for at in hidden_activations(network.graph))
    count = min(most, len(index), max(1, _MOST_VALUES // widest))
    return index[np.unique(np.linspace(0, len(index) - 1, count).round().astype(np.int64))]


def balanced_thresholds(
    network: Network, images: ImageSet, index: Int64[np.ndarray, " N"], percentile: float, seed: int = 0
) -> dict[str, Float[Tensor, " C"]]:
    """What `percentile` percent of each channel's values do not exceed, over images and positions.

    A channel that gives nothing but zeros there gets 1 % of its layer's percentile, a layer of such channels 1.

    Args:
        index: positions of the images; training images, as nothing is chosen on others.
    """
    seen: dict[str, list[Tensor]] = {at.name: [] for at in hidden_activations(network.graph)}
    network.eval()
    with torch.no_grad():
        for batch in batches_of(network, Selection.of(images, index), seed, record=tuple(seen)):
            traces = network(batch.pixels, batch.draw, RunOptions(record=frozenset(seen))).result.traces
            for name, parts in seen.items():
                parts.append(traces[name].output[0].flatten(2 if traces[name].output.ndim > 3 else 1).cpu())
    return {name: _percentiles(torch.cat(parts), percentile) for name, parts in seen.items()}


def _percentiles(values: Float[Tensor, "N C *pixels"], percentile: float) -> Float[Tensor, " C"]:
    rows = values.movedim(1, 0).flatten(1).numpy()
    found = torch.from_numpy(np.percentile(rows, percentile, axis=1).astype(np.float64))
    whole = float(found.max())
    return found.clamp(min=_LEAST * whole) if whole > 0 else torch.ones_like(found)
