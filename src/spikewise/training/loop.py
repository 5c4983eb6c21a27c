"""`fit`: one training of one network, killable at any moment and resumed by the same call."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikewise.config import parse
from spikewise.errors import ConfigError
from spikewise.evaluation import EpochRecord
from spikewise.evaluation.prediction import Predictions, predict
from spikewise.evaluation.record import Count, Many, Record
from spikewise.exact import exact_arithmetic
from spikewise.files import make_folder
from spikewise.memory import freed_memory_kept
from spikewise.network import Network
from spikewise.reading import damaged, read_json
from spikewise.training.balance import start
from spikewise.training.checkpoint import Checkpoint, damage_told, load_into, save_weights
from spikewise.training.config import TrainConfig
from spikewise.training.device_epochs import DeviceEpochs
from spikewise.training.epochs import Epochs, HostEpochs
from spikewise.training.event_file import EpochEvent, EventFile, dated
from spikewise.training.events import Listener, Silent
from spikewise.training.group import ProcessGroup, current_group
from spikewise.training.health import divergence, first_bad_weight, rate_warnings
from spikewise.training.shared_epochs import SharedEpochs
from spikewise.training.update import Learner, Task

__all__ = ["WEIGHTS", "FitResult", "Session", "Task", "epochs_of", "fit", "result_so_far"]

CHECKPOINT, WEIGHTS, FIT = "checkpoint.safetensors", "weights.safetensors", "fit.json"


@dataclass
class FitResult:
    """What a training gave; the network holds the kept weights."""

    history: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False
    warnings: tuple[str, ...] = ()
    engine: str | None = None
    """Which engine trained; None in runs that did not note it."""

    @property
    def seconds(self) -> float:
        """Training time, validation included; a share of it where several trainings had one device."""
        return sum(record.seconds for record in self.history)

    def notes(self) -> dict[str, Any]:
        """The same as JSON."""
        history = [record.model_dump(mode="json") for record in self.history]
        return {**vars(self), "history": history, "warnings": list(self.warnings)}

    @classmethod
    def of(cls, notes: Any, path: Path = Path("fit.json")) -> "FitResult":  # whatever a file held
        """What `notes` described.

        Args:
            path: The file that they come from.
        Raises:
            RunError: they are no notes of a training.
        """
        try:
            told = parse(_Notes, notes)
        except ConfigError as error:
            raise damaged(path, error) from None
        return cls(list(told.history), told.best_epoch, told.stopped_early, told.warnings, told.engine)

    @classmethod
    def load(cls, path: Path) -> "FitResult":
        """Read a `fit.json`.

        Raises:
            RunError: it is missing or damaged, or not a single epoch is over.
        """
        found = cls.of(read_json(path), path)
        if not found.history:
            raise damaged(path, "not a single epoch")
        return found


class _Notes(Record):
    """`FitResult` as JSON holds it."""

    history: Many[EpochRecord]
    best_epoch: Count
    stopped_early: bool
    warnings: Many[str]
    engine: str | None = None


def result_so_far(folder: Path, checkpoint: Checkpoint | None = None) -> FitResult:
    """How far a training is: the checkpoint's notes, and the epochs before in the event file.

    Checkpoints of older versions hold all epochs.

    Raises:
        RunError: one of the two is damaged, or they do not fit.
    """
    path, file = folder / CHECKPOINT, EventFile(folder)
    result = FitResult.of((checkpoint or Checkpoint.load(path)).notes.get("result"), path)
    first = result.history[0].epoch if result.history else 1
    result.history[:0] = [event.record for event in file.read() if event.epoch < first]
    if [record.epoch for record in result.history] != list(range(1, len(result.history) + 1)):
        raise damaged(file.path, f"it lacks epochs before {first}", "Remove the folder that it is in and run again.")
    return result


def fit(network: Network, task: Task, folder: Path, listener: Listener | None = None) -> FitResult:
    """Train `network`, leaving its kept weights in it and in `folder`; goes on from a checkpoint found there.

    The result is bit-identical whether or not the training was interrupted, on one machine with one thread count.

    Raises:
        TrainingError: the loss is not a number any more; the message says where that began.
        StorageError: the disk is full; the last checkpoint stays whole.
    """
    listener = listener or Silent()
    task = replace(task, train=task.train.resolved(len(task.split.train)))
    with exact_arithmetic(), freed_memory_kept():
        return _fit(network, task, make_folder(folder), listener)


def epochs_of(learner: Learner, group: ProcessGroup | None = None) -> Epochs:
    """The passes of a network, as its device makes them best: a GPU in a stream of its own.

    Args:
        group: the processes that make them together; None is this one alone.
    """
    device = learner.network.device
    if group is not None:
        return SharedEpochs(learner, group)
    if device.type != "cuda" or learner.task.train.shards > 1:  # in one process as in several: the same steps
        return HostEpochs(learner)
    return DeviceEpochs(learner, torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


def _fit(network: Network, task: Task, folder: Path, listener: Listener) -> FitResult:
    session = Session(network, task, folder)
    session.resume()
    listener.started(task.name, task.seed, epochs=session.epochs, done=len(session.result.history))
    while not session.is_over():
        session.begin_epoch()
        session.end_epoch(listener)
    listener.finished()
    session.keep()
    return session.result


class Session:
    """Everything that changes while one network trains."""

    def __init__(self, network: Network, task: Task, folder: Path) -> None:
        self.network, self.task, self.folder = network, task, folder
        begun = (folder / CHECKPOINT).exists()
        self._cautions = () if begun else start(network, task)
        self.learner = Learner(network, task)
        self.result = FitResult()
        self.best = (-float("inf"), -float("inf"))
        self.passes = epochs_of(self.learner, current_group())
        self._events = EventFile(folder)
        if not begun:
            self._events.clear()
        self._started = 0.0
        self._cautioned = False

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
            with damage_told(path):
                checkpoint.restore(self.network, self.learner.average, self.learner.optimizer)
                first, second = map(float, checkpoint.notes["best"])
            self.best = (first, second)
            self.result = result_so_far(self.folder, checkpoint)
            # What was committed, and not written down before the process ended.
            self._events.append(dated(self.result.history, path.stat().st_mtime))

    def is_over(self) -> bool:
        """Whether the budget is spent or patience has run out."""
        return self.result.stopped_early or len(self.result.history) >= self.epochs

    def begin_epoch(self) -> None:
        """Give the device the next epoch's work."""
        self._started = time.perf_counter()
        self.passes.launch(len(self.result.history) + 1)

    def end_epoch(self, listener: Listener, *, together: int = 1) -> None:
        """Wait for it, validate, and write the checkpoint.

        Args:
            together: how many trainings shared the device, and so its time.
        """
        task, epoch = self.task, len(self.result.history) + 1
        count = len(task.split.train)
        over = self.passes.collect(lambda done, loss: listener.batch(images=done, total=count, loss=loss))
        self._say(listener)
        self.result.engine = self.learner.engine
        trained = (time.perf_counter() - self._started) / together
        validation = self._validate(epoch)
        record = EpochRecord(
            epoch=epoch,
            train_loss=over.loss,
            train_cross_entropy=over.cross_entropy,
            train_accuracy=over.accuracy,
            validation_loss=validation.loss,
            validation_accuracy=float((validation.predicted == validation.labels).mean()),
            learning_rate=over.learning_rate,
            seconds=(time.perf_counter() - self._started) / together,
            images_per_second=count / trained,
            spike_rates={layer: rate.mean().item() for layer, rate in validation.rates.items()},
        )
        self._judge(record, validation)
        self._save()
        listener.epoch(record)

    def _say(self, listener: Listener) -> None:
        """Once, what a person should know of how it starts and its steps run; the steps had to be tried first."""
        for caution in self._cautions:
            listener.said(caution)
        self._cautions = ()
        if self.passes.caution is not None and not self._cautioned:
            self._cautioned = True
            listener.said(f"{self.task.name}: {self.passes.caution}.")

    def keep(self) -> None:
        """Load the kept epoch's weights into the network."""
        load_into(self.network, self.folder / WEIGHTS)

    def _validate(self, epoch: int) -> Predictions:
        """Predict the validation part; what is not finite is never kept."""
        task, network = self.task, self.learner.evaluated
        validation = predict(network, task.images, task.split.validation, seed=task.seed)
        if validation.loss is not None and not np.isfinite(validation.loss):
            last = -(-len(task.split.train) // task.train.batch_size)
            raise divergence(
                f"the validation loss is {validation.loss}",
                "after",
                epoch=epoch,
                batch=last,
                bad_weight=first_bad_weight(network),
                bad_output=network.graph.named[-1].name,
            )
        return validation

    def _judge(self, record: EpochRecord, validation: Predictions) -> None:
        """Note the epoch, keep its weights if it is the best, and stop when patience has run out."""
        config, result = self.task.train, self.result
        result.history.append(record)
        score = _score(config, record, validation)
        if score > self.best or config.keep == "last":
            save_weights(self.folder / WEIGHTS, self.learner.evaluated, {"epoch": record.epoch, "seed": self.task.seed})
            result.warnings = rate_warnings(validation.rates)
        if score > self.best:
            self.best, result.best_epoch = score, record.epoch
        since = record.epoch - result.best_epoch
        result.stopped_early = config.patience is not None and since >= config.patience and record.epoch < self.epochs

    def _save(self) -> None:
        """The checkpoint commits the epoch; the event file, which holds those before, gets it next."""
        last = self.result.history[-1]
        notes = {"best": self.best, "result": replace(self.result, history=[last]).notes()}
        Checkpoint.of(self.network, self.learner.average, self.learner.optimizer, notes).save(self.folder / CHECKPOINT)
        self._events.append([EpochEvent(**last.model_dump(), time=time.time())])


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
