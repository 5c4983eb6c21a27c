"""Dynamic batching: images of several requests run together, on one thread that has the engine to itself."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import torch

from spikewise.api import IncomingImage, StepAnswers, answer_records, walk
from spikewise.serving.limits import Limits
from spikewise.serving.metrics import Metrics
from spikewise.serving.models import Model

__all__ = ["Batcher", "Question"]

ResultT = TypeVar("ResultT")
Record = dict[str, Any]  # JSON


class Question(NamedTuple):
    """Images of one request, and what is to be said about them."""

    model: Model
    images: Sequence[IncomingImage]
    evidence: bool = False
    early: bool = False
    """Whether runs may end early, and the steps are told."""
    exit: float | None = None
    """The confidence that ends a run; None runs all steps."""


class _Waiting(NamedTuple):
    question: Question
    answer: "asyncio.Future[list[Record]]"
    since: float


class Batcher:
    """Gathers questions for a moment, and asks the engine once for all that fit together."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits, self.metrics = limits, metrics
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        threads = torch.get_num_threads()
        # How many threads an operation uses is a setting of each thread that starts one.
        self._engine = ThreadPoolExecutor(1, "engine", initializer=torch.set_num_threads, initargs=(threads,))

    async def ask(self, question: Question) -> list[Record]:
        """The record of each image (`api.answer_records`)."""
        waiting = _Waiting(question, asyncio.get_running_loop().create_future(), time.monotonic())
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def work(self) -> None:
        """Answer questions until cancelled."""
        while True:
            first = await self._queue.get()
            batch = await self._gather(first)
            for group in _groups(batch):
                await self._answer(group)

    async def steps(self, question: Question) -> "asyncio.Queue[StepAnswers | BaseException | None]":
        """Each step of a question's first image as soon as it is done; then None, or what went wrong."""
        loop = asyncio.get_running_loop()
        out: asyncio.Queue[StepAnswers | BaseException | None] = asyncio.Queue()

        def send(one: StepAnswers | BaseException | None) -> None:
            loop.call_soon_threadsafe(out.put_nowait, one)

        def run() -> None:
            try:
                pixels = question.images[0].pixels[None]
                for step in walk(question.model.trained, pixels, [question.exit]):
                    send(step)
                    self.metrics.add("spikewise_steps_total", model=question.model.name)
                self.metrics.add("spikewise_images_total", model=question.model.name)
                send(None)
            except Exception as error:  # whatever it is, the request that waits must learn of it
                send(error)

        self._engine.submit(run)
        return out

    async def on_engine(self, work: Callable[[], ResultT]) -> ResultT:
        """Do something where nothing else uses the engine."""
        return await asyncio.get_running_loop().run_in_executor(self._engine, work)

    def close(self) -> None:
        """End the engine's thread."""
        self._engine.shutdown()

    async def _gather(self, first: _Waiting) -> list[_Waiting]:
        """The first question, and those that come within the window; those that came while the engine ran are there."""
        rest = first.since + self.limits.window - time.monotonic()
        if rest > 0 and len(first.question.images) + self._queue.qsize() < self.limits.batch:
            await asyncio.sleep(rest)
        batch, images = [first], len(first.question.images)
        while images < self.limits.batch and not self._queue.empty():
            batch.append(self._queue.get_nowait())
            images += len(batch[-1].question.images)
        return [one for one in batch if not one.answer.done()]  # whose time was over, or who has gone

    async def _answer(self, group: Sequence[_Waiting]) -> None:
        began = time.monotonic()
        questions = [one.question for one in group]
        try:
            found = await self.on_engine(lambda: list(_records(questions)))
        except Exception as error:  # of the engine: each request of the batch answers for itself
            for one in group:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        self._count(questions, found, time.monotonic() - began)
        for one, records in zip(group, found, strict=True):
            if not one.answer.done():
                one.answer.set_result(records)

    def _count(self, questions: Sequence[Question], found: Sequence[Sequence[Record]], seconds: float) -> None:
        model, images = questions[0].model, sum(map(len, found))
        steps = sum(record.get("steps", model.steps) for records in found for record in records)
        self.metrics.observe("spikewise_engine_seconds", seconds)
        self.metrics.observe("spikewise_batch_images", images)
        self.metrics.add("spikewise_images_total", images, model=model.name)
        self.metrics.add("spikewise_steps_total", steps, model=model.name)


def _groups(batch: Iterable[_Waiting]) -> list[list[_Waiting]]:
    """What can be run together: one network, and one kind of answer."""
    found: dict[tuple[int, bool, bool], list[_Waiting]] = {}
    for one in batch:
        question = one.question
        found.setdefault((id(question.model), question.evidence, question.early), []).append(one)
    return list(found.values())


def _records(questions: Sequence[Question]) -> Iterator[list[Record]]:
    """The records of each question, from one run over the images of all."""
    first = questions[0]
    images = [image for question in questions for image in question.images]
    exits = [question.exit for question in questions for _ in question.images] if first.early else None
    records = iter(answer_records(first.model.trained, images, evidence=first.evidence, exits=exits))
    for question in questions:
        yield [next(records) for _ in question.images]
