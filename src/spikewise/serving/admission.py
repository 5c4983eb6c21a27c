"""Before a request is answered: may it be asked, is there room for it, and does it come in time."""

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spikewise.serving.errors import Refusal, refused
from spikewise.serving.guard import Guard
from spikewise.serving.limits import MIB, Limits
from spikewise.serving.metrics import Metrics

__all__ = ["Admission", "Room", "held_body"]

_SAFE: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
]
_DRAINED, _THROWN = 5.0, 64 * MIB
"""Seconds for which, and bytes up to which, the body of a refused request is read and thrown away: a connection that is
closed with unread bytes may lose the answer."""
_RECENT: Final = 10.0
_log = logging.getLogger(__name__)


class Room:
    """How many requests and bytes there is room for."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits, self.metrics = limits, metrics
        self.requests, self.bytes = 0, 0
        self._done: deque[float] = deque(maxlen=4096)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Room for one request.

        Raises:
            Refusal: there is none.
        """
        if self.requests >= self.limits.waiting:
            raise self.full(f"{self.requests:,} requests are being answered")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
            self._done.append(time.monotonic())

    def hold(self, size: int) -> None:
        """Room for bytes; they are to be let go.

        Raises:
            Refusal: there is none.
        """
        if self.bytes + size > self.limits.held:
            raise self.full(f"{self.bytes / MIB:.0f} MiB of requests are being held")
        self.bytes += size

    def let_go(self, size: int) -> None:
        """They are held no longer."""
        self.bytes -= size

    def full(self, why: str) -> Refusal:
        """The refusal for want of room, which says when to come again."""
        self.metrics.add("spikewise_refused_total", reason="full")
        return Refusal(429, f"The server is full: {why}. Try again.", {"Retry-After": str(self.retry_after())})

    def retry_after(self) -> int:
        """Seconds until what is here should be answered, going by the last ten seconds; from 1 to 30."""
        now = time.monotonic()
        recent = sum(1 for moment in self._done if now - moment < _RECENT)
        rate = recent / _RECENT
        return max(1, min(30, math.ceil(self.requests / rate))) if rate else 1


class Admission:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, guard: Guard, room: Room, metrics: Metrics) -> None:
        self.app, self.guard, self.room, self.metrics = app, guard, room, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer, coming = _Answer(send), _Coming(receive)
        began = time.monotonic()
        try:
            await self._admit(scope, coming, answer)
        except ClientDisconnect:
            self.metrics.add("spikewise_refused_total", reason="gone")
            return
        except Exception as error:  # whatever went wrong, the client is told what it may know
            await self._refuse(error, scope, coming, answer)
        if scope["method"] == "POST":
            self.metrics.observe("spikewise_request_seconds", time.monotonic() - began)
        route = getattr(scope.get("route"), "path", "unknown")
        self.metrics.add("spikewise_requests_total", route=route, status=str(answer.status))

    async def _admit(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        self.guard.check(scope["path"], Headers(scope=scope))
        if scope["method"] != "POST":
            await self.app(scope, receive, answer)
            return
        with self.room.taken():
            try:
                async with asyncio.timeout(self.room.limits.seconds):
                    await self.app(scope, receive, answer)
            except TimeoutError:
                self.metrics.add("spikewise_refused_total", reason="late")
                waits = f"{self.room.limits.seconds:g} seconds"
                retry = {"Retry-After": str(self.room.retry_after())}
                raise Refusal(503, f"The answer took longer than {waits}. Try again.", retry) from None

    async def _refuse(self, error: Exception, scope: Scope, coming: "_Coming", answer: "_Answer") -> None:
        refusal = refused(error)
        if refusal.status >= 500 and not isinstance(error, Refusal):
            _log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
        if answer.status:  # it has begun, as a stream of steps has: the connection ends instead
            return
        await self._drain(scope, coming)
        response = refusal.response()
        await response(scope, coming, answer)

    async def _drain(self, scope: Scope, coming: "_Coming") -> None:
        """Throw a body away before the answer; a client that waits for leave to send it is not made to."""
        if scope["method"] != "POST" or "expect" in Headers(scope=scope):
            return
        thrown = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED):
                while not coming.ended and thrown < _THROWN:
                    thrown += len((await coming()).get("body", b""))


class _Coming:
    """Receives, and remembers whether the body is over: what is asked for then comes when the client goes."""

    def __init__(self, receive: Receive) -> None:
        self.receive, self.ended = receive, False

    async def __call__(self) -> Message:
        message = await self.receive()
        self.ended = self.ended or not message.get("more_body", False)
        return message


class _Answer:
    """Sends, adds the headers that every answer has, and remembers the status."""

    def __init__(self, send: Send) -> None:
        self.send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *_SAFE]
        await self.send(message)


@contextlib.asynccontextmanager
async def held_body(request: Request, room: Room) -> AsyncIterator[bytes]:
    """The body of a request, for which there is room as long as it is needed.

    Raises:
        Refusal: it is larger than a request may be, there is no room, or it does not say how large it is.
        ClientDisconnect: it is cut off.
    """
    most = room.limits.body
    too_large = Refusal(413, f"A request may have at most {most / MIB:g} MiB.")
    said = request.headers.get("content-length", "")
    size = int(said) if said.isdecimal() and len(said) < 20 else 0
    if size > most:
        raise too_large
    room.hold(size)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise too_large
            if len(body) > size:  # it came in chunks, without a length
                room.hold(len(body) - size)
                size = len(body)
        yield bytes(body)
    finally:
        room.let_go(size)
