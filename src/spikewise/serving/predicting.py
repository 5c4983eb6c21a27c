"""`POST /predict`: answers about images, and `POST /predict/steps`: one image, step by step, as events."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from spikewise.api import IncomingImage, StepAnswers, remarks_on
from spikewise.serving.admission import Room, held_body
from spikewise.serving.batching import Batcher, Question
from spikewise.serving.errors import Refusal, refused
from spikewise.serving.incoming import Options, options_of, read_images, received
from spikewise.serving.models import Model, Models

__all__ = ["Decoders", "Predicting"]

ResultT = TypeVar("ResultT")
Record = dict[str, Any]  # JSON


class Decoders:
    """Threads that take bodies apart: so many at once, and so much memory for pixels."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1)), "decoder")

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Do it on one of them."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


class _Read(NamedTuple):
    """A request that has been read."""

    model: Model
    options: Options
    images: list[IncomingImage]
    left_out: list[str]


class Predicting:
    """The two ways to ask for a prediction."""

    def __init__(self, models: Models, batcher: Batcher, decoders: Decoders, room: Room) -> None:
        self.models, self.batcher, self.decoders, self.room = models, batcher, decoders, room

    async def predict(self, request: Request) -> Response:
        """Classify the images of a request."""
        read = await self._read(request)
        question = Question(
            read.model,
            read.images,
            read.options.evidence,
            read.options.exit is not None,
            None if read.options.exit is None else read.model.threshold(read.options.exit),
        )
        records = [{**record, "model": read.model.name} for record in await self.batcher.ask(question)]
        return JSONResponse({"answers": records, "left_out": read.left_out})

    async def steps(self, request: Request) -> Response:
        """Classify one image, and send each step when it has been run."""
        read = await self._read(request)
        if len(read.images) != 1:
            raise Refusal(400, f"Steps are told of one image; the request has {len(read.images)}.")
        threshold = None if read.options.exit is None else read.model.threshold(read.options.exit)
        queue = await self.batcher.steps(Question(read.model, read.images, exit=threshold))
        return StreamingResponse(_events(read, threshold, queue), media_type="text/event-stream")

    async def _read(self, request: Request) -> _Read:
        kind = request.headers.get("content-type", "")
        query = dict(request.query_params)
        options_of(query)  # what is wrong with it need not wait for the body
        async with held_body(request, self.room) as body:
            return await self.decoders.run(lambda: self._take_apart(kind, body, query))

    def _take_apart(self, kind: str, body: bytes, query: dict[str, str]) -> _Read:
        found = received(kind, body, self.room.limits)
        options = options_of(query, found.fields)
        model = self.models.named(options.model)
        if options.exit is not None:
            model.threshold(options.exit)
        images, left_out = read_images(model, found.sources, options)
        return _Read(model, options, images, left_out)


async def _events(
    read: _Read, threshold: float | None, queue: "asyncio.Queue[StepAnswers | BaseException | None]"
) -> AsyncIterator[str]:
    """Server-Sent Events: `start`, a `step` for each, and `answer`, or `error`."""
    model, image = read.model, read.images[0]
    classes = model.trained.classes
    start = {"model": model.name, "image": image.name, "classes": classes, "steps": model.steps, "exit": threshold}
    yield _event("start", start)
    last: Record = {}
    while (one := await queue.get()) is not None:
        if isinstance(one, BaseException):
            yield _event("error", {"error": refused(one).words if isinstance(one, Exception) else "stopped"})
            return
        last = _step(one)
        yield _event("step", last)
        await asyncio.sleep(0)  # `get` does not wait for what is there: the server looks who has left
    best = max(range(len(classes)), key=lambda at: last["probabilities"][at])
    unlike = remarks_on(model.trained, read.images)[0]
    answer = {"label": classes[best], "probability": last["probabilities"][best], "steps": last["step"]}
    yield _event("answer", {**answer, "unlike": unlike, "network": model.trained.name, "seed": model.trained.seed})


def _step(one: StepAnswers) -> Record:
    return {
        "step": one.number,
        "evidence": one.evidence[0].tolist(),
        "probabilities": one.probabilities[0].tolist(),
        "confidence": float(one.confidence[0]),
        "spikes": None if one.spikes is None else one.spikes[0].tolist(),
        "layer_spikes": {layer: int(count[0]) for layer, count in one.layer_spikes.items()},
    }


def _event(name: str, content: Record) -> str:
    return f"event: {name}\ndata: {json.dumps(content, allow_nan=False)}\n\n"
