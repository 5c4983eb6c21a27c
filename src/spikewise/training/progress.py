"""Progress displays: a line for each epoch, or a live table. Both know the whole plan, so that time left is honest."""

import sys
import time
from types import TracebackType
from typing import Final, Protocol, TextIO, runtime_checkable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spikewise.evaluation.results import EpochRecord
from spikewise.shell import for_caller
from spikewise.training.course import Clock, Course, Plan, clock_time
from spikewise.training.events import Listener

__all__ = ["LineProgress", "Plan", "ProgressDisplay", "RichProgress", "clock_time", "display"]

_SILENT: Final = 30.0
"""Seconds after which a log hears of work that goes on."""


@runtime_checkable
class ProgressDisplay(Listener, Protocol):
    """A listener that owns a piece of the terminal while it is entered."""

    def __enter__(self) -> "ProgressDisplay": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def work(self, what: str, done: int, total: int) -> None:
        """Something other than training goes on, such as the decoding of files; `total` is 0 where it is unknown."""


class LineProgress:
    """One line for each epoch, without control characters: for logs, pipes and batch systems."""

    def __init__(self, stream: TextIO, plan: Plan | None = None, *, clock: Clock = time.perf_counter) -> None:
        self.stream = stream
        self._course = Course(plan, clock)
        self._working, self._from, self._done, self._work_begun, self._work_said = "", 0, 0, 0.0, 0.0

    def __enter__(self) -> "LineProgress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def said(self, text: str) -> None:
        """One line."""
        self._say(text)

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """Say so where an earlier process has done a part."""
        self._course.start(network, seed, epochs, done)
        if done:
            self._say(f"{network} seed {seed}: goes on after epoch {done} of {epochs}")

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """The next lines are about that one."""
        self._course.turn(network, seed, devices)

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Nothing: a line for each batch would flood a log."""

    def epoch(self, record: EpochRecord) -> None:
        """One line."""
        course = self._course
        course.epoch(record)
        figures = f"loss {_number(record.train_loss)}  validation {_percent(record.validation_accuracy)}"
        speed = f"{record.images_per_second:,.0f} images/s"
        where = f"{course.candidate} seed {course.seed}: epoch {record.epoch}/{course.epochs}"
        self._say(f"{where}  {figures}  {speed}  {course.left()}")

    def finished(self) -> None:
        """No line: the last epoch's has said it."""
        self._course.finish()

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """One line when it begins."""
        del after
        passed = f"{clock_time(self._course.clock() - self._course.begun)} passed"
        self._say(f"{what}: {passed}" + ("" if seconds is None else f", takes about {clock_time(seconds)}"))

    def work(self, what: str, done: int, total: int) -> None:
        """One line when it begins, and another whenever half a minute has passed."""
        now = self._course.clock()
        if what != self._working or done < self._done:
            if what != self._working:
                self._say(f"{what} ({total:,})" if total else what)
            self._working, self._from, self._work_begun, self._work_said = what, done, now, now
        elif self._from < done < total and now - self._work_said >= _SILENT:
            self._work_said = now
            left = (now - self._work_begun) * (total - done) / (done - self._from)
            self._say(f"{what}: {done:,} of {total:,}, about {clock_time(left)} left")
        self._done = done

    def _say(self, line: str) -> None:
        print(for_caller(line.rstrip()), file=self.stream, flush=True)


class _Row:
    """What the live table says of one candidate, beside what its course does."""

    def __init__(self) -> None:
        self.begun = False
        self.speed = 0.0
        self.loss: float | None = None
        self.validation: float | None = None


