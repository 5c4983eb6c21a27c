"""What every neuron model shares: parameters that may be learned, and the reset."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import GrowingConfig
from spikewise.errors import ConfigError
from spikewise.surrogates import Surrogate

__all__ = ["Decay", "Initial", "NeuronConfig", "Parameters", "Reset", "SpikingNeuron", "Threshold", "reset_membrane"]

Reset = Literal["subtract", "zero", "none"]
Decay = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(gt=0)]
Initial = Annotated[float, Field(ge=-1, le=1)]
Parameters = Mapping[str, Tensor | float]
"""The values a step uses, by name: a float, or a learnable tensor that broadcasts over [B, *F]."""


class NeuronConfig(GrowingConfig):
    """Base of the neuron configs: which parameters are learned, and whether they differ between neurons."""

    kind: str
    spikes: ClassVar[bool]
    """Whether it spikes; see `SpikingNeuron`."""
    State: ClassVar[type[tuple[Tensor, ...]]]
    """The named tuple that it keeps between steps; `v` is the membrane and `z` the spikes of the last step."""
    per: Literal["layer", "channel"] = "layer"
    """One value of each learned or spread parameter per layer, or per channel (per neuron after a linear layer)."""
    spread: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Relative standard deviation of the starting values between channels (heterogeneity); needs per = "channel"."""

    def model_post_init(self, context: object) -> None:
        """Check that there are channels to differ between."""
        del context
        if self.spread and self.per == "layer":
            raise ConfigError('spread sets neurons apart, and per = "layer" gives them one value; use per = "channel".')

    @abstractmethod
    def values(self) -> dict[str, float]:
        """Starting value of each parameter that a step uses."""

    @abstractmethod
    def initial_state(self, current: Float[Tensor, "B *F"]) -> Any:  # each neuron has its own type: `State`
        """The state of a layer at rest."""

    def starting_state(self, current: Float[Tensor, "B *F"], p: Parameters) -> Any:  # as above
        """The state before the first step, given the parameters in use: at rest, where a neuron does not say else."""
        del p
        return self.initial_state(current)

    @abstractmethod
    def step(
        self, current: Float[Tensor, "B *F"], state: Any, p: Parameters
    ) -> tuple[Tensor | None, Tensor, Any]:  # as above
        """Spikes (None where the neuron has none), membrane that was compared with the threshold, next state."""

    @property
    def label(self) -> str:
        """What it is called in names of layers and in reports."""
        return self.kind

    def variables(self) -> tuple[str, ...]:
        """What it keeps from step to step, its last spike aside."""
        fields: tuple[str, ...] = getattr(self.State, "_fields")  # noqa: B009  # of a named tuple, which mypy cannot say
        return tuple(name for name in fields if name != "z")

    def learned(self) -> frozenset[str]:
        """Names of the parameters that training changes."""
        return frozenset(getattr(self, "learn", ()))

    def stored(self) -> frozenset[str]:
        """Names of the parameters that are kept with the weights: learned, or different between channels."""
        return frozenset(self.values() if self.spread else self.learned())

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Range to which each parameter is clamped where it is used; what is not named is unbounded."""
        above = float("inf")
        return {
            "alpha": (0.0, 1.0),
            "beta": (0.0, 1.0),
            "threshold": (1e-3, above),
            "adaptation": (0.0, above),
            "adaptation_decay": (0.0, 1.0),
        }


class SpikingNeuron(NeuronConfig):
    """Base of the neurons that spike where the membrane is above a threshold."""

    spikes: ClassVar[bool] = True
    surrogate: Surrogate

    @abstractmethod
    def distance(
        self, membrane: Float[Tensor, "T B *F"], spikes: Float[Tensor, "T B *F"], p: Parameters
    ) -> Float[Tensor, "T B *F"]:
        """What the surrogate was given at each step of a run from rest: membrane minus threshold.

        Args:
            membrane: before the reset, as `step` returns it.
        """

    @abstractmethod
    def in_thresholds(self, membrane: Float[Tensor, "*any"], p: Parameters) -> Float[Tensor, "*any"]:
        """The membrane on the scale where rest is 0 and the resting threshold 1."""


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
