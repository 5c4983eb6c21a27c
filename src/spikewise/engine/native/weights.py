"""Parameters as the engine reads them: clamped, masked, folded, in its order; gradients pass."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spikewise.engine.contract import RunOptions
from spikewise.engine.native.layouts import engine_order
from spikewise.engine.native.plan import Compiled, Slot
from spikewise.engine.native.stages import reach
from spikewise.engine.parameters import folded, neuron_parameters, recurrent_matrix
from spikewise.graph import BatchNorm, Conv2d, Neuron, Shape

__all__ = ["parameters_of"]

_PIECE = 1024
"""Gradients that are summed by themselves."""


def parameters_of(plan: Compiled, weights: Mapping[str, Tensor], options: RunOptions) -> list[Tensor]:
    """Every parameter of a plan, in the order of its slots."""
    return [_parameter(slot, weights, training=options.training) for slot in plan.slots]


def _parameter(slot: Slot, weights: Mapping[str, Tensor], *, training: bool) -> Tensor:
    if slot.constant is not None:
        return slot.constant
    if isinstance(slot.layer.layer, Neuron):
        return _of_neurons(slot, weights)
    value = weights.get(f"{slot.layer.name}.{slot.key}")
    if slot.norm is not None:
        value = folded(slot.key, value, slot.norm, weights)
    assert value is not None
    if isinstance(slot.layer.layer, BatchNorm):
        return _of_norm(slot, value)
    if slot.key == "weight" and isinstance(slot.layer.layer, Conv2d):
        value = _as_plain(slot.layer.layer, value)
    return (value / (1 - slot.dropped) if training and slot.dropped else value).contiguous()


def _of_neurons(slot: Slot, weights: Mapping[str, Tensor]) -> Tensor:
    if slot.key == "recurrent":
        matrix = recurrent_matrix(slot.layer, weights)
        assert matrix is not None
        return matrix.contiguous()
    used = neuron_parameters(slot.layer, weights)[slot.key]
    assert isinstance(used, Tensor)
    everyone: Tensor = _OfEveryNeuron.apply(used, slot.layer.output)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return engine_order(everyone[None], slot.layout)[0]


class _OfEveryNeuron(torch.autograd.Function):
    """A value of the layer, or of each channel, for every neuron.

    PyTorch splits a long sum among threads, which then decide its last bits. Sums of short pieces it does not split.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, shape: Shape) -> Tensor:
        ctx.shape = value.shape
        return value.expand(shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rows = gradient.reshape(math.prod(ctx.shape), -1)
        short = F.pad(rows, (0, -rows.shape[1] % _PIECE)).view(len(rows), -1, _PIECE)
        return short.sum(2).sum(1).view(ctx.shape), None


def _of_norm(slot: Slot, value: Tensor) -> Tensor:
    if len(slot.layer.input) == 1:  # each feature is a channel
        value = engine_order(value[None], slot.layout)[0]
    # training changes the running ones in place, while backward still has what was read
    return value.clone() if slot.key.startswith("running_") else value.contiguous()


def _as_plain(layer: Conv2d, weight: Tensor) -> Tensor:
    """The kernel of the same convolution without groups and dilation: zeros where those see nothing."""
    groups, (down, right) = layer.groups, layer.dilations
    if groups > 1:
        parts = weight.view(groups, -1, *weight.shape[1:])
        apart = torch.einsum("goikl,gh->gohikl", parts, torch.eye(groups, dtype=weight.dtype))
        weight = apart.flatten(2, 3).flatten(0, 1)
    if (down, right) != (1, 1):
        wide = weight.new_zeros(*weight.shape[:2], *reach(layer))
        wide[..., ::down, ::right] = weight
        weight = wide
    return weight
