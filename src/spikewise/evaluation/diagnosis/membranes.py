"""Where the membranes of a layer lie against the threshold, and how much of the gradient its surrogate lets through."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spikewise.dynamics import SpikingNeuron
from spikewise.engine import LayerTrace
from spikewise.engine.parameters import neuron_parameters
from spikewise.evaluation.diagnosis.search import value_that_gives
from spikewise.graph import NamedLayer, Neuron
from spikewise.surrogates import Surrogate

__all__ = ["Membranes", "distance_from_threshold", "look_at_membranes", "passage", "slope_that_passes"]

WINDOW: Final = 0.1
"""A membrane lies in the window of a surrogate that passes at least this share of its peak there."""
_MOST_VALUES: Final = 1 << 20
_SHARPNESS: Final = {"fast_sigmoid": "slope", "sigmoid": "slope", "atan": "alpha", "triangle": "width",
                     "boxcar": "width"}  # fmt: skip


class Membranes(NamedTuple):
    """One layer's membranes over all neurons, steps and images of a batch."""

    low: float
    """1 % lie below; in thresholds."""
    median: float
    high: float
    """99 % lie below."""
    window: float
    """Share at which the surrogate passes at least a tenth of its peak."""
    passed: float
    """Mean derivative of the surrogate over its peak."""


def look_at_membranes(at: NamedLayer, weights: Mapping[str, Tensor], trace: LayerTrace) -> Membranes:
    """Membranes of a spiking neuron layer.

    Args:
        weights: of the network, by name.
        trace: what the layer did, step by step.
    """
    assert isinstance(at.layer, Neuron)
    dynamics = at.layer.dynamics
    assert isinstance(dynamics, SpikingNeuron)
    distance = _thinned(distance_from_threshold(at, weights, trace))
    values = _thinned(dynamics.in_thresholds(trace.output.detach(), neuron_parameters(at, weights)))
    low, median, high = (float(x) for x in np.quantile(values.numpy(), [0.01, 0.5, 0.99]))
    return Membranes(low, median, high, *passage(dynamics.surrogate, distance))


def passage(surrogate: Surrogate, distance: Float[Tensor, "*any"]) -> tuple[float, float]:
    """Share of the values in the surrogate's window, and its mean derivative over its peak.

    Args:
        distance: what the surrogate is given: membrane minus threshold.
    """
    derivative = surrogate.derivative(distance)
    peak = surrogate.derivative(torch.zeros(1))
    return float((derivative >= WINDOW * peak).float().mean()), float((derivative / peak).mean())


def slope_that_passes(
    surrogate: Surrogate, distance: Float[Tensor, "*any"], share: float
) -> tuple[str, float, float] | None:
    """The surrogate's own parameter at which it passes `share` of the gradient of these membranes.

    Returns:
        Name of the parameter, its value, and the share that it passes; None for a surrogate without one.
    """
    name = _SHARPNESS.get(surrogate.kind)
    if name is None:
        return None

    def passed(value: float) -> float:
        return passage(surrogate.replace(**{name: value}), distance)[1]

    found = value_that_gives(share, passed, around=1.0)
    return None if found is None else (name, *found)


@torch.no_grad()
def distance_from_threshold(
    at: NamedLayer, weights: Mapping[str, Tensor], trace: LayerTrace
) -> Float[Tensor, "T B *F"]:
    """What the surrogate of a layer was given at each step."""
    assert isinstance(at.layer, Neuron)
    dynamics = at.layer.dynamics
    assert isinstance(dynamics, SpikingNeuron)
    assert trace.spikes is not None
    return dynamics.distance(trace.output.detach(), trace.spikes.detach(), neuron_parameters(at, weights))


def _thinned(values: Tensor) -> Tensor:
    """At most a million of them, evenly spread: enough for quantiles."""
    flat = values.detach().flatten().cpu().float()
    return flat[:: max(1, flat.numel() // _MOST_VALUES)]
