"""Losses on what the last layer did; targets are labels [B] or label shares [B, K] (after mixup)."""

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from spikewise.config import Config
from spikewise.errors import ConfigError
from spikewise.readouts import Trajectory

__all__ = ["CountMSE", "CrossEntropy", "Loss", "OneHotMSE", "RatePenalty", "StepCrossEntropy", "Target"]

Share = Annotated[float, Field(ge=0, le=1)]


class Target(NamedTuple):
    """What the network should have said."""

    shares: Float[Tensor, "B K"]
    """Share of each class in each image: one-hot, unless images were mixed."""
    weights: Float[Tensor, " B"]
    """Weight of each image; their mean weighs the loss."""

    @classmethod
    def of(
        cls,
        labels: Int64[Tensor, " B"] | Float[Tensor, "B K"],
        classes: int,
        class_weights: Float[Tensor, " K"] | None = None,
    ) -> "Target":
        """From labels or shares, each image weighted by its classes."""
        shares = labels if labels.is_floating_point() else F.one_hot(labels, classes).float()
        weights = torch.ones_like(shares[:, 0]) if class_weights is None else shares @ class_weights
        return cls(shares, weights)


class CrossEntropy(Config):
    """Cross-entropy of softmax(logits)."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes. Source: Szegedy et al., CVPR 2016, sec. 7."""

    def __call__(self, logits: Float[Tensor, "B K"], trajectory: Trajectory, target: Target) -> Float[Tensor, ""]:
        """Mean over the batch."""
        del trajectory
        return _weighted(_cross_entropy(logits, target.shares, self.label_smoothing), target.weights)


class StepCrossEntropy(Config):
    """Cross-entropy of softmax(output spikes, or membranes) at every step, averaged over steps ("ce rate").

    Source: snnTorch, `ce_rate_loss`; Eshraghian et al., Proc. IEEE 111(9), 2023, sec. III.B.
    """

    kind: Literal["step_cross_entropy"] = "step_cross_entropy"
    on: Literal["spikes", "membrane"] = "spikes"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def __call__(self, logits: Float[Tensor, "B K"], trajectory: Trajectory, target: Target) -> Float[Tensor, ""]:
        """Mean over steps and the batch."""
        del logits
        output = _output_spikes(trajectory, self.kind) if self.on == "spikes" else trajectory.membrane
        each = _cross_entropy(output, target.shares.expand_as(output), self.label_smoothing)
        return _weighted(each.mean(0), target.weights)


class CountMSE(Config):
    """Mean squared difference between each class's spike rate and its target rate.

    Source: snnTorch, `mse_count_loss`, with counts and targets divided by T.
    """

    kind: Literal["count_mse"] = "count_mse"
    correct_rate: Share = 0.8
    """Spikes per step wanted from the right class."""
    incorrect_rate: Share = 0.2
    """Spikes per step wanted from the other classes."""

    def __call__(self, logits: Float[Tensor, "B K"], trajectory: Trajectory, target: Target) -> Float[Tensor, ""]:
        """Mean over classes and the batch."""
        del logits
        rate = _output_spikes(trajectory, self.kind).mean(0)
        wanted = self.incorrect_rate + (self.correct_rate - self.incorrect_rate) * target.shares
        return _weighted((rate - wanted).square().mean(-1), target.weights)


class OneHotMSE(Config):
    """Mean squared difference between softmax(logits) and the one-hot target (Brier score / K)."""

    kind: Literal["one_hot_mse"] = "one_hot_mse"

    def __call__(self, logits: Float[Tensor, "B K"], trajectory: Trajectory, target: Target) -> Float[Tensor, ""]:
        """Mean over classes and the batch."""
        del trajectory
        return _weighted((logits.softmax(-1) - target.shares).square().mean(-1), target.weights)


class RatePenalty(Config):
    """Penalty on how often the neurons of the spiking layers spike, added to the loss.

        l1      strength mean(r)
        l2      strength mean(r^2)
        range   strength mean(max(0, low - r)^2 + max(0, r - high)^2)

    with r each neuron's mean spikes per step over steps and batch, the mean over the neurons of a layer, summed over
    layers. Source: Zenke and Vogels, "The remarkable robustness of surrogate gradient learning", Neural Computation
    33(4), 2021, eq. 11-12.
    """

    kind: Literal["l1", "l2", "range"] = "range"
    strength: Annotated[float, Field(ge=0)] = 1.0
    low: Annotated[float, Field(ge=0)] = 0.01
    """Spikes per step below which "range" pulls up."""
    high: Annotated[float, Field(ge=0)] = 0.2
    """Spikes per step above which "range" pushes down."""

    def __call__(self, spikes: Iterable[Float[Tensor, "T B *F"]]) -> Float[Tensor, ""]:
        """The penalty for the spikes of each layer."""
        return self.strength * torch.stack([self._of(layer.mean(dim=(0, 1))) for layer in spikes]).sum()

    def _of(self, rate: Float[Tensor, "*F"]) -> Float[Tensor, ""]:
        match self.kind:
            case "l1":
                return rate.mean()
            case "l2":
                return rate.square().mean()
            case "range":
                outside = (self.low - rate).clamp(min=0).square() + (rate - self.high).clamp(min=0).square()
                return outside.mean()


Loss = Annotated[CrossEntropy | StepCrossEntropy | CountMSE | OneHotMSE, Field(discriminator="kind")]


def _cross_entropy(logits: Tensor, shares: Tensor, smoothing: float) -> Tensor:
    smooth = shares * (1 - smoothing) + smoothing / shares.shape[-1]
    return -(smooth * logits.log_softmax(-1)).sum(-1)


def _weighted(each: Float[Tensor, " B"], weights: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    return (each * weights).sum() / weights.sum()


def _output_spikes(trajectory: Trajectory, loss: str) -> Tensor:
    if trajectory.spikes is None:
        raise ConfigError(
            f"The loss '{loss}' needs output spikes, and the last layer has none. "
            "Use cross_entropy or one_hot_mse, or end the network with a spiking neuron."
        )
    return trajectory.spikes
