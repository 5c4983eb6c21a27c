"""What one image costs: operations counted from the graph and from the spikes that were really sent.

    macs                  multiply-accumulates of weighted layers fed with real numbers
    synaptic operations   additions caused by spikes: each non-zero input adds one weight to each neuron it reaches
    state updates         neurons x steps

Energy model "45 nm arithmetic": a 32-bit float multiplication 3.7 pJ, an addition 0.9 pJ; a state update counts as one
multiply-accumulate; memory traffic is not in it, so it is a lower bound for either side.
Source: Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, fig. 1.1.9.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from spikewise.encoders import Direct
from spikewise.graph import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Graph,
    Linear,
    NamedLayer,
    Neuron,
    SpikingActivation,
    is_spiking,
)

__all__ = ["ARITHMETIC_45NM", "SOURCE", "Operations", "count_operations", "energy_nanojoule"]

ARITHMETIC_45NM: Mapping[str, float] = {"multiplication_pj": 3.7, "addition_pj": 0.9}
"""Picojoule per 32-bit floating point operation."""
SOURCE = "Horowitz, ISSCC 2014, fig. 1.1.9 (45 nm, 32-bit float arithmetic; memory traffic not included)"


class Operations(NamedTuple):
    """Operations for one image, all steps together."""

    macs: float
    synaptic_operations: float
    state_updates: float


def count_operations(graph: Graph, input_events: Mapping[str, Float[Tensor, "*F"]]) -> Operations:
    """Operations for one image.

    Args:
        input_events: share of steps at which each input of each weighted layer is not zero, as measured by an engine.
    """
    spikes = not isinstance(graph.encoder, Direct)
    macs = synaptic = states = 0.0
    constant = not spikes
    for at in graph.named:
        match at.layer:
            case Linear() | Conv2d() if spikes:
                synaptic += graph.steps * float((input_events[at.name] * _fan_out(at)).sum())
            case Linear() | Conv2d():
                # What enters does not change over time until the first neuron: one pass serves all steps.
                macs += float(_fan_out(at).sum()) * (1 if constant else graph.steps)
            case Neuron() | SpikingActivation():
                states += math.prod(at.output) * graph.steps
                if isinstance(at.layer, Neuron) and at.layer.recurrent:
                    synaptic += _recurrent_operations(at, graph, input_events)
                spikes, constant = is_spiking(at.layer), False
            case Activation() | AvgPool() | BatchNorm():
                spikes = False
            case _:
                pass
    return Operations(macs, synaptic, states)


def energy_nanojoule(operations: Operations) -> float:
    """Energy of the arithmetic in nanojoule per image, by the module's 45 nm model."""
    add, multiply = ARITHMETIC_45NM["addition_pj"], ARITHMETIC_45NM["multiplication_pj"]
    multiply_add = operations.macs + operations.state_updates
    return (multiply_add * (add + multiply) + operations.synaptic_operations * add) / 1000


def _fan_out(at: NamedLayer) -> Float[Tensor, "*F"]:
    """Number of outputs that each input reaches."""
    if isinstance(at.layer, Linear):
        return torch.full(at.input, float(at.layer.features))
    assert isinstance(at.layer, Conv2d)
    layer = at.layer
    ones = torch.ones(1, layer.channels, *at.output[1:])
    kernel = torch.ones(layer.channels, 1, layer.kernel, layer.kernel)
    # Rows and columns that the stride never reaches have no outputs.
    extra = tuple((size + 2 * layer.padding - layer.kernel) % layer.stride for size in at.input[1:])
    reached = F.conv_transpose2d(ones, kernel, stride=layer.stride, padding=layer.padding, output_padding=extra)
    return reached[0].expand(at.input)


def _recurrent_operations(at: NamedLayer, graph: Graph, input_events: Mapping[str, Tensor]) -> float:
    """Additions through the recurrent matrix: the layer's own spikes, each reaching all neurons of the layer."""
    names = [named.name for named in graph.named]
    after = [name for name in names[names.index(at.name) :] if name in input_events]
    rate = float(input_events[after[0]].mean()) if after else 0.0
    return graph.steps * rate * at.output[0] * at.output[0]
