"""Running the server: its socket, its connections, and how it stops."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, NamedTuple

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from spikewise.errors import ConfigError
from spikewise.serving.guard import Guard, is_loopback
from spikewise.serving.models import Models
from spikewise.serving.service import application

__all__ = ["Address", "serve"]

_HEADERS: Final = 10.0
"""Seconds that a client may take for the head of a request."""
_GRACE: Final = 0.5
"""Seconds in which a request that is under way when the server stops is still taken."""
_BACKLOG: Final = 2048
_SPARE: Final = 64
"""Files that are open beside the connections."""


class Address(NamedTuple):
    """Where a server listens, and who may ask."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    allowed: tuple[str, ...] = ()
    """Names, beside addresses and localhost, by which it may be called."""


def serve(models: Models, address: Address, started: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; then what was begun is finished, and nothing new is taken.

    Args:
        started: Called with the server's URL once it listens.
    Raises:
        ConfigError: another address than this machine's own has no token, or cannot be listened at.
    """
    guard = Guard.of(address.token, address.allowed)
    if guard.token is None and not is_loopback(address.host):
        raise ConfigError(
            f"{address.host} can be reached from other machines, so a token is needed: put one in the environment "
            "variable SPIKEWISE_TOKEN or in a file for --token-file. Without one the server stays at 127.0.0.1."
        )
    app = application(models, guard=guard)
    with contextlib.closing(_listening(address)) as listener:
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="on",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            limit_concurrency=_connections(models.limits.waiting),
            timeout_keep_alive=20,
            timeout_graceful_shutdown=int(models.limits.seconds) + 5,
        )
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what clients send amiss is no news
        _Server(config, listener, app, started).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, app: Any, started: Callable[[str], None] | None
    ) -> None:
        super().__init__(config)
        self.listener, self.service, self.said = listener, app.state.service, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.said is not None:
            host, port = self.listener.getsockname()[:2]
            self.said(f"http://{f'[{host}]' if ':' in host else host}:{port}/")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what has been connected, say that every answer is the last of its connection, and finish."""
        self.service.protocol.stopping = True
        headers = self.server_state.default_headers
        self.server_state.default_headers = [*headers, (b"connection", b"close")]
        with contextlib.suppress(OSError):  # no more may queue up; who did is let in before the door is shut
            self.listener.listen(1)
        await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal, and return: to be asked to stop is no failure. A second signal does not wait."""
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal does."""
        del sig, frame
        self.force_exit, self.should_exit = self.should_exit, True


class _Connection(H11Protocol):
    """A connection whose requests must begin in time, and that is not cut off while one is under way."""

    _slow: asyncio.TimerHandle | None = None
    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        super().connection_made(transport)
        self._slow = self.loop.call_later(_HEADERS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # the head of a request is not complete
            if self._slow is None:
                self._slow = self.loop.call_later(_HEADERS, self._give_up)
        else:
            self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A client may have sent a request that has not arrived; it is answered, if it comes soon."""
        if self._answering() or self._stopping:
            super().shutdown()
            return
        self._stopping = True
        self.loop.call_later(_GRACE, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self.transport.is_closing() and not self._answering():
            super().shutdown()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _give_up(self) -> None:
        self._slow = None
        if not self.transport.is_closing() and not self._answering():
            self.transport.close()

    def _forget(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None


def _listening(address: Address) -> socket.socket:
    """The socket, or in words why there is none."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"There is no address {address.host!r} ({error}). --host takes one of this machine."
        ) from None
    try:
        if hasattr(socket, "SO_REUSEPORT"):  # not on Windows, where reuse would mean sharing
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Cannot listen at {address.host} port {address.port} ({error.strerror}). Choose another --port, or 0 for "
            "any that is free."
        ) from None
    return listener


def _connections(waiting: int) -> int:
    """Connections at most: several for each request that may wait, as far as the system gives out file numbers."""
    wanted = 4 * waiting
    try:
        import resource  # noqa: PLC0415  # not on Windows
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ask = wanted + _SPARE if hard == resource.RLIM_INFINITY else min(hard, wanted + _SPARE)
    if soft != resource.RLIM_INFINITY and soft < ask:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ask, hard))
        soft = ask
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _SPARE))
