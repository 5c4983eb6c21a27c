"""`TrainConfig`: how a network is trained. The same for every side of a comparison."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator

from spikewise.config import Config

__all__ = ["SGD", "Adam", "AdamW", "Constant", "Cosine", "Optimizer", "Schedule", "StepDecay", "TrainConfig"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
_UNTUNED = 1e-3
"""Learning rate where none is given and none is looked for."""
_AUTO_EPOCHS = ((3_000, 40), (20_000, 20), (math.inf, 8))
"""Small sets need more passes: up to so many images, so many epochs."""
_MOST_SHARDS = 1024
_QUICK_EPOCHS = ((3_000, 10), (20_000, 3), (math.inf, 1))
"""The same for a first look."""


class Adam(Config):
    """Adam, weight decay added to the gradient.  Source: Kingma and Ba, ICLR 2015."""

    kind: Literal["adam"] = "adam"
    weight_decay: NotNegative = 0.0


class AdamW(Config):
    """Adam, weight decay apart from the gradient.  Source: Loshchilov and Hutter, ICLR 2019."""

    kind: Literal["adamw"] = "adamw"
    weight_decay: NotNegative = 0.01


class SGD(Config):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"
    weight_decay: NotNegative = 0.0
    momentum: Share = 0.9
    nesterov: bool = False


Optimizer = Annotated[Adam | AdamW | SGD, Field(discriminator="kind")]


class Constant(Config):
    """The learning rate stays."""

    kind: Literal["constant"] = "constant"

    def factor(self, epoch: float, epochs: int) -> float:
        """1."""
        del epoch, epochs
        return 1.0

    def compressed(self, share: float) -> "Constant":
        """The same."""
        del share
        return self


class StepDecay(Config):
    """The learning rate is multiplied by `factor_per_step` every so many epochs."""

    kind: Literal["step"] = "step"
    every: Annotated[int, Field(ge=1)] = 10
    """Epochs between two decays."""
    factor_per_step: Annotated[float, Field(gt=0, le=1)] = 0.1

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch` (epochs done, with fraction)."""
        del epochs
        return self.factor_per_step ** int(epoch // self.every)

    def compressed(self, share: float) -> "StepDecay":
        """The same decays in a share of the epochs, as far as whole epochs allow."""
        return self.replace(every=max(1, round(self.every * share)))


class Cosine(Config):
    """Half a cosine from 1 to `floor`.  Source: Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5."""

    kind: Literal["cosine"] = "cosine"
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch` (epochs done, with fraction)."""
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))

    def compressed(self, share: float) -> "Cosine":
        """The same: it knows no length."""
        del share
        return self


Schedule = Annotated[Constant | StepDecay | Cosine, Field(discriminator="kind")]


class TrainConfig(Config):
    """Budget, optimizer and rules of one training."""

    epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """"auto" goes by the number of training images: 40 up to 3,000 images, 20 up to 20,000, 8 beyond; in a first look
    (`quick`) 10, 3 and 1."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    shards: Annotated[int, Field(ge=1, le=_MOST_SHARDS)] = 1
    """Parts of a batch whose gradients are summed in a fixed order, a power of two: 1, 2, 4 or more processes (up to
    `shards`) then share a training and give the same bytes. `rate_penalty` goes by the part, batch normalisation by
    the batch. 1 is the batch as a whole, in one process."""
    learning_rate: Positive | Literal["auto"] = "auto"
    """At the top of the schedule. "auto": each side's own, by short trainings that validation images judge, the same
    number of them for every side (`tuned`); 0.001 where nothing is tuned."""
    optimizer: Optimizer = Adam()
    schedule: Schedule = Cosine()
    warmup_epochs: NotNegative = 0.0
    """Epochs over which the learning rate rises linearly from 0."""
    initial: Literal["balanced", "drawn"] = "balanced"
    """Weights at the start. balanced: as drawn, then scaled on a batch of training images, so that no layer begins dead
    or saturated (conventional layers with unit variance, spiking ones with 0.1 spikes per neuron and step)."""
    gradient_clip: Positive | None = None
    """Largest norm of all gradients together."""
    ema: Share = 0.0
    """Decay per step of an exponential moving average of the weights, which is then evaluated; 0 is off."""
    class_weights: bool = False
    """Weigh each image by N / (K x images of its class) in the loss."""
    monitor: Literal["accuracy", "balanced_accuracy", "loss"] = "accuracy"
    """Validation figure by which the best epoch is chosen (ties: the lower validation loss)."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are the result."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs matrix products in bf16 autocast."""

    @field_validator("shards")
    @classmethod
    def _halves_evenly(cls, value: int) -> int:
        if value.bit_count() != 1:
            raise ValueError("sums go in pairs, so that it is a power of two: 1, 2, 4, 8, ...")
        return value

    def resolved(self, images: int, *, quick: bool = False) -> "TrainConfig":
        """The same with a number for `epochs`, for `images` training images; fewer for a first look."""
        if self.epochs != "auto":
            return self
        table = _QUICK_EPOCHS if quick else _AUTO_EPOCHS
        return self.replace(epochs=next(epochs for limit, epochs in table if images <= limit))

    @property
    def rate(self) -> float:
        """The learning rate as it is used."""
        return _UNTUNED if self.learning_rate == "auto" else self.learning_rate

    def learning_rate_at(self, epoch: float) -> float:
        """Learning rate after `epoch` epochs (with fraction); `epochs` must be resolved."""
        assert self.epochs != "auto"
        warm = min(1.0, epoch / self.warmup_epochs) if self.warmup_epochs else 1.0
        return self.rate * warm * self.schedule.factor(epoch, self.epochs)

    def build_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer over `parameters`."""
        decay = self.optimizer.weight_decay
        match self.optimizer:
            # Fused: one pass over the memory of weights and moments instead of a dozen, five to ten times as fast.
            case Adam():
                return torch.optim.Adam(parameters, self.rate, weight_decay=decay, fused=True)
            case AdamW():
                return torch.optim.AdamW(parameters, self.rate, weight_decay=decay, fused=True)
            case SGD(momentum=momentum, nesterov=nesterov):
                return torch.optim.SGD(
                    parameters,
                    self.rate,
                    momentum=momentum,
                    weight_decay=decay,
                    nesterov=nesterov,
                    fused=True,
                )
