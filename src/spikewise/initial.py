"""Initial weights: how a weighted layer's matrix is drawn before training."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from spikewise.config import Config

__all__ = ["Init", "Normal", "Uniform", "Xavier", "fans"]


class Uniform(Config):
    """U(-gain / sqrt(fan in), gain / sqrt(fan in)); gain 1 is PyTorch's own for linear and convolutional layers."""

    kind: Literal["uniform"] = "uniform"
    gain: Annotated[float, Field(gt=0)] = 1.0

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Weights of `shape`."""
        return _uniform(shape, self.gain / math.sqrt(fans(shape)[0]), generator)


class Xavier(Config):
    """U(-a, a), a = gain sqrt(6 / (fan in + fan out)).  Source: Glorot and Bengio, AISTATS 2010, eq. 16."""

    kind: Literal["xavier"] = "xavier"
    gain: Annotated[float, Field(gt=0)] = 1.0

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Weights of `shape`."""
        return _uniform(shape, self.gain * math.sqrt(6 / sum(fans(shape))), generator)


class Normal(Config):
    """N(0, sd^2), whatever the layer's size."""

    kind: Literal["normal"] = "normal"
    sd: Annotated[float, Field(gt=0)] = 1.0

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Weights of `shape`."""
        return self.sd * torch.randn(shape, generator=generator)


Init = Annotated[Uniform | Xavier | Normal, Field(discriminator="kind")]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs that reach one output, and outputs that one input reaches, for a weight [out, in, ...]."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) * bound
