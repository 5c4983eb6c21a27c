"""The numbers of each layer, in the layout of the graph: floating point as trained, or integers (`quantised`)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spikewise.encoders import Delta, Direct, ImageEncoder, Latency, Periodic, intensities
from spikewise.engine.parameters import recurrent_matrix
from spikewise.errors import ConfigError
from spikewise.graph import AvgPool, GlobalAvgPool, NamedLayer, Neuron, Residual
from spikewise.interop.c.layout import INPUT, Layout
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Numbers

__all__ = ["Quantities", "as_trained", "currents", "encoder_tables", "neuron_values", "pooled"]

Own = Mapping[str, NDArray[Any]]
"""Of one layer: an array, or a number without axes."""


class Quantities(NamedTuple):
    """What every layer computes with."""

    numbers: Numbers
    own: Mapping[str, Own]
    """By the name of the layer; those of the encoder by "input"."""
    score: float = 1.0
    """What one unit of a score is worth: integers count in small fractions."""


def as_trained(network: Deployed, layout: Layout) -> Quantities:
    """Floating point.

    Raises:
        ConfigError: a weight is not a number.
    """
    own: dict[str, Own] = {INPUT: encoder_tables(layout.graph.encoder)}
    if isinstance(layout.graph.encoder, Direct):
        own[INPUT] = {"currents": currents(layout.graph.encoder, layout.graph.image_shape[0])}
    for one in layout.operations:
        at, numbers = one.at, {}
        if isinstance(at.layer, Neuron):
            numbers = neuron_values(network, at)
        elif isinstance(at.layer, AvgPool | GlobalAvgPool):
            numbers = {"divisor": np.array(pooled(one.window), np.float32)}
        elif not isinstance(at.layer, Residual):
            numbers = {key: network.weights[f"{at.name}.{key}"].numpy() for key in at.parameters()}
        for key, value in numbers.items():
            if not np.isfinite(value).all():
                raise ConfigError(f"Layer {at.name}: its {key} holds values that are not finite; train the run again.")
        own[at.name] = numbers
    return Quantities("float32", own)


def pooled(window: Any) -> int:
    """Values that one window holds."""
    return int(window.size[0] * window.size[1])


def neuron_values(network: Deployed, at: NamedLayer) -> dict[str, NDArray[Any]]:
    """float32 parameters of a neuron layer: without axes, or one for each channel; and its recurrent matrix."""
    values = {}
    for name, value in network.parameters(at).items():
        number = value.detach().numpy() if isinstance(value, torch.Tensor) else np.float32(value)
        values[name] = np.asarray(number, np.float32)
        if values[name].ndim:
            values[name] = values[name].reshape(-1)
    assert isinstance(at.layer, Neuron)
    if initial := getattr(at.layer.dynamics, "initial", 0.0):
        start = np.asarray(initial * network.parameters(at)["threshold"], np.float32)
        values["initial"] = start.reshape(-1) if start.ndim else start
    matrix = recurrent_matrix(at, network.weights)
    if matrix is not None:
        values["recurrent"] = matrix.detach().numpy()
    return values


def encoder_tables(encoder: ImageEncoder) -> dict[str, NDArray[Any]]:
    """What an encoder of spikes looks up for each of the 256 levels of a pixel; integers whatever the network has."""
    if isinstance(encoder, Latency):
        return {"first": encoder.spike_table().numpy().astype(np.uint32)}
    if isinstance(encoder, Periodic):
        return {"period": encoder.spike_table().numpy().astype(np.uint32)}
    if isinstance(encoder, Delta):
        return _changes(encoder)
    return {}


def _changes(encoder: Delta) -> dict[str, NDArray[Any]]:
    """For each level before, the lowest level that is an event of brightening and the highest one of darkening.

    The difference of two rounded intensities grows with the first, so a level says exactly where it passes the
    threshold.
    """
    levels = intensities(torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256)).view(256)
    change = levels[:, None] - levels[None, :]  # [after, before]
    path = np.array(encoder.path(), np.int32)
    return {
        "brighter": (256 - (change > encoder.threshold).sum(0)).numpy().astype(np.uint16),
        "darker": (change < -encoder.threshold).sum(0).numpy().astype(np.uint16),
        "down": path[:, 0],
        "right": path[:, 1],
    }


def currents(encoder: Direct, channels: int) -> NDArray[Any]:
    """float32 [C, 256]: the current that each level of a pixel makes in each channel."""
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256).expand(1, channels, 1, 256)
    return encoder.currents(levels)[0, :, 0].contiguous().numpy()
