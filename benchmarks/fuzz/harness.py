"""Runs cases in forked processes with a limit of time and of memory.

Each case has a process of its own, or those of a kind that says so follow each other in one; whatever ends that one, or
fails in it, is then run again in its own.
"""

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
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any, NamedTuple, NoReturn

from benchmarks.fuzz.kinds import Kind
from benchmarks.fuzz.words import complaint
from spikewise.errors import SpikewiseError

OUTCOMES = ("result", "message", "failure")
_GRACE = 2.0
"""Seconds that a case which takes too long has to say where it is, on a busy machine too."""


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
    again: bool = False
    """Whether this is how it ended in a process of its own, after one that it had shared."""


def outcomes(
    kind: Kind, *, seed: int, count: int, limits: Limits, only: frozenset[int] = frozenset()
) -> Iterator[Outcome]:
    """How each case ends, in order.

    Args:
        only: numbers of cases; empty for all.
    """
    gc.freeze()  # a collection in a child would copy every page it shares
    cases = ((number, case) for number, case in enumerate(kind.cases(seed, count)) if not only or number in only)
    together = 1 if only else getattr(kind, "TOGETHER", 1)
    while batch := list(islice(cases, together)):
        if together == 1:
            yield _in_child(kind, batch[0][1], batch[0][0], limits)
        else:
            yield from _in_turn(kind, batch, limits)


def judged(kind: Kind, case: Any, *, shared: bool = False) -> tuple[str, str, str]:
    """The outcome of a case in this process, its text and its detail.

    Args:
        shared: without the processes that the kind starts to be safe from the case, where it can do without.
    """
    run = getattr(kind, "run_within", kind.run) if shared else kind.run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            run(case)
        except SpikewiseError as error:
            wrong = complaint(str(error))
            if wrong is None:
                return "message", str(error), ""
            return "failure", f"{type(error).__name__} {wrong}: {str(error)[:400]}", traceback.format_exc()
        except BaseException as error:  # a panic of a library is not an Exception
            return "failure", f"{type(error).__name__}: {str(error)[:400]}", traceback.format_exc()
    return "result", "", ""


def _in_turn(kind: Kind, cases: Sequence[tuple[int, Any]], limits: Limits) -> Iterator[Outcome]:
    """Cases that follow each other in one process, or in the next if one of them ends it."""
    left = list(cases)
    while left:
        done = 0
        for outcome, text in _shared(kind, left, limits):
            number, case = left[done]
            done += 1
            if outcome == "failure":
                yield _in_child(kind, case, number, limits)._replace(again=True)
            else:
                yield Outcome(number, case.name, outcome, text)
        if done < len(left):
            number, case = left[done]
            done += 1
            yield _in_child(kind, case, number, limits)._replace(again=True)
        left = left[done:]


def _shared(kind: Kind, cases: Sequence[tuple[int, Any]], limits: Limits) -> Iterator[tuple[str, str]]:
    """Outcome and text of each case, up to the one that ends the process or takes too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _work_in_turn(kind, cases, writing, limits)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as answers:
        kept = b""
        for _ in cases:
            kept = _line(answers, kept, time.monotonic() + limits.seconds * limits.patience)
            line, end, kept = kept.partition(b"\n")
            if not end or not line.startswith(b"["):
                break
            outcome, text = json.loads(line)
            yield outcome, text
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _line(answers: IO[bytes], kept: bytes, deadline: float) -> bytes:
    """What was kept with more behind it, up to a line's end at least; less at the end of the process or the time."""
    while b"\n" not in kept and (left := deadline - time.monotonic()) > 0:
        if not select.select([answers], [], [], left)[0]:
            break
        part = answers.read(65536)
        if not part:
            break
        kept += part
    return kept


def _in_child(kind: Kind, case: Any, number: int, limits: Limits) -> Outcome:
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(kind, case, writing, limits)
    os.close(writing)
    longest = limits.seconds * limits.patience
    said, late = _heard(reading, started + longest + _GRACE)
    os.close(reading)
    if late:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - started
    if late or seconds > longest or status == -signal.SIGXCPU:
        return Outcome(number, case.name, "failure", f"takes more than {limits.seconds:g} s", said, seconds)
    try:
        outcome, text, detail = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        return Outcome(number, case.name, "failure", f"the process ended with status {status}", said, seconds)
    return Outcome(number, case.name, outcome, text, detail, seconds)


def _work_in_turn(kind: Kind, cases: Sequence[tuple[int, Any]], writing: int, limits: Limits) -> NoReturn:
    """What the child of several cases does."""
    try:
        with _limited(writing, limits) as out:
            for _, case in cases:
                _limit_time(limits)
                out.write(json.dumps(judged(kind, case, shared=True)[:2]) + "\n")
                out.flush()
    finally:
        os._exit(0)


def _work(kind: Kind, case: Any, writing: int, limits: Limits) -> NoReturn:
    """What the child of one case does."""
    with _limited(writing, limits) as out:
        faulthandler.dump_traceback_later(limits.seconds * limits.patience, file=out)
        faulthandler.register(signal.SIGXCPU, file=out, chain=True)
        _limit_time(limits)
        found = judged(kind, case)
        faulthandler.cancel_dump_traceback_later()
        out.write("\n" + json.dumps(found))
    os._exit(0)


def _limited(writing: int, limits: Limits) -> IO[str]:
    """This child apart from the terminal and bounded in memory; where it says what it found."""
    os.setsid()  # what it starts can be ended with it, and nothing reaches our terminal
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    with open("/proc/self/statm") as facts:  # noqa: PTH123
        used = int(facts.read().split()[0]) * resource.getpagesize()
    ceiling = used + limits.memory_mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    return os.fdopen(writing, "w")


def _limit_time(limits: Limits) -> None:
    """From now on."""
    cpu = math.ceil(time.process_time() + limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.getrlimit(resource.RLIMIT_CPU)[1]))


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
