"""Batch normalisation of a part of a batch by the statistics of all of it."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from spikewise.engine.contract import Exchange
from spikewise.graph import BatchNorm

__all__ = ["normalised_with_others"]


def normalised_with_others(
    layer: BatchNorm, own: dict[str, Tensor], frames: Float[Tensor, "N C *F"], exchange: Exchange
) -> Float[Tensor, "N C *F"]:
    """What `F.batch_norm` makes in training of these frames, among those of all parts.

    Args:
        own: weight, bias and running statistics; these change where this part is the one that remembers.
        exchange: used twice forward (sums and counts; squares around the mean, so that nothing cancels) and once
            backward (sums of the gradients, and of those times what was normalised).
    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, algorithm 1 and the gradients below it.
    """
    values = frames.float() if frames.dtype in (torch.bfloat16, torch.float16) else frames
    sums = exchange.total(
        torch.cat([_sums(values.detach()), torch.tensor([values.numel() / values.shape[1]]).double()])
    )
    count = float(sums[-1])
    if count < 2:  # one value has no spread
        running = (own["running_mean"], own["running_var"])
        return F.batch_norm(frames, *running, own["weight"], own["bias"], False, layer.momentum, layer.epsilon)
    mean = (sums[:-1] / count).to(values)
    middle = _by_channel(mean, values)
    variance = (exchange.total(_sums((values.detach() - middle).square())) / count).to(values)
    if exchange.remembers:
        for key, new in (("running_mean", mean), ("running_var", variance * (count / (count - 1)))):
            own[key].detach().mul_(1 - layer.momentum).add_(new, alpha=layer.momentum)
    inverse = torch.rsqrt(variance + layer.epsilon)
    standard: Tensor = _Standard.apply(values, mean, inverse, count, exchange)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return (standard * _by_channel(own["weight"], values) + _by_channel(own["bias"], values)).to(frames.dtype)


class _Standard(torch.autograd.Function):
    """(x - mean) / deviation, both of which depend on the x of all parts."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, inverse: Tensor, count: float, exchange: Exchange) -> Tensor:
        standard = (x - _by_channel(mean, x)) * _by_channel(inverse, x)
        ctx.save_for_backward(standard, inverse)
        ctx.count, ctx.exchange = count, exchange
        return standard

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        standard, inverse = ctx.saved_tensors
        sums = ctx.exchange.total(torch.cat([_sums(gradient), _sums(gradient * standard)])) / ctx.count
        along, across = (_by_channel(one.to(gradient), gradient) for one in sums.chunk(2))
        found = _by_channel(inverse, gradient) * (gradient - along - standard * across)
        return found, None, None, None, None


def _sums(x: Tensor) -> Tensor:
    """Of each channel, on the CPU."""
    return x.transpose(0, 1).flatten(1).sum(1, dtype=torch.float64).cpu()


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 2))
