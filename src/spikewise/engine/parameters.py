"""The parameters that a network computes with, made of those that it stores: clamped, masked, folded.

Engines, diagnosis, reports and exports read them here, so that they all mean the same numbers.
"""

import math
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from spikewise.graph import QCFS, BatchNorm, Graph, Layer, NamedLayer, Neuron

__all__ = ["charged", "clamp_stored", "folded", "neuron_parameters", "qcfs_threshold", "recurrent_matrix"]

_UNBOUNDED = (-math.inf, math.inf)
_LEAST_THRESHOLD: Final = 1e-3
"""Of a quantised activation, as of a neuron: it is divided by."""


def charged(layer: Layer) -> bool:
    """Whether it is neurons whose membranes do not start at rest (`initial`)."""
    return isinstance(layer, Neuron) and bool(getattr(layer.dynamics, "initial", 0.0))


def neuron_parameters(at: NamedLayer, weights: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
    """Each value of a neuron layer's equations: a float, or the stored tensor within the range that it is used in."""
    assert isinstance(at.layer, Neuron)
    dynamics = at.layer.dynamics
    bounds = dynamics.bounds()
    used: dict[str, Tensor | float] = dict(dynamics.values())
    for name in used:
        stored = weights.get(f"{at.name}.{name}")
        if stored is not None:
            used[name] = stored.clamp(*bounds.get(name, _UNBOUNDED))
    return used


def recurrent_matrix(at: NamedLayer, weights: Mapping[str, Tensor]) -> Tensor | None:
    """The matrix [N, N] that feeds a layer's spikes back to it, without a diagonal unless the layer has one."""
    assert isinstance(at.layer, Neuron)
    stored = weights.get(f"{at.name}.recurrent")
    if stored is None or at.layer.self_connections:
        return stored
    return stored - stored.diag().diag()


def qcfs_threshold(at: NamedLayer, weights: Mapping[str, Tensor]) -> Tensor:
    """The largest value that a quantised activation gives, of the layer or of each channel, within its range."""
    assert isinstance(at.layer, QCFS)
    return weights[f"{at.name}.threshold"].clamp(min=_LEAST_THRESHOLD)


def folded(key: str, value: Tensor | None, norm: NamedLayer, weights: Mapping[str, Tensor]) -> Tensor:
    """A weight or bias that does what the batch normalisation behind it does in evaluation.

        weight' = weight s;   bias' = (bias - mean) s + shift;   s = scale / sqrt(variance + epsilon)

    Args:
        key: "weight" or "bias".
        value: None is no bias.
    Source: Jacob et al., "Quantization and training of neural networks", CVPR 2018, sec. 3.2.
    """
    assert isinstance(norm.layer, BatchNorm)
    own = {name: weights[f"{norm.name}.{name}"] for name in norm.parameters()}
    scale = own["weight"] / (own["running_var"] + norm.layer.epsilon).sqrt()
    if key == "weight":
        assert value is not None
        return value * scale.view(-1, *[1] * (value.ndim - 1))
    shift = own["bias"] - own["running_mean"] * scale
    return shift if value is None else value * scale + shift


def clamp_stored(graph: Graph, weights: Mapping[str, Tensor]) -> None:
    """Bring stored neuron parameters back, in place, into the range that they are used in.

    After each update: a value beyond its range would get no gradient any more, and what is stored would not be what
    is used (projected gradient descent).
    """
    for at in graph.named:
        if isinstance(at.layer, QCFS) and (threshold := weights.get(f"{at.name}.threshold")) is not None:
            threshold.detach().clamp_(min=_LEAST_THRESHOLD)
        if not isinstance(at.layer, Neuron):
            continue
        for name, (low, high) in at.layer.dynamics.bounds().items():
            stored = weights.get(f"{at.name}.{name}")
            if stored is not None:
                stored.detach().clamp_(low, high)
