"""What the process of one piece of work does, on whatever machine: it calls the function, and tells how far it is."""

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from spikewise.errors import (
    BusyError,
    ConfigError,
    DataError,
    EngineError,
    MissingDataError,
    SpikewiseError,
    TrainingError,
    readable,
)
from spikewise.evaluation import EpochRecord
from spikewise.executors.work import BUSY
from spikewise.shell import in_command
from spikewise.training import Silent
from spikewise.training.memory import MemoryTooSmallError

__all__ = ["Tell", "main", "perform", "use_threads"]

Tell = Callable[[dict[str, Any]], None]
"""Told how far it is, and at the end why it failed."""

_APART: Final = 0.2
"""Seconds between two signs of life: an epoch may take a millisecond."""


class Teller(Silent):
    """A listener that passes on how far a training is."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._last = tell, 0.0
        self._at: dict[str, Any] = {}

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """At once: an epoch may take an hour."""
        self._at = {"network": network, "seed": seed, "epoch": done, "epochs": epochs}
        self._tell(self._at)

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """What follows is about another."""
        del devices
        self._at = {**self._at, "network": network, "seed": seed}

    def epoch(self, record: EpochRecord) -> None:
        """The last of many in a short time."""
        self._at = {**self._at, "epoch": record.epoch}
        if time.monotonic() - self._last >= _APART or record.epoch == self._at.get("epochs"):
            self._last = time.monotonic()
            self._tell(self._at)

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """At once."""
        del seconds, after
        self._tell({"stage": what})


def perform(order: dict[str, Any], tell: Tell) -> int:
    """Do the work of an order; the exit code of the process."""
    with in_command() if order.get("commands") else contextlib.nullcontext():  # who reads what it says
        return _perform(order, tell)


def _perform(order: dict[str, Any], tell: Tell) -> int:
    try:
        _settle(order)
        function = _named(order["call"])
        function(Path(order["folder"]), order["arguments"], Teller(tell))
    except BusyError as error:
        tell({"error": str(error), "again": True})
        return BUSY
    except SpikewiseError as error:
        print(f"Error: {readable(str(error))}", file=sys.stderr)
        tell({"error": str(error), "again": _may_do_better(error)})
        return 2
    except BaseException as error:  # the process ends here: what a traceback says goes into the log
        traceback.print_exc()
        tell({"error": readable(f"{type(error).__name__}: {error}"), "again": True})
        return 1
    return 0


def use_threads(count: int) -> None:
    """Work with so many threads; before the first operation."""
    import torch  # noqa: PLC0415  # not for those who only give orders

    torch.set_num_threads(count)


def main() -> None:
    """A process of its own for one order, which comes on standard input: where there is no fork."""
    order = json.load(sys.stdin)
    use_threads(order.get("threads", 1))
    sys.exit(perform(order, lambda said: None))


def _settle(order: dict[str, Any]) -> None:
    """Where files are looked for by the same names, they are found."""
    os.environ.update(order.get("environment", {}))
    with contextlib.suppress(OSError):  # another machine may lack the folder
        os.chdir(order["directory"])


def _named(call: str) -> Callable[[Path, dict[str, Any], Silent], None]:
    module, _, name = call.partition(":")
    function: Callable[[Path, dict[str, Any], Silent], None] = getattr(import_module(module), name)
    return function


def _may_do_better(error: SpikewiseError) -> bool:
    """Whether it was the machine's fault: what is wrong with settings, images or a training is so everywhere."""
    if isinstance(error, MissingDataError | MemoryTooSmallError):
        return True
    return not isinstance(error, ConfigError | DataError | EngineError | TrainingError)


if __name__ == "__main__":
    main()
