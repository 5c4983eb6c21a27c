"""Several trainings at once: on a GPU that one small network leaves half idle, and on several GPUs.

Nobody waits for anybody: while one training's epoch is read, validated and written, the devices work on the others'.
"""

import contextlib
import functools
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from spikewise.data.residence import free_memory
from spikewise.errors import TrainingError
from spikewise.evaluation import EpochRecord
from spikewise.exact import exact_arithmetic
from spikewise.files import make_folder
from spikewise.memory import freed_memory_kept
from spikewise.network import Network
from spikewise.training.events import Listener, Silent
from spikewise.training.group import current_group
from spikewise.training.loop import FitResult, Session
from spikewise.training.memory import MemoryTooSmallError
from spikewise.training.update import Task

__all__ = ["Training", "fit_all"]

_ON_A_GPU = 4
"""Trainings that share a GPU at most: more gain little, and each needs its memory."""
_SPARE = 1.5
"""Of what a training took, for the next one like it: predictions need some too."""


class Training(NamedTuple):
    """One training that is to be done."""

    task: Task
    folder: Path
    device: torch.device
    network: Callable[[torch.device], Network]
    """Makes the fresh network on the device."""


def fit_all(
    trainings: Sequence[Training],
    finished: Callable[[Training, FitResult], None],
    listener: Listener | None = None,
    *,
    failed: Callable[[Training, TrainingError], None] | None = None,
    at_once: int | None = None,
) -> None:
    """Train networks as `fit` would, each with the same bits; those of one task share a GPU as far as it has room.

    Args:
        finished: told when one is done.
        failed: told when the loss of one is not a number any more, and the others go on; None: that ends them all.
        at_once: how many share a device at most; None is 4 on a GPU, 1 on a processor.
    Raises:
        TrainingError: the loss of one is not a number any more, or the memory is too small for it alone.
        StorageError: the disk is full; the last checkpoints stay whole.
    """
    with exact_arithmetic(), freed_memory_kept():
        _Rotation(trainings, _Ends(finished, failed), listener or Silent(), at_once).run()


class _Ends(NamedTuple):
    """Who is told how a training ended."""

    finished: Callable[[Training, FitResult], None]
    failed: Callable[[Training, TrainingError], None] | None


@dataclass
class _Running:
    """A training, and what it tells."""

    training: Training
    session: Session
    voice: "_Voice"
    held: int | None
    """Bytes that its device held before its first epoch here; None after that."""

    @property
    def device(self) -> torch.device:
        return self.training.device


class _Rotation:
    """One epoch of each in turn: its end is waited for, the next one launched behind those of the others."""

    def __init__(
        self,
        trainings: Sequence[Training],
        ends: _Ends,
        listener: Listener,
        at_once: int | None,
    ) -> None:
        self._waiting, self._running = deque(trainings), deque[_Running]()
        self._ends, self._floor = ends, _Floor(listener)
        alone = current_group() is None  # else processes share one training after the other
        self._most = {one.device: at_once or _usual(one.device) if alone else 1 for one in trainings}
        self._needs: dict[tuple[torch.device, str], int] = {}
        """Bytes that a training of a device and name took, measured when it was alone."""

    def run(self) -> None:
        """Until all are done."""
        while self._waiting or self._running:
            for training in list(self._waiting):
                if self._has_room(training):
                    self._waiting.remove(training)
                    self._do(training, functools.partial(self._begin, training))
            if self._running:
                self._do(self._running[0].training, self._advance)

    def _has_room(self, training: Training) -> bool:
        """The first of a kind has a device for itself, until it is known what one needs."""
        device = training.device
        beside = self._beside(device)
        if not beside:
            return True
        need = self._needs.get((device, training.task.name))
        return beside < self._most[device] and need is not None and free_memory(device) > _SPARE * need

    def _do(self, training: Training, work: Callable[[], None]) -> None:
        """Give a device some work; a training that has no room beside others goes on when they are done."""
        with _at_work_on(training.device):
            try:
                work()
            except MemoryTooSmallError:
                if not self._beside(training.device):
                    raise
                if training.device.type == "cuda":
                    torch.cuda.synchronize()  # what it has launched may still be at work on its memory
            except TrainingError as error:
                if self._ends.failed is None:
                    raise
                self._ends.failed(training, error)
                return
            else:
                return
            # Outside of the handler, whose traceback holds on to the training and all that it had.
            self._most[training.device] = 1
            self._waiting.appendleft(training)
            if training.device.type == "cuda":
                torch.cuda.empty_cache()

    def _begin(self, training: Training) -> None:
        task = training.task
        task = replace(task, train=task.train.resolved(len(task.split.train)))
        if training.device.type == "cuda" and not self._beside(training.device):
            torch.cuda.empty_cache()  # what those before left behind would hide what this one needs
        held = _held(training.device)
        session = Session(training.network(training.device), task, make_folder(training.folder))
        session.resume()
        one = _Running(training, session, _Voice(self._floor, task.name, task.seed), held)
        one.voice.started(task.name, task.seed, epochs=session.epochs, done=len(session.result.history))
        self._go_on(one)

    def _advance(self) -> None:
        one = self._running.popleft()
        beside = self._beside(one.device)
        self._floor.devices = len({one.device, *(other.device for other in self._running)})
        one.session.end_epoch(one.voice, together=beside + 1)
        if one.held is not None and not beside:
            kind = (one.device, one.training.task.name)
            self._needs[kind] = max(_held(one.device) - one.held, self._needs.get(kind, 0))
        one.held = None
        self._go_on(one)

    def _go_on(self, one: _Running) -> None:
        if one.session.is_over():
            one.voice.finished()
            self._ends.finished(one.training, one.session.result)
        else:
            one.session.begin_epoch()
            self._running.append(one)

    def _beside(self, device: torch.device) -> int:
        return Counter(one.device for one in self._running)[device]


class _Floor:
    """Who has it: a listener hears one training after the other, and each said thing once."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.devices = listener, 1
        self.speaker: _Voice | None = None
        self.said = set[str]()


class _Voice:
    """What one training tells, for a listener who has to know which one."""

    def __init__(self, floor: _Floor, network: str, seed: int) -> None:
        self._floor, self._network, self._seed = floor, network, seed

    def said(self, text: str) -> None:
        """All seeds of a network say the same."""
        if text not in self._floor.said:
            self._floor.said.add(text)
            self._floor.listener.said(text)

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """Whoever starts has the floor."""
        self._floor.speaker = self
        self._floor.listener.started(network, seed, epochs=epochs, done=done)

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """Nothing: a training knows of itself alone."""

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Passed on."""
        self._turn().batch(images=images, total=total, loss=loss)

    def epoch(self, record: EpochRecord) -> None:
        """Passed on."""
        self._turn().epoch(record)

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """Nothing: a training has none."""

    def finished(self) -> None:
        """Passed on."""
        self._turn().finished()

    def _turn(self) -> Listener:
        floor = self._floor
        if floor.speaker is not self:
            floor.speaker = self
            floor.listener.turned(self._network, self._seed, devices=floor.devices)
        return floor.listener


def _at_work_on(device: torch.device) -> contextlib.AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _usual(device: torch.device) -> int:
    return _ON_A_GPU if device.type == "cuda" else 1


def _held(device: torch.device) -> int:
    """Bytes that this process holds on a GPU."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0
