"""What is shown of a lot of work: a line for each end, or one table of all that is at work."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, runtime_checkable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spikewise.report.numbers import duration
from spikewise.shell import for_caller

__all__ = ["Board", "Spoken", "Tally", "Watcher", "shown"]

_ROWS: Final = 24
"""Of work in the table; the others are counted."""


@runtime_checkable
class Watcher(Protocol):
    """Told what becomes of work."""

    def said(self, text: str) -> None:
        """Something that a person should know."""

    def more(self, count: int) -> None:
        """So much work came up."""

    def queued(self, name: str, label: str) -> None:
        """An executor has it."""

    def beat(self, name: str, label: str, node: str, said: dict[str, Any]) -> None:
        """It is at work, on that machine."""

    def waits(self, name: str) -> None:
        """It waits again."""

    def ended(self, name: str, label: str, seconds: float, error: str | None) -> None:
        """It is over."""


class Tally:
    """How much is done, and how long the rest takes.

    Args:
        total: all pieces.
        done: that were finished before.
        places: how many at once.
    """

    def __init__(self, total: int, done: int, places: int) -> None:
        self.total, self.done, self.places, self.before = total, done, places, done
        self.failed, self.begun = 0, time.monotonic()

    def count(self, error: str | None) -> None:
        """One more is over."""
        self.done, self.failed = self.done + 1, self.failed + (error is not None)

    def left(self) -> str:
        """The time left in words, by the pace so far."""
        if self.done == self.total:
            return "all done"
        made = self.done - self.before
        if not made:
            return "timing ..."
        return f"about {duration((time.monotonic() - self.begun) / made * (self.total - self.done))} left"

    def counted(self) -> str:
        """Such as "3/8, 1 failed"."""
        return f"{self.done}/{self.total}" + (f", {self.failed} failed" if self.failed else "")


class Spoken:
    """A line for each end, for logs and pipes."""

    def __init__(self, tally: Tally, say: Callable[[str], None], noun: str = "cells", where: str = "") -> None:
        self._tally, self._say = tally, say
        found = f", {tally.done} finished already" if tally.done else ""
        say(f"{tally.total} {noun}{found}; {where or f'{max(1, min(tally.places, tally.total))} at a time'}")

    def said(self, text: str) -> None:
        """A line."""
        self._say(for_caller(text))

    def more(self, count: int) -> None:
        """There is more to do."""
        self._tally.total += count

    def queued(self, name: str, label: str) -> None:
        """Nothing."""

    def beat(self, name: str, label: str, node: str, said: dict[str, Any]) -> None:
        """Nothing: a line for each would flood a log."""

    def waits(self, name: str) -> None:
        """Nothing."""

    def ended(self, name: str, label: str, seconds: float, error: str | None) -> None:
        """A line."""
        del name
        self._tally.count(error)
        done = f"done in {duration(seconds)}" if seconds else "done by another process"
        how = f"FAILED: {error}" if error else done
        self._say(f"[{self._tally.counted()}] {label}: {how}; {self._tally.left()}")


class _Line:
    """What the table says of one piece."""

    def __init__(self, label: str) -> None:
        self.label, self.node, self.seen = label, "", 0.0
        self.said: dict[str, Any] = {}


class Board:
    """A live table of all work in hand, with what is done of the whole below it; ends stay as lines above."""

    def __init__(self, tally: Tally, console: Console, noun: str = "cells", where: str = "") -> None:
        self._tally, self._noun, self._where = tally, noun, where
        self._lines: dict[str, _Line] = {}
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Board":
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def said(self, text: str) -> None:
        """A line above the table."""
        self._live.console.print(Text(for_caller(text)))

    def more(self, count: int) -> None:
        """There is more to do."""
        self._tally.total += count

    def queued(self, name: str, label: str) -> None:
        """A row."""
        self._lines[name] = _Line(label)

    def beat(self, name: str, label: str, node: str, said: dict[str, Any]) -> None:
        """Shown at the next refresh."""
        line = self._lines.setdefault(name, _Line(label))
        line.node, line.seen = node, time.monotonic()
        line.said = said or line.said

    def waits(self, name: str) -> None:
        """No row any more."""
        self._lines.pop(name, None)

    def ended(self, name: str, label: str, seconds: float, error: str | None) -> None:
        """A line above the table for what failed; the others are counted."""
        del seconds
        self._lines.pop(name, None)
        self._tally.count(error)
        if error:
            self.said(f"{label}: FAILED: {error}")

    def render(self) -> RenderableType:
        """What the terminal shows now."""
        tally, now = self._tally, time.monotonic()
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("at work", "where", "", "epoch", "sign of life"):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        running = [line for line in self._lines.values() if line.node]
        for line in running[:_ROWS]:
            table.add_row(line.label, line.node, *_how_far(line.said), f"{now - line.seen:.0f} s ago")
        more = len(running) - _ROWS
        counts = [f"{len(running)} at work", f"{len(self._lines) - len(running)} queued", self._where]
        rest = [Text(f"and {more} more", style="dim")] if more > 0 else []
        last = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(max(tally.total, 1), tally.done, width=24)
        last.add_row(f"{tally.counted()} {self._noun}", bar, Text(", ".join(filter(None, counts)), style="dim"),
                     Text(tally.left(), style="dim"))  # fmt: skip
        return Group(*([table] if running else []), *rest, last)


def _how_far(said: dict[str, Any]) -> tuple[str, str]:
    if "stage" in said:
        return str(said["stage"]), ""
    if "epochs" not in said:
        return "", ""
    return f"{said['network']} seed {said['seed']}", f"{said['epoch']}/{said['epochs']}"


@contextlib.contextmanager
def shown(tally: Tally, *, noun: str = "cells", where: str = "") -> Iterator[Watcher]:
    """What suits standard error: a live table on a terminal, else lines."""
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        with Board(tally, console, noun, where) as board:
            yield board
    else:
        yield Spoken(tally, lambda line: print(line, file=sys.stderr, flush=True), noun, where)
