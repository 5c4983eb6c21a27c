"""`run_all`: work goes to an executor, a little more than it has room for, and what becomes of it is recorded.

Whatever dies, nothing is lost and nothing is done twice: finished work is told by its file, work in hand by its claim
and its lock, and everything else is begun again.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from spikewise.executors.claims import Claims
from spikewise.executors.executor import Attempt, Executor
from spikewise.executors.watching import Watcher
from spikewise.executors.work import BUSY, Beat, Ended, Event, Known, Waits, Word, Work, in_words

__all__ = ["RetryRules", "WorkEnd", "run_all"]

_PAUSE: Final = 0.05
_LATER: Final = 2.0
"""Seconds after which work is looked at again on which somebody else was."""


class RetryRules(NamedTuple):
    """What is done about failures."""

    retries: int = 0
    """How often work that failed through no fault of its own is begun again, elsewhere if possible."""
    patience: float | None = None
    """Seconds without a sign of life after which a machine is given up; None where the executor knows itself."""


class WorkEnd(NamedTuple):
    """What became of some work."""

    work: Work
    code: int
    """Exit code of the last process; 0 where the result is there."""
    error: str | None
    """Why there is none."""
    seconds: float
    """From the first beginning here; 0 where it was done elsewhere."""


@dataclass(frozen=True)
class _Waiting:
    """Work that has yet to be begun, or begun again."""

    work: Work
    failures: int = 0
    avoid: tuple[str, ...] = ()
    begun: float | None = None
    not_before: float = 0.0


@dataclass
class _InHand:
    """Work that the executor has."""

    waiting: _Waiting
    begun: float
    beat: float | None = None
    """When it last gave a sign of life; None while it waits in a queue."""
    node: str = ""


def run_all(  # what it works with
    works: Iterable[Work],
    executor: Executor,
    watcher: Watcher,
    *,
    claims: Path,
    ended: Callable[[WorkEnd], Iterable[Work] | None],
    rules: RetryRules | None = None,
) -> None:
    """Have all work done; what is done already is left alone, what others are at is waited for.

    Args:
        claims: folder of the claims.
        ended: told of each end once; may give more work.
        rules: what is done about failures; None: they are told at once.
    Raises:
        ExecutorError: it cannot be reached any more; what is finished stays.
    """
    with closing(Claims(claims)) as held:
        try:
            _Drive(works, executor, watcher, held, rules or RetryRules()).run(ended)
        finally:
            stays = executor.close()
            if stays:
                held.leave()
                watcher.said(stays)


class _Drive:
    def __init__(
        self, works: Iterable[Work], executor: Executor, watcher: Watcher, claims: Claims, rules: RetryRules
    ) -> None:
        self._waiting = deque(_Waiting(work) for work in works)
        self._hand: dict[str, _InHand] = {}
        self._executor, self._watcher, self._claims, self._rules = executor, watcher, claims, rules
        self._over: list[WorkEnd] = []

    def run(self, ended: Callable[[WorkEnd], Iterable[Work] | None]) -> None:
        """Until everything has ended."""
        while self._waiting or self._hand:
            self._fill()
            for event in self._executor.events(_PAUSE):
                self._take(event)
            self._give_up_silent()
            self._claims.renew()
            over, self._over = self._over, []
            for outcome in over:
                self._watcher.ended(outcome.work.name, outcome.work.label, outcome.seconds, outcome.error)
                more = [_Waiting(work) for work in ended(outcome) or ()]
                self._watcher.more(len(more))
                self._waiting.extend(more)
            if not self._hand and not over:
                time.sleep(_PAUSE)

    def _fill(self) -> None:
        """Give the executor work for its free places, passing over what others are at."""
        attempts: list[Attempt] = []
        now = time.monotonic()
        for _ in range(len(self._waiting)):
            if len(self._hand) >= self._executor.places:
                break
            waiting = self._waiting.popleft()
            if waiting.not_before > now:
                self._waiting.append(waiting)
            elif waiting.work.is_done():
                self._finish(waiting, 0, None, waiting.begun)
            elif waiting.work.is_locked() or not self._claim(waiting):
                self._waiting.append(replace(waiting, not_before=now + _LATER))
            else:
                attempts += self._begin(waiting, now)
        if attempts:
            self._executor.start(attempts)

    def _claim(self, waiting: _Waiting) -> bool:
        name = waiting.work.name
        left = self._claims.left(name)
        if not self._claims.take(name):
            return False
        if left is not None and self._executor.adopt(Attempt(waiting.work), left.handle):
            self._hand[name] = _InHand(waiting, time.monotonic())
            self._watcher.queued(name, waiting.work.label)
            self._claims.note(name, left.handle, left.token)
        elif waiting.work.is_done():  # by whom has just given it up: looked at again
            self._claims.release(name)
            return False
        return True

    def _begin(self, waiting: _Waiting, now: float) -> Sequence[Attempt]:
        work = waiting.work
        if work.name in self._hand:  # taken over from an earlier process
            return []
        begun = now if waiting.begun is None else waiting.begun
        self._hand[work.name] = _InHand(replace(waiting, begun=begun), begun)
        self._watcher.queued(work.name, work.label)
        return [Attempt(work, waiting.avoid, self._claims.token)]

    def _take(self, event: Event) -> None:
        if isinstance(event, Word):
            self._watcher.said(event.text)
            return
        one = self._hand.get(event.name)
        if one is None:  # of an attempt that was given up
            return
        if isinstance(event, Beat):
            one.beat, one.node = time.monotonic(), event.node
            self._watcher.beat(event.name, one.waiting.work.label, event.node, event.said)
            return
        if isinstance(event, Known):
            self._claims.note(event.name, event.handle)
            return
        if isinstance(event, Waits):
            one.beat, one.node = None, ""
            self._watcher.queued(event.name, one.waiting.work.label)
            return
        del self._hand[event.name]
        self._settle(one, event)

    def _settle(self, one: _InHand, end: Ended) -> None:
        """Record an end, or have it tried again."""
        waiting, now = one.waiting, time.monotonic()
        if waiting.work.is_done():
            self._finish(waiting, 0, None, one.begun)
        elif end.code == BUSY:
            self._later(replace(waiting, not_before=now + _LATER))
        elif end.again and waiting.failures < self._rules.retries:
            where = f" on {end.node}" if end.node else ""
            why = end.message or in_words(waiting.work.log, end.code)
            self._watcher.said(f"{waiting.work.label}: failed{where}, begun again elsewhere. {why}")
            avoid = (*waiting.avoid, end.node) if end.node else waiting.avoid
            self._later(replace(waiting, failures=waiting.failures + 1, avoid=avoid))
        else:
            self._finish(waiting, end.code or 1, end.message or in_words(waiting.work.log, end.code), one.begun)

    def _later(self, waiting: _Waiting) -> None:
        self._watcher.waits(waiting.work.name)
        self._claims.release(waiting.work.name)
        self._waiting.append(waiting)

    def _finish(self, waiting: _Waiting, code: int, error: str | None, begun: float | None) -> None:
        self._claims.release(waiting.work.name)
        seconds = 0.0 if begun is None else time.monotonic() - begun
        self._over.append(WorkEnd(waiting.work, code, error, seconds))

    def _give_up_silent(self) -> None:
        patience, now = self._rules.patience, time.monotonic()
        if patience is None:
            return
        for name, one in list(self._hand.items()):
            if one.beat is not None and now - one.beat > patience:
                self._executor.cancel(name)
                del self._hand[name]
                silent = f"There was no sign of life for {patience:g} s."
                self._settle(one, Ended(name, 1, silent, one.node, again=True))
