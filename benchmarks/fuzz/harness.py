"""Runs cases, each in a forked process of its own with a limit of time and of memory."""

import contextlib
import faulthandler
import gc
import json
import math
import os
import resource
import select
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.fuzz.kinds import Kind
from benchmarks.fuzz.words import complaint
from spikewise.errors import SpikewiseError

OUTCOMES = ("result", "message", "failure")


class Limits(NamedTuple):
    """What one case may take."""

    seconds: float = 20.0
    """Of a processor, so that a busy machine fails nothing."""
    patience: float = 10.0
    """How many times as long by the clock: what waits, as for a pipe, takes no processor."""
    memory_mib: int = 2048
    """Address space beyond what the process has before the case."""


class Outcome(NamedTuple):
    """How a case ended."""

    number: int
    """Its place among the cases of its seed."""
    name: str
    outcome: str
    """One of `OUTCOMES`."""
    text: str
    """The message, or why it is a failure."""
    detail: str = ""
    """The traceback, if there is one."""
    seconds: float = 0.0


def outcomes(
    kind: Kind, *, seed: int, count: int, limits: Limits, only: frozenset[int] = frozenset()
) -> Iterator[Outcome]:
    """How each case ends, in order.

    Args:
        only: numbers of cases; empty for all.
    """
    gc.freeze()  # a collection in a child would copy every page it shares
    for number, case in enumerate(kind.cases(seed, count)):
        if not only or number in only:
            yield _in_child(kind, case, number, limits)


def judged(kind: Kind, case: Any) -> tuple[str, str, str]:
    """The outcome of a case in this process, its text and its detail."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            kind.run(case)
        except SpikewiseError as error:
            wrong = complaint(str(error))
            if wrong is None:
                return "message", str(error), ""
            return "failure", f"{type(error).__name__} {wrong}: {str(error)[:400]}", traceback.format_exc()
        except BaseException as error:  # a panic of a library is not an Exception
            return "failure", f"{type(error).__name__}: {str(error)[:400]}", traceback.format_exc()
    return "result", "", ""


def _in_child(kind: Kind, case: Any, number: int, limits: Limits) -> Outcome:
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(kind, case, writing, limits)
    os.close(writing)
    said, late = _heard(reading, started + limits.seconds * limits.patience)
    os.close(reading)
    if late:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - started
    if late or status == -signal.SIGXCPU:
        return Outcome(number, case.name, "failure", f"takes more than {limits.seconds:g} s", said, seconds)
    try:
        outcome, text, detail = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        return Outcome(number, case.name, "failure", f"the process ended with status {status}", said, seconds)
    return Outcome(number, case.name, outcome, text, detail, seconds)


def _work(kind: Kind, case: Any, writing: int, limits: Limits) -> None:
    """What the child does; it never returns."""
    os.setsid()  # what it starts can be ended with it, and nothing reaches our terminal
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    with os.fdopen(writing, "w") as out:
        faulthandler.dump_traceback_later(limits.seconds * limits.patience * 0.95, file=out)
        faulthandler.register(signal.SIGXCPU, file=out, chain=True)
        cpu = math.ceil(limits.seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
        with open("/proc/self/statm") as facts:  # noqa: PTH123
            used = int(facts.read().split()[0]) * resource.getpagesize()
        ceiling = used + limits.memory_mib * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
        found = judged(kind, case)
        faulthandler.cancel_dump_traceback_later()
        out.write("\n" + json.dumps(found))
    os._exit(0)


def _heard(reading: int, deadline: float) -> tuple[str, bool]:
    """All that the child says, and whether it was too late."""
    parts = []
    with contextlib.suppress(OSError):
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([reading], [], [], left)[0]:
                break
            part = os.read(reading, 65536)
            if not part:
                return b"".join(parts).decode("utf-8", "replace"), False
            parts.append(part)
    return b"".join(parts).decode("utf-8", "replace"), True
