"""One update of a network: what it answers to a batch, and the step downhill. The same on every device.

Nothing here looks at a number: a processor's loop looks after every batch, a GPU's once in many (`device_loop`).
"""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64, UInt8
from torch import Tensor

from spikewise.data import AugmentConfig, ImageSet, Split, augment, class_weights
from spikewise.encoders import Rate
from spikewise.engine import EngineResult, Exchange, RunOptions
from spikewise.losses import CrossEntropy, Loss, RatePenalty, Target
from spikewise.network import Network
from spikewise.ties import without_ties
from spikewise.training.config import TrainConfig
from spikewise.types import Draw

__all__ = ["BatchAnswers", "BatchFigures", "Learner", "Task", "TrainingBatch", "WholeUpdates"]


@dataclass(frozen=True)
class Task:
    """What to learn, and by which rules."""

    images: ImageSet
    split: Split
    loss: Loss
    train: TrainConfig
    augment: AugmentConfig
    seed: int
    name: str = "network"
    penalty: RatePenalty | None = None
    noise: Rate | None = None
    """Code whose spikes are counted in place of the pixels while it trains, new ones in each epoch; tests see none."""

    def seen(self, images: UInt8[Tensor, "B C H W"], draw: Draw) -> UInt8[Tensor, "B C H W"]:
        """A batch, changed already, as the network gets it."""
        return images if self.noise is None else self.noise.mean(images, draw)

    def batch(self, index: Int[np.ndarray, " B"], epoch: int, device: torch.device) -> "TrainingBatch":
        """The images at some positions of the set, changed as in that epoch, on a device."""
        draw = Draw(self.seed, epoch, torch.from_numpy(index).to(device))
        images = torch.from_numpy(np.ascontiguousarray(self.images.images[index])).to(device)
        labels = torch.from_numpy(self.images.labels[index]).to(device)
        changed = augment(images, labels, draw, self.augment, classes=len(self.images.classes))
        return TrainingBatch(self.seen(changed.images, draw), labels, changed.targets, draw)


class TrainingBatch(NamedTuple):
    """Some images on the network's device, changed already."""

    images: UInt8[Tensor, "B C H W"]
    labels: Int64[Tensor, " B"]
    shares: Float[Tensor, "B K"] | None
    """Share of each class in each image, where images were blended."""
    draw: Draw

    def part(self, rows: slice) -> "TrainingBatch":
        """Some of its images."""
        shares = None if self.shares is None else self.shares[rows]
        draw = self.draw._replace(index=self.draw.index[rows])
        return TrainingBatch(self.images[rows], self.labels[rows], shares, draw)


class BatchAnswers(NamedTuple):
    """What a network said to a batch."""

    loss: Float[Tensor, ""]
    """What is minimised; differentiable."""
    cross_entropy: Float[Tensor, ""]
    """Of softmax(logits): neither smoothed nor weighted nor penalised, as the validation loss is."""
    logits: Float[Tensor, "B K"]
    """Detached."""
    result: EngineResult

    @property
    def membrane(self) -> Float[Tensor, "B K"]:
        """Mean over the steps of the output's membranes, by which ties are broken; detached."""
        return self.result.trajectory.membrane.detach().float().mean(0)

    def right(self, batch: TrainingBatch) -> Bool[Tensor, " B"]:
        """Which images it classified right, ties broken as wherever a network answers."""
        return without_ties(self.logits, self.membrane, batch.draw.index).argmax(-1) == batch.labels


class BatchFigures(NamedTuple):
    """What came of a batch, as numbers."""

    loss: float
    cross_entropy: float
    hits: int
    """Images that were classified right."""
    sound: bool
    """Whether the output was finite."""


class Learner:
    """A network, its moving average, and the optimizer that changes them."""

    def __init__(self, network: Network, task: Task) -> None:
        config = task.train
        self.network, self.task = network, task
        self.optimizer = config.build_optimizer([p for p in network.parameters() if p.requires_grad])
        self.average = copy.deepcopy(network) if config.ema else None
        self.engine: str | None = None
        """Which engine gave the last answer."""
        self._class_weights: Tensor | None = None
        if config.class_weights:
            weights = class_weights(task.images.labels[task.split.train], len(task.images.classes))
            self._class_weights = torch.as_tensor(weights, dtype=torch.float32, device=network.device)

    @property
    def evaluated(self) -> Network:
        """The network that counts: the moving average where there is one."""
        return self.network if self.average is None else self.average

    def importance(self, labels: Int64[Tensor, " B"], shares: Float[Tensor, "B K"] | None) -> Float[Tensor, " B"]:
        """How much each image weighs in the loss."""
        return Target.of(
            labels if shares is None else shares, len(self.task.images.classes), self._class_weights
        ).weights

    def answer(self, batch: TrainingBatch, exchange: Exchange | None = None) -> BatchAnswers:
        """Loss and logits of a batch; differentiable.

        Args:
            exchange: with the other parts of what is learned from at once; None where this is all.
        """
        task, classes = self.task, len(self.task.images.classes)
        penalised = frozenset(() if task.penalty is None else self.network.graph.spiking_layers)
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=task.train.precision == "bfloat16"):
            output = self.network(batch.images, batch.draw, RunOptions(record=penalised, exchange=exchange))
            shares = batch.labels if batch.shares is None else batch.shares
            target = Target.of(shares, classes, self._class_weights)
            loss = task.loss(output.logits.float(), output.trajectory, target)
            if task.penalty is not None and penalised:
                loss = loss + task.penalty(_spikes_of(output.result))
        self.engine = output.result.engine
        logits = output.logits.detach().float()
        plain = CrossEntropy()(logits, output.trajectory, Target.of(shares, classes))
        return BatchAnswers(loss, plain, logits, output.result)

    def learn(self, loss: Float[Tensor, ""], rate: float | Float[Tensor, ""]) -> None:
        """One step of the optimizer down the gradient of `loss`, and of the moving average."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.descend(rate)

    def descend(self, rate: float | Float[Tensor, ""]) -> None:
        """One step of the optimizer down the gradient that stands in the weights, and of the moving average."""
        config = self.task.train
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.network.clamp_stored()
        if self.average is not None:
            with torch.no_grad():
                pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
                for mean, now in pairs:
                    mean.lerp_(now, 1 - config.ema)


class WholeUpdates:
    """The updates of a network, each by a batch as a whole."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._loss: Tensor | None = None

    def figures(self, index: Int[np.ndarray, " B"], epoch: int) -> BatchFigures:
        """Answer a batch."""
        learner = self._learner
        batch = learner.task.batch(index, epoch, learner.network.device)
        answer = learner.answer(batch)
        self._loss = answer.loss
        # One transfer for all: the objective, and what rules can hold against guessing whatever the objective is.
        sound = torch.isfinite(answer.result.trajectory.membrane).all()
        seen = (answer.loss.detach(), answer.cross_entropy, answer.right(batch).sum(), sound)
        value, plain, hits, finite = torch.stack([figure.double() for figure in seen]).tolist()
        return BatchFigures(value, plain, int(hits), bool(finite))

    def learn(self, rate: float) -> None:
        """One step of the optimizer down its loss."""
        assert self._loss is not None
        self._learner.learn(self._loss, rate)
        self._loss = None


def _spikes_of(result: EngineResult) -> list[Tensor]:
    """Spikes of the recorded layers; a layer that carries plain rates in training has none."""
    spikes = [trace.spikes for trace in result.traces.values() if trace.spikes is not None]
    return spikes or [result.trajectory.membrane.new_zeros(1, 1, 1)]
