"""What every neuron model shares: parameters that may be learned, and the reset."""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import Config
from spikewise.errors import ConfigError

__all__ = ["Decay", "NeuronConfig", "Parameters", "Reset", "Threshold", "reset_membrane"]

Reset = Literal["subtract", "zero", "none"]
Decay = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(gt=0)]
Parameters = Mapping[str, Tensor | float]
"""The values a step uses, by name: a float, or a learnable tensor that broadcasts over [B, *F]."""


class NeuronConfig(Config):
    """Base of the neuron configs: which parameters are learned, and whether they differ between neurons."""

    per: Literal["layer", "channel"] = "layer"
    """One value of each learned or spread parameter per layer, or per channel (per neuron after a linear layer)."""
    spread: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Relative standard deviation of the starting values between channels (heterogeneity); needs per = "channel"."""

    def model_post_init(self, context: object) -> None:
        """Check that there are channels to differ between."""
        del context
        if self.spread and self.per == "layer":
            raise ConfigError('spread sets neurons apart, and per = "layer" gives them one value; use per = "channel".')

    def values(self) -> dict[str, float]:
        """Starting value of each parameter that a step uses."""
        raise AssertionError(f"{type(self).__name__} declares no parameters")

    def learned(self) -> frozenset[str]:
        """Names of the parameters that training changes."""
        return frozenset(getattr(self, "learn", ()))

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Range to which each parameter is clamped where it is used; what is not named is unbounded."""
        above = float("inf")
        return {
            "beta": (0.0, 1.0),
            "threshold": (1e-3, above),
            "adaptation": (0.0, above),
            "adaptation_decay": (0.0, 1.0),
        }


def reset_membrane(
    v: Float[Tensor, "B *F"], z: Float[Tensor, "B *F"], threshold: Tensor | float, reset: Reset, *, gradient: bool
) -> Float[Tensor, "B *F"]:
    """The membrane after spikes `z`: `v - threshold z`, `v (1 - z)` or `v`; no gradient through `z` unless asked."""
    if reset == "none":
        return v
    z = z if gradient else z.detach()
    return v - threshold * z if reset == "subtract" else v * (1 - z)


def zeros_beside(current: Float[Tensor, "B *F"]) -> Float[Tensor, "B *F"]:
    """A fresh zero state for one layer."""
    return torch.zeros_like(current)
