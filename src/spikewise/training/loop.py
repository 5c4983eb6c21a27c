"""`fit`: one training of one network, killable at any moment and resumed by the same call."""

import copy
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikewise.data import AugmentConfig, ImageSet, Split, augment, batches, class_weights
from spikewise.engine import EngineResult, RunOptions
from spikewise.errors import EngineError
from spikewise.evaluation import EpochRecord
from spikewise.evaluation.prediction import Predictions, predict
from spikewise.files import make_folder
from spikewise.losses import CrossEntropy, Loss, RatePenalty, Target
from spikewise.network import Network, Output
from spikewise.training.checkpoint import Checkpoint, load_weights, save_weights
from spikewise.training.config import TrainConfig
from spikewise.training.events import Listener, Silent
from spikewise.training.health import all_finite, divergence, rate_warnings
from spikewise.types import Draw

__all__ = ["WEIGHTS", "FitResult", "Task", "fit"]

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "weights.safetensors"


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


@dataclass
class FitResult:
    """What a training gave; the network holds the kept weights."""

    history: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Training time, validation included."""
        return sum(record.seconds for record in self.history)

    def notes(self) -> dict[str, Any]:
        """The same as JSON."""
        history = [record.model_dump(mode="json") for record in self.history]
        return {**vars(self), "history": history, "warnings": list(self.warnings)}

    @classmethod
    def of(cls, notes: dict[str, Any]) -> "FitResult":
        """What `notes` described."""
        history = [EpochRecord(**record) for record in notes["history"]]
        return cls(history, notes["best_epoch"], notes["stopped_early"], tuple(notes["warnings"]))


def fit(network: Network, task: Task, folder: Path, listener: Listener | None = None) -> FitResult:
    """Train `network`, leaving its kept weights in it and in `folder`; goes on from a checkpoint found there.

    The result is bit-identical whether or not the training was interrupted, on one machine with one thread count.

    Raises:
        TrainingError: the loss is not a number any more; the message says where that began.
        StorageError: the disk is full; the last checkpoint stays whole.
    """
    listener = listener or Silent()
    task = replace(task, train=task.train.settled(len(task.split.train)))
    session = _Session(network, task, make_folder(folder))
    session.resume()
    listener.started(task.name, task.seed, epochs=session.epochs, done=len(session.result.history))
    while not session.is_over():
        session.run_epoch(listener)
    listener.finished()
    session.keep()
    return session.result


class _Session:
    """Everything that changes while one network trains."""

    def __init__(self, network: Network, task: Task, folder: Path) -> None:
        self.network, self.task, self.folder = network, task, folder
        config = task.train
        self.optimizer = config.build_optimizer([p for p in network.parameters() if p.requires_grad])
        self.average = copy.deepcopy(network) if config.ema else None
        if task.penalty is not None and network.engine_name == "native":
            raise EngineError("The native engine cannot train with a rate_penalty. Use engine = 'auto' or 'reference'.")
        self.result = FitResult()
        self.best = (-float("inf"), -float("inf"))
        self.class_weights: Tensor | None = None
        if config.class_weights:
            weights = class_weights(task.images.labels[task.split.train], len(task.images.classes))
            self.class_weights = torch.as_tensor(weights, dtype=torch.float32, device=network.device)

    @property
    def penalised(self) -> frozenset[str]:
        """Layers whose spikes the penalty needs."""
        return frozenset(() if self.task.penalty is None else self.network.graph.spiking_layers)

    @property
    def epochs(self) -> int:
        """The budget."""
        assert self.task.train.epochs != "auto"
        return self.task.train.epochs

    def resume(self) -> None:
        """Go on where an earlier process stopped, if one did."""
        path = self.folder / CHECKPOINT
        if path.exists():
            checkpoint = Checkpoint.load(path)
            checkpoint.restore(self.network, self.average, self.optimizer)
            first, second = checkpoint.notes["best"]
            self.best = (first, second)
            self.result = FitResult.of(checkpoint.notes["result"])

    def is_over(self) -> bool:
        """Whether the budget is spent or patience has run out."""
        return self.result.stopped_early or len(self.result.history) >= self.epochs

    def run_epoch(self, listener: Listener) -> None:
        """Train and validate one epoch, then write the checkpoint."""
        task, epoch = self.task, len(self.result.history) + 1
        started = time.perf_counter()
        loss, plain, accuracy, rate = self._train(epoch, listener)
        trained = time.perf_counter() - started
        validation = self._validate(epoch)
        record = EpochRecord(
            epoch=epoch,
            train_loss=loss,
            train_cross_entropy=plain,
            train_accuracy=accuracy,
            validation_loss=validation.loss,
            validation_accuracy=float((validation.predicted == validation.labels).mean()),
            learning_rate=rate,
            seconds=time.perf_counter() - started,
            images_per_second=len(task.split.train) / trained,
            spike_rates={layer: rate.mean().item() for layer, rate in validation.rates.items()},
        )
        self._judge(record, validation)
        self._save()
        listener.epoch(record)

    @property
    def evaluated(self) -> Network:
        """The network that counts: the moving average where there is one."""
        return self.network if self.average is None else self.average

    def keep(self) -> None:
        """Load the kept epoch's weights into the network."""
        weights, _ = load_weights(self.folder / WEIGHTS)
        self.network.load_state_dict(weights)

    def _train(self, epoch: int, listener: Listener) -> tuple[float, float, float, float]:
        """Objective, plain cross-entropy, accuracy and last learning rate of one pass over the training part."""
        task, config = self.task, self.task.train
        self.network.train()
        total, plain, right, done, rate = 0.0, 0.0, 0, 0, config.learning_rate
        order = list(batches(task.split.train, config.batch_size, seed=task.seed, epoch=epoch))
        for number, index in enumerate(order):
            # The middle of the batch: no update is lost at either end of a schedule, however few there are.
            rate = config.learning_rate_at(epoch - 1 + (number + 0.5) / len(order))
            loss, entropy, hits = self._step(index, epoch, number, rate)
            total, plain = total + loss * len(index), plain + entropy * len(index)
            right, done = right + hits, done + len(index)
            listener.batch(images=done, total=len(task.split.train), loss=total / done)
        return total / done, plain / done, right / done, rate

    def _validate(self, epoch: int) -> Predictions:
        """Predict the validation part; what is not finite is never kept."""
        task = self.task
        validation = predict(self.evaluated, task.images, task.split.validation, seed=task.seed)
        if validation.loss is not None and not np.isfinite(validation.loss):
            last = -(-len(task.split.train) // task.train.batch_size)
            raise divergence(
                self.evaluated, f"the validation loss is {validation.loss}", "after", epoch=epoch, batch=last
            )
        return validation

    def _step(self, index: np.ndarray[Any, Any], epoch: int, number: int, rate: float) -> tuple[float, float, int]:
        task, config, device = self.task, self.task.train, self.network.device
        draw = Draw(task.seed, epoch, torch.from_numpy(index).to(device))
        images = torch.from_numpy(np.ascontiguousarray(task.images.images[index])).to(device)
        labels = torch.from_numpy(task.images.labels[index]).to(device)
        changed = augment(images, labels, draw, task.augment, classes=len(task.images.classes))
        targets = labels if changed.targets is None else changed.targets
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            output = self._answer(changed.images, draw, number + 1)
            target = Target.of(targets, len(task.images.classes), self.class_weights)
            loss = task.loss(output.logits.float(), output.trajectory, target)
            if task.penalty is not None and self.penalised:
                loss = loss + task.penalty(spikes_of(output.result))
        # One transfer for both: the objective, and what rules can hold against guessing whatever the objective is.
        value, plain = torch.stack([loss.detach().float(), self._cross_entropy(output, targets)]).tolist()
        if not np.isfinite(value):
            raise divergence(
                self.network, f"the loss is {value}", "in", epoch=epoch, batch=number + 1, result=output.result
            )
        self._update(loss, rate)
        if not all_finite(self.network):
            raise divergence(self.network, f"the loss was {value:.4g}", "after", epoch=epoch, batch=number + 1)
        return value, plain, int((output.logits.detach().argmax(-1) == labels).sum())

    def _cross_entropy(self, output: Output, targets: Tensor) -> Tensor:
        """Neither smoothed nor weighted nor penalised: what the validation loss is, too."""
        target = Target.of(targets, len(self.task.images.classes))
        return CrossEntropy()(output.logits.detach().float(), output.trajectory, target)

    def _answer(self, images: Tensor, draw: Draw, batch: int) -> Output:
        try:
            output: Output = self.network(images, draw, RunOptions(record=self.penalised))
        except EngineError:
            if all_finite(self.network):
                raise
            raise divergence(self.network, "nothing can be computed", "before", epoch=draw.epoch, batch=batch) from None
        return output

    def _update(self, loss: Tensor, rate: float) -> None:
        config = self.task.train
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_clip)
        self.optimizer.step()
        if self.average is not None:
            with torch.no_grad():
                pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
                for mean, now in pairs:
                    mean.lerp_(now, 1 - config.ema)

    def _judge(self, record: EpochRecord, validation: Predictions) -> None:
        """Note the epoch, keep its weights if it is the best, and stop when patience has run out."""
        config, result = self.task.train, self.result
        result.history.append(record)
        score = _score(config, record, validation)
        if score > self.best or config.keep == "last":
            save_weights(self.folder / WEIGHTS, self.evaluated, {"epoch": record.epoch, "seed": self.task.seed})
            result.warnings = rate_warnings(validation.rates)
        if score > self.best:
            self.best, result.best_epoch = score, record.epoch
        since = record.epoch - result.best_epoch
        result.stopped_early = config.patience is not None and since >= config.patience and record.epoch < self.epochs

    def _save(self) -> None:
        notes = {"best": self.best, "result": self.result.notes()}
        Checkpoint.of(self.network, self.average, self.optimizer, notes).save(self.folder / CHECKPOINT)


def spikes_of(result: EngineResult) -> list[Tensor]:
    """Spikes of the recorded layers; a layer that carries plain rates in training has none."""
    spikes = [trace.spikes for trace in result.traces.values() if trace.spikes is not None]
    return spikes or [result.trajectory.membrane.new_zeros(1, 1, 1)]


def _score(config: TrainConfig, record: EpochRecord, validation: Predictions) -> tuple[float, float]:
    """What is maximised: the monitored figure, then the lower loss."""
    loss = -float("inf") if record.validation_loss is None else -record.validation_loss
    if config.monitor == "loss":
        return loss, 0.0
    right = validation.predicted == validation.labels
    if config.monitor == "balanced_accuracy":
        recalls = [right[validation.labels == k].mean() for k in np.unique(validation.labels)]
        return float(np.mean(recalls)), loss
    return float(right.mean()), loss
