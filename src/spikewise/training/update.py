"""One update of a network: what it answers to a batch, and the step downhill. The same on every device.

Nothing here looks at a number: a processor's loop looks after every batch, a GPU's once in many (`device_loop`).
"""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from spikewise.data import AugmentConfig, ImageSet, Split, class_weights
from spikewise.encoders import Rate
from spikewise.engine import EngineResult, RunOptions
from spikewise.losses import CrossEntropy, Loss, RatePenalty, Target
from spikewise.network import Network
from spikewise.ties import without_ties
from spikewise.training.config import TrainConfig
from spikewise.types import Draw

__all__ = ["BatchAnswers", "Learner", "Task", "TrainingBatch"]


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


class TrainingBatch(NamedTuple):
    """Some images on the network's device, changed already."""

    images: UInt8[Tensor, "B C H W"]
    labels: Int64[Tensor, " B"]
    shares: Float[Tensor, "B K"] | None
    """Share of each class in each image, where images were blended."""
    draw: Draw


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

    def answer(self, batch: TrainingBatch) -> BatchAnswers:
        """Loss and logits of a batch; differentiable."""
        task, classes = self.task, len(self.task.images.classes)
        penalised = frozenset(() if task.penalty is None else self.network.graph.spiking_layers)
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=task.train.precision == "bfloat16"):
            output = self.network(batch.images, batch.draw, RunOptions(record=penalised))
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
        config = self.task.train
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.network.clamp_stored()
        if self.average is not None:
            with torch.no_grad():
                pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
                for mean, now in pairs:
                    mean.lerp_(now, 1 - config.ema)


def _spikes_of(result: EngineResult) -> list[Tensor]:
    """Spikes of the recorded layers; a layer that carries plain rates in training has none."""
    spikes = [trace.spikes for trace in result.traces.values() if trace.spikes is not None]
    return spikes or [result.trajectory.membrane.new_zeros(1, 1, 1)]
