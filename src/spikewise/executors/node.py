"""On the machine that has got some work: a process does it, and this one tells that it lives, how far it is, and
brings back what it has written where the folder is not shared."""

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from spikewise.executors.carry import State, pack, state_of, unpack
from spikewise.executors.local import Forks
from spikewise.executors.work import Beat, Ended, in_words

__all__ = ["Supervised", "node_name", "supervise"]

_BEAT: Final = 2.0
"""Seconds between two signs of life."""
_LIVES: Final = 0.5
_servers: dict[int, Forks] = {}
"""By threads: the process that forks is kept for the next work that this one gets."""

Supervised = dict[str, Any]
"""One of {"beat": ...}, {"brought": bytes}, {"ended": code, "message": ..., "again": ...}."""


def node_name() -> str:
    """What this machine is called."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def supervise(order: dict[str, Any], packed: bytes | None = None) -> Iterator[Supervised]:
    """Do what an order says, and tell about it.

    Args:
        order: of `Work.order`, with `threads`, `claim`, `token`, `shared` and `bring`.
        packed: the parts of its folder, for a machine that does not see it.
    """
    shared = _is_shared(order)
    if shared is None:
        told = f"{node_name()} does not see {order['folder']}. Leave out shared=true, and results are brought back."
        yield {"ended": 1, "message": told, "again": True}
        return
    yield {"beat": {}}
    if shared:
        yield from _watched(order, Path(order["folder"]), brings=False)
        return
    scratch = Path(tempfile.mkdtemp(prefix="spikewise-work-"))
    try:
        root = scratch / Path(order["folder"]).name
        root.mkdir()
        if packed:
            unpack(packed, root, [*order["writes"], *order["reads"]])
        yield from _watched({**order, "folder": str(root), "log": str(scratch / "log.txt")}, root, brings=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_shared(order: dict[str, Any]) -> bool | None:
    """Whether this machine sees the folder of whoever gave the order, as its claim there tells; None: it should."""
    asked = order["shared"]
    if asked is False:
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads(Path(order["claim"]).read_text()).get("token") == order["token"]:
            return True
    return None if asked else False


def _watched(order: dict[str, Any], root: Path, *, brings: bool) -> Iterator[Supervised]:
    threads = order["threads"]
    forks = _servers.setdefault(threads, Forks(_logs(), places=1, threads=threads, leave=False))
    forks.begin({**order, "environment": {**order["environment"], **_gpus()}})
    bearer = _Bearer(root, order) if brings else None
    last, end = time.monotonic(), None
    try:
        while end is None:
            said: dict[str, Any] = {}
            for event in forks.events(_LIVES):
                if isinstance(event, Ended):
                    end = event
                elif isinstance(event, Beat):
                    said = event.said
            if said or time.monotonic() - last > _BEAT:
                last = time.monotonic()
                yield {"beat": said}
            if bearer is not None and end is None and bearer.is_due():
                yield from bearer.brought()
        if bearer is not None:
            yield from bearer.brought()
        why = end.message or ("" if end.code == 0 else in_words(Path(order["log"]), end.code))
        yield {"ended": end.code, "message": why, "again": end.again}
    finally:
        if end is None:  # given up
            forks.cancel(order["name"])
            forks.close()
            del _servers[threads]


class _Bearer:
    """Brings back what has changed."""

    def __init__(self, root: Path, order: dict[str, Any]) -> None:
        self._root, self._writes, self._seconds = root, list(order["writes"]), float(order["bring"])
        self._last, self._known = time.monotonic(), state_of(root, self._writes)

    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() - self._last >= max(self._seconds, _LIVES)

    def brought(self) -> Iterator[Supervised]:
        """The parts as they are, unless they are as they were."""
        self._last = time.monotonic()
        now: State = state_of(self._root, self._writes)
        if now != self._known:
            self._known = now
            yield {"brought": pack(self._root, self._writes)}


def _gpus() -> dict[str, str]:
    """The GPUs of this work: those of the process that forks are of the work for which it was begun."""
    return {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ}


def _logs() -> Path:
    """Where the process that forks says what it has to say; nobody reads it unless something is wrong."""
    return Path(tempfile.gettempdir()) / f"spikewise-server-{os.getpid()}"
