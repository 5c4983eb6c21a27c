"""Passes that several processes make together: the first says what is learned, and each makes its part of all updates.

The first process has the checkpoints, the validation images and the listener. Before the first pass of a training it
tells the others all that decides its updates, weights and the optimizer's state included; from then on each makes the
same steps from the same sums (`shards`), and nothing but those is exchanged.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from spikewise.config import Config, parse
from spikewise.data import AugmentConfig, ImageSet, Split
from spikewise.encoders import Rate
from spikewise.engine import EngineName
from spikewise.errors import ProcessesError, SpikewiseError, TrainingError
from spikewise.exact import exact_arithmetic
from spikewise.graph import Graph
from spikewise.losses import Loss, RatePenalty
from spikewise.network import Network
from spikewise.training.checkpoint import Checkpoint
from spikewise.training.config import TrainConfig
from spikewise.training.epochs import HostEpochs, Pass, Seen
from spikewise.training.group import ProcessGroup
from spikewise.training.memory import MemoryTooSmallError
from spikewise.training.update import Learner, Task

__all__ = ["SharedEpochs", "follow", "own_device"]

_LESSON, _EPOCH, _INDEX = "lesson", "epoch", "train images"


class _Lesson(Config):
    """What decides the updates of a training, its images and their order aside."""

    graph: Graph
    engine: EngineName
    device: str
    """Type of it: each process has one of its own."""
    loss: Loss
    train: TrainConfig
    augment: AugmentConfig
    seed: int
    penalty: RatePenalty | None
    noise: Rate | None
    fingerprint: str
    """Of the images."""

    @classmethod
    def of(cls, learner: Learner) -> "_Lesson":
        """That of a training."""
        task, network = learner.task, learner.network
        return cls(
            graph=network.graph,
            engine=network.engine_name,
            device=network.device.type,
            loss=task.loss,
            train=task.train.replace(ema=0.0),  # the moving average is the first process's alone
            augment=task.augment,
            seed=task.seed,
            penalty=task.penalty,
            noise=task.noise,
            fingerprint=task.images.fingerprint,
        )


class SharedEpochs:
    """The passes of the first process of a group."""

    can_stop = False

    def __init__(self, learner: Learner, group: ProcessGroup) -> None:
        self._learner, self._group = learner, group
        self._passes = HostEpochs(learner, group)

    @property
    def how(self) -> str:
        """In how many processes."""
        return f"step by step in {self._group.size} processes"

    @property
    def caution(self) -> str | None:
        """None: it was asked for."""
        return None

    def launch(self, epoch: int) -> None:
        """Let all of them begin a pass.

        Raises:
            ProcessesError: one of them has ended, or cannot take part; the message says why.
        """
        self._group.in_step = True
        if self._group.lesson is not self:
            self._teach()
        self._group.tell({_EPOCH: epoch})
        self._passes.launch(epoch)

    def collect(self, seen: Seen) -> Pass:
        """Make this process's part of the pass.

        Raises:
            TrainingError: the loss or the weights are not numbers any more: every process has seen it.
            ProcessesError: one of them has ended, or its memory is too small.
        """
        try:
            over = self._passes.collect(seen)
        except MemoryTooSmallError as error:  # the others wait for this one's part
            raise ProcessesError(str(error)) from error
        except TrainingError:
            self._group.in_step = False
            raise
        self._group.in_step = False
        return over

    def _teach(self) -> None:
        learner = self._learner
        tensors = Checkpoint.of(learner.network, None, learner.optimizer, {}).tensors
        index = torch.from_numpy(np.ascontiguousarray(learner.task.split.train))
        self._group.tell({_LESSON: _Lesson.of(learner).model_dump(mode="json")}, {**tensors, _INDEX: index})
        objections = [f"Process {rank}: {text}" for rank, text in enumerate(self._group.words("")) if text]
        if objections:
            self._group.in_step = False
            raise ProcessesError(" ".join(objections))
        self._group.lesson = self


def follow(group: ProcessGroup, load: Callable[[], ImageSet]) -> None:
    """Make this process's part of whatever the first one trains, until that is over.

    Args:
        load: reads the images; called when the first process has them.
    Raises:
        ProcessesError: another process has ended.
    """
    images: ImageSet | None = None
    passes: HostEpochs | None = None
    while True:
        notes, tensors = group.hear()
        if _LESSON in notes:
            objection = ""
            try:
                images = load() if images is None else images
                passes = _passes(notes[_LESSON], tensors, images, group)
            except SpikewiseError as error:
                objection = str(error)
            group.words(objection)
        elif _EPOCH in notes:
            assert passes is not None
            _make(passes, notes[_EPOCH])
        else:
            return


def _make(passes: HostEpochs, epoch: int) -> None:
    passes.launch(epoch)
    try:
        with exact_arithmetic():
            passes.collect(lambda images, loss: None)
    except MemoryTooSmallError as error:
        raise ProcessesError(str(error)) from error
    except TrainingError:
        pass  # the first process has seen it, too, and says it


def _passes(notes: Any, tensors: dict[str, torch.Tensor], images: ImageSet, group: ProcessGroup) -> HostEpochs:
    """The passes of a training that the first process described."""
    lesson = parse(_Lesson, notes)
    if images.fingerprint != lesson.fingerprint:
        raise ProcessesError("It found other images than process 0. Give all processes the same files.")
    index = tensors.pop(_INDEX).numpy()
    task = Task(
        images,
        Split(index, index[:0], index[:0]),
        lesson.loss,
        lesson.train,
        lesson.augment,
        lesson.seed,
        penalty=lesson.penalty,
        noise=lesson.noise,
    )
    network = Network(lesson.graph, seed=lesson.seed, engine_name=lesson.engine).to(own_device(lesson.device))
    learner = Learner(network, task)
    Checkpoint(tensors, {}).restore(network, None, learner.optimizer)
    return HostEpochs(learner, group)


def own_device(kind: str) -> torch.device:
    """The device of this process: the GPU of its number on its machine, where GPUs are asked for.

    Raises:
        ProcessesError: there are fewer GPUs than processes here, PyTorch cannot join them, or it is no kind that works
            with others.
    """
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda":
        raise ProcessesError(f"Several processes train on processors or NVIDIA GPUs, not on '{kind}'.")
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if not torch.distributed.is_nccl_available():
        raise ProcessesError("Several processes with a GPU each need NCCL, which this PyTorch lacks. Use --device cpu.")
    if number >= torch.cuda.device_count():
        raise ProcessesError(
            f"There are {torch.cuda.device_count()} GPUs here, and each of {number + 1} processes or more takes one. "
            "Start as many processes as there are GPUs, or use --device cpu."
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
