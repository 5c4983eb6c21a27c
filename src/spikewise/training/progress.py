"""Progress displays: a line for each epoch, or a live table. Both know the whole plan, so that time left is honest."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spikewise.evaluation.results import EpochRecord
from spikewise.training.events import Listener

__all__ = ["LineProgress", "Plan", "ProgressDisplay", "RichProgress", "display", "duration"]

Clock = Callable[[], float]
_RECENT = 3
"""Epochs from which a side's pace is taken: the first is slower than the rest."""


class Plan(NamedTuple):
    """Every training of a run, in order: all seeds of the first side, then of the next."""

    sides: tuple[str, ...]
    seeds: tuple[int, ...]

    def position(self, side: str, seed: int) -> int:
        """How many trainings stand before this one."""
        return self.sides.index(side) * len(self.seeds) + self.seeds.index(seed)


class ProgressDisplay(Listener, Protocol):
    """A listener that owns a piece of the terminal while it is entered."""

    def __enter__(self) -> "ProgressDisplay": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def work(self, what: str, done: int, total: int) -> None:
        """Something other than training goes on, such as the decoding of files; `total` is 0 where it is unknown."""


def duration(seconds: float) -> str:
    """Seconds as a clock shows them."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Course:
    """Where a run stands, and how long the rest will take; epochs of an earlier process count as done, not as fast."""

    def __init__(self, plan: Plan | None, clock: Clock) -> None:
        self.plan, self.clock = plan, clock
        self.begun = self.epoch_begun = clock()
        self.side, self.seed, self.epochs, self.done = "", 0, 0, 0
        self.share = 0.0
        self.spent: dict[str, list[float]] = {}

    def start(self, side: str, seed: int, epochs: int, done: int) -> None:
        self.side, self.seed, self.epochs, self.done, self.share = side, seed, epochs, done, 0.0
        self.epoch_begun = self.clock()

    def batch(self, images: int, total: int) -> float:
        """Images per second in this epoch."""
        self.share = images / total
        return images / max(self.clock() - self.epoch_begun, 1e-9)

    def epoch(self, record: EpochRecord) -> None:
        self.spent.setdefault(self.side, []).append(record.seconds)
        self.done, self.share = record.epoch, 0.0
        self.epoch_begun = self.clock()

    @property
    def trainings_before(self) -> int:
        return self.plan.position(self.side, self.seed) if self.plan and self.side in self.plan.sides else 0

    @property
    def total(self) -> int:
        return len(self.plan.sides) * len(self.plan.seeds) * self.epochs if self.plan else self.epochs

    @property
    def epochs_done(self) -> float:
        return self.trainings_before * self.epochs + self.done + self.share

    def left(self) -> str:
        """Time left in words; "at most" while a side has not shown its speed, for the slowest, spiking, comes first."""
        if not self.spent:
            return ""
        paces = {side: sum(times[-_RECENT:]) / len(times[-_RECENT:]) for side, times in self.spent.items()}
        slowest = max(paces.values())
        seconds = (self.epochs - self.done - self.share) * paces.get(self.side, slowest)
        unseen = False
        if self.plan:
            trainings = [side for side in self.plan.sides for _ in self.plan.seeds][self.trainings_before + 1 :]
            seconds += sum(self.epochs * paces.get(side, slowest) for side in trainings)
            unseen = bool(set(trainings) - set(paces))
        return f"{'at most' if unseen else 'about'} {duration(seconds)} left"


class LineProgress:
    """One line for each epoch, without control characters: for logs, pipes and batch systems."""

    def __init__(self, stream: TextIO, plan: Plan | None = None, *, clock: Clock = time.perf_counter) -> None:
        self.stream = stream
        self._course = _Course(plan, clock)
        self._working = ""

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

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Nothing: a line for each batch would flood a log."""

    def epoch(self, record: EpochRecord) -> None:
        """One line."""
        course = self._course
        course.epoch(record)
        figures = f"loss {_number(record.train_loss)}  validation {_percent(record.validation_accuracy)}"
        speed = f"{record.images_per_second:,.0f} images/s"
        where = f"{course.side} seed {course.seed}: epoch {record.epoch}/{course.epochs}"
        self._say(f"{where}  {figures}  {speed}  {course.left()}")

    def finished(self) -> None:
        """Nothing: the last epoch's line has said it."""

    def work(self, what: str, done: int, total: int) -> None:
        """One line when it begins."""
        del done
        if what != self._working:
            self._working = what
            self._say(f"{what} ({total:,})" if total else what)

    def _say(self, line: str) -> None:
        print(line.rstrip(), file=self.stream, flush=True)


