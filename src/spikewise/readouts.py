"""Readouts turn what the last layer did over time into logits, and into evidence after each step."""

from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import Config
from spikewise.errors import ConfigError

__all__ = [
    "FilteredSum",
    "LastMembrane",
    "MaxMembrane",
    "MeanMembrane",
    "Readout",
    "SpikeCount",
    "Trajectory",
]


class Trajectory(NamedTuple):
    """What the last layer did, step by step."""

    spikes: Float[Tensor, "T B K"] | None
    """None where the last layer has no spikes (a leaky integrator, a plain linear layer)."""
    membrane: Float[Tensor, "T B K"]
    """Membrane before the reset; the plain output where the last layer is no neuron."""


Carry = Float[Tensor, "B K"]
"""What a readout keeps of the steps seen: `add` takes one more; `read` says the evidence, once it is rounded to the
precision of the membranes. One step at a time they give what `evidence` gives for all."""


class SpikeCount(Config):
    """logits = number of output spikes.  Source: snnTorch's "rate" readout; Eshraghian et al. 2023, sec. III.B."""

    kind: Literal["spike_count"] = "spike_count"

    def evidence(self, trajectory: Trajectory) -> Float[Tensor, "T B K"]:
        """Spikes counted up to each step."""
        return _spikes(trajectory, self.kind).cumsum(0)

    def __call__(self, trajectory: Trajectory) -> Float[Tensor, "B K"]:
        """Spikes counted."""
        return _spikes(trajectory, self.kind).sum(0)

    def add(self, total: Carry | None, step: Trajectory) -> Carry:
        """Spikes counted so far."""
        return _sum(total, _spikes(step, self.kind)[0])

    def read(self, total: Carry, steps: int) -> Float[Tensor, "B K"]:
        """The count."""
        del steps
        return total


class MaxMembrane(Config):
    """logits = max over t of v[t].  Source: Cramer et al., "The Heidelberg spiking data sets", IEEE TNNLS 2020."""

    kind: Literal["max_membrane"] = "max_membrane"

    def evidence(self, trajectory: Trajectory) -> Float[Tensor, "T B K"]:
        """Highest membrane up to each step."""
        return trajectory.membrane.cummax(0).values

    def __call__(self, trajectory: Trajectory) -> Float[Tensor, "B K"]:
        """Highest membrane."""
        return trajectory.membrane.amax(0)

    def add(self, total: Carry | None, step: Trajectory) -> Carry:
        """Highest membrane so far."""
        return step.membrane[0] if total is None else torch.maximum(total, step.membrane[0])

    def read(self, total: Carry, steps: int) -> Float[Tensor, "B K"]:
        """The highest membrane."""
        del steps
        return total


class MeanMembrane(Config):
    """logits = mean over t of v[t]."""

    kind: Literal["mean_membrane"] = "mean_membrane"

    def evidence(self, trajectory: Trajectory) -> Float[Tensor, "T B K"]:
        """Mean membrane up to each step."""
        v = trajectory.membrane
        steps = torch.arange(1, len(v) + 1, dtype=v.dtype, device=v.device)
        return v.cumsum(0) / steps.view(-1, 1, 1)

    def __call__(self, trajectory: Trajectory) -> Float[Tensor, "B K"]:
        """Mean membrane."""
        return trajectory.membrane.mean(0)

    def add(self, total: Carry | None, step: Trajectory) -> Carry:
        """Sum of the membranes so far."""
        return _sum(total, step.membrane[0])

    def read(self, total: Carry, steps: int) -> Float[Tensor, "B K"]:
        """The mean."""
        return total / steps


class LastMembrane(Config):
    """logits = scale v[T]."""

    kind: Literal["last_membrane"] = "last_membrane"
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the logits; a twin takes over the gain of the readout it replaces (see `models.readout_gain`)."""

    def evidence(self, trajectory: Trajectory) -> Float[Tensor, "T B K"]:
        """The membrane at each step, scaled."""
        return self._scaled(trajectory.membrane)

    def __call__(self, trajectory: Trajectory) -> Float[Tensor, "B K"]:
        """The membrane at the last step, scaled."""
        return self._scaled(trajectory.membrane[-1])

    def add(self, total: Carry | None, step: Trajectory) -> Carry:
        """The newest membrane."""
        del total
        return step.membrane[0]

    def read(self, total: Carry, steps: int) -> Float[Tensor, "B K"]:
        """The newest membrane, scaled."""
        del steps
        return self._scaled(total)

    def _scaled(self, membrane: Tensor) -> Tensor:
        return membrane if self.scale == 1 else self.scale * membrane


class FilteredSum(Config):
    """logits = sum over t of decay^(T - t) v[t]: an exponentially weighted sum that favours late steps."""

    kind: Literal["filtered_sum"] = "filtered_sum"
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9

    def evidence(self, trajectory: Trajectory) -> Float[Tensor, "T B K"]:
        """The weighted sum up to each step."""
        total = torch.zeros_like(trajectory.membrane[0])
        sums = []
        for v in trajectory.membrane:
            total = self.decay * total + v
            sums.append(total)
        return torch.stack(sums)

    def __call__(self, trajectory: Trajectory) -> Float[Tensor, "B K"]:
        """The weighted sum."""
        v = trajectory.membrane
        age = torch.arange(len(v) - 1, -1, -1, dtype=v.dtype, device=v.device)
        return torch.einsum("t,tbk->bk", self.decay**age, v)

    def add(self, total: Carry | None, step: Trajectory) -> Carry:
        """The weighted sum so far."""
        return step.membrane[0] if total is None else self.decay * total + step.membrane[0]

    def read(self, total: Carry, steps: int) -> Float[Tensor, "B K"]:
        """The weighted sum."""
        del steps
        return total


Readout = Annotated[
    SpikeCount | MaxMembrane | MeanMembrane | LastMembrane | FilteredSum,
    Field(discriminator="kind"),
]


def _sum(total: Tensor | None, step: Tensor) -> Tensor:
    """A sum in double precision: PyTorch's running sum over a whole trajectory is one, too."""
    step = step if step.device.type == "mps" else step.double()
    return step if total is None else total + step


def _spikes(trajectory: Trajectory, readout: str) -> Tensor:
    if trajectory.spikes is None:
        raise ConfigError(
            f"The readout '{readout}' counts spikes, and the last layer has none. "
            "End the network with a spiking neuron, or read a membrane: max_membrane, mean_membrane, last_membrane."
        )
    return trajectory.spikes
