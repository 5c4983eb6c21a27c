"""The application: its routes, and what lives as long as it does."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from spikewise.memory import resident_bytes
from spikewise.serving.admission import Admission, Room
from spikewise.serving.batching import Batcher
from spikewise.serving.description import described
from spikewise.serving.errors import Refusal
from spikewise.serving.guard import Guard
from spikewise.serving.limits import Limits
from spikewise.serving.metrics import Labels, Metrics
from spikewise.serving.models import Models
from spikewise.serving.page import Pages
from spikewise.serving.predicting import Decoders, Predicting
from spikewise.serving.protocol import InferenceProtocol

__all__ = ["application"]

_LOOK: Final = 2.0
"""Seconds between two looks at the runs."""
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_log = logging.getLogger(__name__)


def application(models: Models, *, guard: Guard | None = None, look: float = _LOOK) -> Starlette:
    """The ASGI application that serves networks.

    Args:
        guard: Who may ask; None asks for no token, and answers to addresses and localhost.
        look: Seconds between two looks at the runs, which are read again when they have changed.
    """
    service = _Service(models, look)
    app = Starlette(
        routes=service.routes(),
        middleware=[Middleware(Admission, guard=guard or Guard(), room=service.room, metrics=service.metrics)],
        exception_handlers={HTTPException: _http},
        lifespan=service.lifespan,
    )
    app.state.service = service
    return app


class _Service:
    """Everything that requests share."""

    def __init__(self, models: Models, look: float) -> None:
        self.models, self.look = models, look
        self.limits: Limits = models.limits
        self.metrics = Metrics()
        self.room = Room(self.limits, self.metrics)
        self.batcher, self.decoders = Batcher(self.limits, self.metrics), Decoders()
        self.predicting = Predicting(models, self.batcher, self.decoders, self.room)
        self.protocol = InferenceProtocol(models, self.batcher, self.decoders, self.room)
        self.pages = Pages(models)

    def routes(self) -> list[Route]:
        """Each path."""
        v2, model = self.protocol, "/v2/models/{model}"
        found = [
            Route("/", self.pages.first),
            Route("/upload", self.pages.upload),
            Route("/openapi.json", self.description),
            Route("/metrics", self.page_of_metrics),
            Route("/predict", self.predicting.predict, methods=["POST"]),
            Route("/predict/steps", self.predicting.steps, methods=["POST"]),
            Route("/v2", v2.server),
            Route("/v2/health/live", v2.live),
            Route("/v2/health/ready", v2.ready),
            Route("/v2/models", v2.index),
        ]
        for place in (model, f"{model}/versions/{{version}}"):
            found += [
                Route(place, v2.metadata),
                Route(f"{place}/ready", v2.model_ready),
                Route(f"{place}/infer", v2.infer, methods=["POST"]),
            ]
        return found

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """From the first request to the last."""
        del app
        tasks = [asyncio.create_task(self.batcher.work()), asyncio.create_task(self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.batcher.close()
            self.decoders.close()

    async def description(self, request: Request) -> Response:
        """The OpenAPI description."""
        del request
        return JSONResponse(described(self.models))

    async def page_of_metrics(self, request: Request) -> Response:
        """What Prometheus reads."""
        del request
        gauges: dict[tuple[str, Labels], float] = {
            ("spikewise_requests_in_flight", ()): float(self.room.requests),
            ("spikewise_held_bytes", ()): float(self.room.bytes),
            ("spikewise_resident_bytes", ()): float(resident_bytes()),
            **{("spikewise_model_ready", (("model", name),)): 1.0 for name in self.models.loaded},
        }
        return PlainTextResponse(self.metrics.text(gauges), media_type=_PROMETHEUS)

    async def _watch(self) -> None:
        """Read runs again when they have changed, on a thread that is no request's."""
        while True:
            await asyncio.sleep(self.look)
            for name, done in await asyncio.to_thread(self.models.refresh):
                self.metrics.add("spikewise_reloads_total", model=name, outcome="done" if done else "failed")
                if done:
                    _log.warning("%s has changed and was read again", name)
                else:
                    _log.warning("%s has changed and cannot be read: %s", name, self.models.failed[name])


async def _http(request: Request, error: Exception) -> Response:
    """What the router refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    words = {
        404: f"There is nothing at {request.url.path}. /openapi.json lists what there is.",
        405: f"{request.url.path} does not take {request.method}.",
    }
    return Refusal(error.status_code, words.get(error.status_code, error.detail), dict(error.headers or {})).response()
