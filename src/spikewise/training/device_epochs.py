"""One pass over the training part on a GPU, which never waits for the host.

Images, their order and changes, learning rates and what came of each batch lie in tensors on the device; a step finds
its place in them by a counter there. It is recorded once for each size of batch and replayed; the host reads the
journal while the device works on.
"""

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Int64
from torch import Tensor

from spikewise.data import Changes, draw_changes, make_changes
from spikewise.data.batching import device_order
from spikewise.data.residence import pixels_on
from spikewise.errors import EngineError
from spikewise.training.captured import Captured, Recorder
from spikewise.training.epochs import Pass, Seen, learning_rates
from spikewise.training.health import divergence
from spikewise.training.journal import Journal, JournalEntry
from spikewise.training.memory import out_of_memory
from spikewise.training.update import Learner, TrainingBatch
from spikewise.types import Draw

__all__ = ["DeviceEpochs"]

_LOOKS = 16
"""How often the journal is read in an epoch, for the progress display and an early end of what diverges."""
_FEWEST = 8
"""Batches between two looks."""


class DeviceEpochs:
    """A whole epoch of work for the device at once.

    Args:
        stream: where it works; None is the current stream.
    """

    can_stop = False

    def __init__(self, learner: Learner, stream: torch.cuda.Stream | None = None) -> None:
        self._learner, self._task = learner, learner.task
        self._stream, device = stream, learner.network.device
        count, size = len(self._task.split.train), self._task.train.batch_size
        self._size, self._now = min(size, count), 0
        self._sizes = [min(size, count - start) for start in range(0, count, size)]
        with self._work():
            self._pixels = pixels_on(self._task.images.images, device, self._size)
            self._labels = torch.from_numpy(self._task.images.labels).to(device)
            self._train = torch.from_numpy(self._task.split.train).to(device)
            self._order = torch.zeros_like(self._train)
            self._rates = torch.zeros(len(self._sizes), device=device)
            self._rate = torch.zeros((), device=device)
            self._number = torch.zeros(1, dtype=torch.int64, device=device)
            self._epoch = torch.zeros((), dtype=torch.int64, device=device)
            self._changes: Changes | None = None
            self._every = max(_FEWEST, -(-len(self._sizes) // _LOOKS))
            self._journal = Journal(learner.network, len(self._sizes), self._size, self._every)
        self._recorder = Recorder(device, learner.optimizer)
        self._steps = {size: Captured(functools.partial(self._step, size), self._recorder) for size in {*self._sizes}}
        self._looks = self._planned_looks()

    @property
    def how(self) -> str:
        """Whether steps are replayed."""
        if self._recorder.refusal is None:
            return "in CUDA graphs"
        return f"launch by launch ({self._recorder.refusal})"

    @property
    def caution(self) -> str | None:
        """Steps that should have been recorded and could not."""
        return f"its training steps run {self.how}, not in CUDA graphs" if self._recorder.failed else None

    def launch(self, epoch: int) -> None:
        """Give the device all batches of the epoch."""
        if self._stream is not None:  # weights may be on their way still: new, or read from a checkpoint
            self._stream.wait_stream(torch.cuda.current_stream(self._learner.network.device))
        with self._work():
            self._prepare(epoch)
            place = 0
            host_order = None if self._pixels.resident else self._order.cpu().numpy()
            for look in self._looks:
                start = place
                for number in range(look.first, look.last):
                    size = self._sizes[number]
                    if host_order is not None:
                        self._pixels.load(host_order[place : place + size])
                    self._try(self._steps[size], number)
                    place += size
                index = self._order[start:place]
                self._journal.mark_right(look.first, index, self._labels.index_select(0, index))
                self._journal.copy(look.first, look.last, look.rows)
                look.mark()

    def collect(self, seen: Seen) -> Pass:
        """Read the journal, part by part, as the device fills it."""
        total, plain, right, done = 0.0, 0.0, 0, 0
        for look in self._looks:
            look.wait()
            for number, entry in enumerate(self._journal.read(look.rows[: look.last - look.first + 1]), look.first):
                self._check(entry, number + 1)
                size = self._sizes[number]
                total, plain = total + entry.loss * size, plain + entry.cross_entropy * size
                right, done = right + entry.hits, done + size
            seen(done, total / done)
        return Pass(total / done, plain / done, right / done, learning_rates(self._learner, self._now)[-1])

    def _try(self, step: Captured, number: int) -> None:
        try:
            step()
        except torch.OutOfMemoryError:
            size = self._sizes[number]
        except EngineError:  # of an engine that looks at its weights
            entries = self._journal.read(self._journal.copy(0, number))
            for before, entry in enumerate(entries, start=1):
                self._check(entry, before)
            bad = self._journal.first_bad(number)
            if bad is None:
                raise
            said = "nothing can be computed"
            raise divergence(said, "before", epoch=self._now, batch=number + 1, bad_weight=bad) from None
        else:
            return
        # Outside of the handler, whose traceback would hold on to what the failed update had allocated.
        self._steps.clear()
        raise out_of_memory(self._learner, size)

    @contextmanager
    def _work(self) -> Iterator[None]:
        with torch.cuda.stream(self._stream):  # does nothing where there is none
            yield

    def _prepare(self, epoch: int) -> None:
        """Fill the tables that a step reads; they stay where they are, for a recorded step knows only their place."""
        task = self._task
        self._now = epoch
        self._epoch.fill_(epoch)
        self._number.zero_()
        self._order.copy_(device_order(self._train, seed=task.seed, epoch=epoch))
        self._rates.copy_(torch.tensor(learning_rates(self._learner, epoch)))
        _, height, width = task.images.image_shape
        changes = draw_changes(Draw(task.seed, epoch, self._order), task.augment, height, width)
        if self._changes is None:
            self._changes = changes
        for there, drawn in zip(self._changes, changes, strict=True):
            if there is not None and drawn is not None:
                there.copy_(drawn)
        self._learner.network.train()
        self._journal.open()

    def _step(self, size: int) -> None:
        """One update with the next `size` images, which nothing outside the device has a part in."""
        learner = self._learner
        rows = self._number * self._size + torch.arange(size, device=self._number.device)
        index = self._order.index_select(0, rows)
        batch = self._batch(index, rows)
        self._rate.copy_(self._rates.index_select(0, self._number)[0])
        answer = learner.answer(batch)
        learner.learn(answer.loss, self._rate)
        self._journal.write(self._number, answer)
        self._number += 1

    def _batch(self, index: Int64[Tensor, " B"], rows: Int64[Tensor, " B"]) -> TrainingBatch:
        task = self._task
        assert self._changes is not None
        images, labels = self._pixels.take(index), self._labels.index_select(0, index)
        changed = make_changes(images, labels, self._changes.at(rows), task.augment, len(task.images.classes))
        draw = Draw(task.seed, self._epoch, index)
        return TrainingBatch(task.seen(changed.images, draw), labels, changed.targets, draw)

    def _check(self, entry: JournalEntry, batch: int) -> None:
        """Say what a processor's loop would have said when it happened."""
        epoch = self._now
        if not math.isfinite(entry.loss):
            raise divergence(
                f"the loss is {entry.loss}",
                "in",
                epoch=epoch,
                batch=batch,
                bad_weight=entry.bad_before,
                bad_output=None if entry.output_finite else self._learner.network.graph.named[-1].name,
            )
        if entry.bad_after is not None:
            said = f"the loss was {entry.loss:.4g}"
            raise divergence(said, "after", epoch=epoch, batch=batch, bad_weight=entry.bad_after)

    def _planned_looks(self) -> list["_Look"]:
        count, every = len(self._sizes), self._every
        return [
            _Look(first, min(first + every, count), self._journal, self._learner.network.device)
            for first in range(0, count, every)
        ]


class _Look:
    """A part of an epoch after which the journal is read."""

    def __init__(self, first: int, last: int, journal: Journal, device: torch.device) -> None:
        self.first, self.last = first, last
        self.rows = journal.buffer(last - first)
        self._event = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def mark(self) -> None:
        """The device will get here when the rows are written."""
        if self._event is not None:
            self._event.record()

    def wait(self) -> None:
        """Until it has."""
        if self._event is not None:
            self._event.synchronize()