class RichProgress:
    """A live table with a row for each candidate; after it, what is done of the whole and how long the rest takes."""

    def __init__(
        self, console: Console, plan: Plan | None = None, *, title: str = "", clock: Clock = time.perf_counter
    ) -> None:
        self.title = title
        self._course = Course(plan, clock)
        self._rows = {candidate: _Row() for candidate in plan.candidates} if plan else {}
        self._seeds = len(plan.seeds) if plan else 1
        self._work: tuple[str, int, int] | None = None
        self._stage = ""
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> "RichProgress":
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def said(self, text: str) -> None:
        """A line above the table, which stays."""
        self._live.console.print(Text(for_caller(text)))

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """The row of this candidate is the active one."""
        self._course.start(network, seed, epochs, done)
        self._work, self._stage = None, ""
        self._rows.setdefault(network, _Row()).begun = True

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """Another row may be the active one."""
        self._course.turn(network, seed, devices)

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Shown at the next refresh."""
        row = self._rows[self._course.candidate]
        row.speed, row.loss = self._course.batch(images, total), loss

    def epoch(self, record: EpochRecord) -> None:
        """Shown at the next refresh."""
        row = self._rows[self._course.candidate]
        self._course.epoch(record)
        row.speed, row.loss, row.validation = record.images_per_second, record.train_loss, record.validation_accuracy

    def finished(self) -> None:
        """After the last training comes the test."""
        self._course.finish()

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """A bar in place of the table's last line, with the time that has passed and the time expected."""
        self._course.stage(seconds, after)
        self._work, self._stage = None, what

    def work(self, what: str, done: int, total: int) -> None:
        """A bar in place of the table's last line."""
        self._work = (what, done, total)

    def render(self) -> RenderableType:
        """What the terminal shows now."""
        parts: list[RenderableType] = [Text(self.title, style="bold")] if self.title else []
        if any(row.begun for row in self._rows.values()):
            parts.append(self._table())
        parts.append(self._last_line())
        return Group(*parts)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("network", "seed", "", "epoch", "loss", "validation", "images/s"):
            table.add_column(name, justify="left" if name in ("network", "") else "right", no_wrap=True)
        for candidate, row in self._rows.items():
            table.add_row(*self._cells(candidate, row), style=None if candidate == self._course.candidate else "dim")
        return table

    def _cells(self, candidate: str, row: _Row) -> tuple[RenderableType, ...]:
        course = self._course
        epochs, running, finished = course.epochs, course.running(candidate), course.finished(candidate)
        if not row.begun:
            return (candidate, "", "done earlier" if self._is_over(candidate) else "waiting", "", "", "", "")
        least, mean = (min(running), sum(running) / len(running)) if running else (epochs, epochs)
        seed = f"{min(finished + 1, self._seeds)} of {self._seeds}"
        if len(running) > 1:
            seed = f"{len(running)} at once"
        bar = ProgressBar(epochs, mean, width=16)
        speed = f"{row.speed:,.0f}" if row.speed else ""
        return candidate, seed, bar, f"{int(least)}/{epochs}", _number(row.loss), _percent(row.validation), speed

    def _is_over(self, candidate: str) -> bool:
        return bool(self._course.at) and self._course.finished(candidate) == self._seeds

    def _last_line(self) -> RenderableType:
        course = self._course
        elapsed = clock_time(course.clock() - course.begun)
        if self._work is not None:
            what, done, total = self._work
            return _bar_line(what, done, total, f"{done:,} of {total:,}" if total else f"{done:,}")
        if self._stage:
            expected = course.stage_seconds or 0.0
            passed = min(course.clock() - course.stage_begun, expected)
            return _bar_line(self._stage, passed, expected, course.stage_words())
        if not course.candidate:
            return Text("Starting ...", style="dim")
        if all(self._is_over(candidate) for candidate in self._rows):
            return Text(f"Testing, comparing and writing the report ...  {elapsed}", style="dim")
        return _bar_line("all", course.epochs_done, course.total, f"{elapsed} passed, {course.left() or 'timing ...'}")


def _bar_line(what: str, done: float, total: float, words: str) -> Table:
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_row(what, ProgressBar(total or None, done, width=24, pulse=not total), Text(words, style="dim"))
    return line


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def display(plan: Plan | None = None, title: str = "") -> ProgressDisplay:
    """The display that suits standard error: live on a terminal, else lines."""
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return RichProgress(console, plan, title=title)
    return LineProgress(sys.stderr, plan)
