"""Surrogate gradients: the spike is a strict step forward, and has a smooth derivative backward.

Forward, every surrogate is  z = 1 if x > 0 else 0  with  x = v - threshold.
Backward, dz/dx is replaced by the named derivative. Source: Neftci, Mostafa and Zenke, "Surrogate gradient learning in
spiking neural networks", IEEE Signal Processing Magazine 36(6), 2019.
"""

import math
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import Config

__all__ = ["ATan", "Boxcar", "FastSigmoid", "Sigmoid", "StraightThrough", "Surrogate", "Triangle"]

Positive = Annotated[float, Field(gt=0)]


class _Step(torch.autograd.Function):
    """The step function whose gradient is a surrogate's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: "_Bump") -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.surrogate.derivative(x), None


class _Bump(Config):
    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """What stands for dz/dx in the backward pass."""
        raise AssertionError(f"{type(self).__name__} has no derivative")

    def __call__(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """Spikes (0 or 1) where `x` is strictly positive; differentiable through the surrogate."""
        spikes: Tensor = _Step.apply(x, self)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
        return spikes


class FastSigmoid(_Bump):
    """dz/dx = 1 / (1 + slope |x|)^2.  Source: Zenke and Ganguli, Neural Computation 30(6), 2018, eq. 18."""

    kind: Literal["fast_sigmoid"] = "fast_sigmoid"
    slope: Positive = 25.0

    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """See the class."""
        return (1 + self.slope * x.abs()).pow(-2)


class ATan(_Bump):
    """dz/dx = (alpha / 2) / (1 + (pi alpha x / 2)^2).  Source: Fang et al., PLIF, ICCV 2021."""

    kind: Literal["atan"] = "atan"
    alpha: Positive = 2.0

    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """See the class."""
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * x).square())


class Triangle(_Bump):
    """dz/dx = height max(0, 1 - |x| / width).  Source: Bellec et al., LSNN, NeurIPS 2018, sec. 2 (height 0.3)."""

    kind: Literal["triangle"] = "triangle"
    height: Positive = 1.0
    width: Positive = 1.0

    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """See the class."""
        return self.height * (1 - x.abs() / self.width).clamp(min=0)


class Boxcar(_Bump):
    """dz/dx = 1 / (2 width) where |x| < width.  Source: Wu et al., Frontiers in Neuroscience 12:331, 2018, eq. 24."""

    kind: Literal["boxcar"] = "boxcar"
    width: Positive = 0.5

    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """See the class."""
        return (x.abs() < self.width).to(x.dtype) / (2 * self.width)


class Sigmoid(_Bump):
    """dz/dx = slope s (1 - s), s = sigmoid(slope x).  Source: Neftci, Mostafa and Zenke 2019 (see module)."""

    kind: Literal["sigmoid"] = "sigmoid"
    slope: Positive = 25.0

    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """See the class."""
        s = torch.sigmoid(self.slope * x)
        return self.slope * s * (1 - s)


class StraightThrough(_Bump):
    """dz/dx = 1.  Source: Bengio, Leonard and Courville, arXiv 1308.3432, sec. 4."""

    kind: Literal["straight_through"] = "straight_through"

    def derivative(self, x: Float[Tensor, "*F"]) -> Float[Tensor, "*F"]:
        """See the class."""
        return torch.ones_like(x)


Surrogate = Annotated[
    FastSigmoid | ATan | Triangle | Boxcar | Sigmoid | StraightThrough,
    Field(discriminator="kind"),
]