class _Row:
    """What the live table says of one side."""

    def __init__(self) -> None:
        self.seed = self.seeds_done = self.done = 0
        self.begun = self.over = False
        self.share, self.speed = 0.0, 0.0
        self.loss: float | None = None
        self.validation: float | None = None


class RichProgress:
    """A live table with a row for each side; after it, what is done of the whole and how long the rest will take."""

    def __init__(
        self, console: Console, plan: Plan | None = None, *, title: str = "", clock: Clock = time.perf_counter
    ) -> None:
        self.title = title
        self._course = _Course(plan, clock)
        self._rows = {side: _Row() for side in plan.sides} if plan else {}
        self._seeds = len(plan.seeds) if plan else 1
        self._work: tuple[str, int, int] | None = None
        self._over = False
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> "RichProgress":
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def said(self, text: str) -> None:
        """A line above the table, which stays."""
        self._live.console.print(Text(text))

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """The row of this side is the active one; the sides before it are done."""
        course = self._course
        course.start(network, seed, epochs, done)
        self._work = None
        for side, above in self._rows.items():
            if side == network:
                break
            above.over = True
        row = self._rows.setdefault(network, _Row())
        row.seeds_done = course.plan.seeds.index(seed) if course.plan else 0
        row.seed, row.begun, row.done, row.share = seed, True, done, 0.0

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Shown at the next refresh."""
        row = self._rows[self._course.side]
        row.speed = self._course.batch(images, total)
        row.loss, row.share = loss, images / total

    def epoch(self, record: EpochRecord) -> None:
        """Shown at the next refresh."""
        row = self._rows[self._course.side]
        self._course.epoch(record)
        row.done, row.share, row.speed = record.epoch, 0.0, record.images_per_second
        row.loss, row.validation = record.train_loss, record.validation_accuracy

    def finished(self) -> None:
        """After the last training comes the test."""
        row = self._rows[self._course.side]
        row.seeds_done += 1
        row.over = row.seeds_done == self._seeds
        self._over = all(row.over for row in self._rows.values())

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
        for side, row in self._rows.items():
            table.add_row(*self._cells(side, row), style=None if side == self._course.side else "dim")
        return table

    def _cells(self, side: str, row: _Row) -> tuple[RenderableType, ...]:
        epochs = self._course.epochs
        if not row.begun:
            return (side, "", "done earlier" if row.over else "waiting", "", "", "", "")
        seed = f"{min(row.seeds_done + 1, self._seeds)} of {self._seeds}"
        bar = ProgressBar(epochs, epochs if row.over else row.done + row.share, width=16)
        speed = f"{row.speed:,.0f}" if row.speed else ""
        return side, seed, bar, f"{row.done}/{epochs}", _number(row.loss), _percent(row.validation), speed

    def _last_line(self) -> RenderableType:
        course = self._course
        elapsed = duration(course.clock() - course.begun)
        if self._work is not None:
            what, done, total = self._work
            return _bar_line(what, done, total, f"{done:,} of {total:,}" if total else f"{done:,}")
        if not course.side:
            return Text("Starting ...", style="dim")
        if self._over:
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
