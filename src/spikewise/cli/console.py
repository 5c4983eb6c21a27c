"""Where the command line writes: results on standard output, everything else on standard error."""

import codecs
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spikewise.cli.layout import GAP, parts, wrapped
from spikewise.errors import readable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "complain",
    "out",
    "prepare_streams",
    "print_json",
    "print_place",
    "print_places",
    "print_rows",
    "print_text",
    "say",
]

_STANDARD = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def prepare_streams() -> None:
    """Make the standard streams such that nothing which is written to them can fail for its letters.

    What a console cannot show, as cp1252 and ASCII cannot show most alphabets, is escaped. A stream that was closed
    leads nowhere: else the next file that is opened would take its number, and receive what was meant for it.
    """
    for number, name, mode in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _shows_unicode() -> bool:
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name.startswith("utf")


def out() -> "Console":
    """Standard output; where it is no terminal, nothing is coloured."""
    from rich.console import Console

    return Console(highlight=False)


def say(text: str) -> None:
    """A remark on standard error."""
    print(text, file=sys.stderr)


def complain(text: str) -> None:
    """An error message on standard error, its first word in red on a terminal."""
    from rich.console import Console
    from rich.text import Text

    text = readable(text)
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("Error: ", "bold red"), text), soft_wrap=True)


def print_text(text: str, *, style: str = "", indent: int = 0) -> None:
    """A paragraph, wrapped at the width of the terminal; elsewhere on one line.

    A word that is longer than that, as a path may be, has a line of its own, which the terminal folds: so it is copied
    whole.
    """
    from rich.text import Text

    console = out()
    if not console.is_terminal:
        print(" " * indent + text, flush=True)  # who reads a pipe waits for it
        return
    for line in wrapped(text, console.width - indent):
        room = 0 if indent + len(line) > console.width else indent
        console.print(Text(" " * room + line, style=style), soft_wrap=True)


def print_place(name: str, place: object) -> None:
    """A path where something lies, behind what it is called; where there is no room for that, on a line of its own."""
    console = out()
    fits = not console.is_terminal or len(f"{name}: {place}") <= console.width
    console.print(f"{name}:", str(place), sep=" " if fits else "\n", markup=False, soft_wrap=True)


def print_places(rows: Sequence[tuple[str, object]]) -> None:
    """What something is called, and the path where it lies or another text to copy, which is never broken."""
    if all(len(name) + GAP + len(str(place)) <= out().width for name, place in rows) or not out().is_terminal:
        print_rows(["", ""], [[name, str(place)] for name, place in rows])
        return
    for name, place in rows:
        print_place(name, place)


def print_json(content: Any) -> None:  # whatever JSON can hold
    """JSON on standard output; of a list each item is one line. It is JSON whatever letters the stream can show."""
    escape = not _shows_unicode()
    if isinstance(content, list):
        lines = [json.dumps(item, allow_nan=False, ensure_ascii=escape) for item in content]
        print("[\n" + ",\n".join(lines) + "\n]")
    else:
        print(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=escape))


_STYLES = {"ok": "green", "other-version": "green", "problem": "bold red", "missing": "bold red", "wrong": "bold red"}


def print_rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), whole: Sequence[int] = ()
) -> None:
    """A table; on a terminal it is folded, then parted, until it fits, elsewhere each row is one line.

    Args:
        right: Columns of figures: aligned to the right, never folded.
        whole: Other columns that are folded only where the table is parted less for it.
    """
    from rich.table import Table
    from rich.text import Text

    console = out()
    if not console.is_terminal:
        _print_plain([row for row in (header, *rows) if any(row)], right)
        return
    found, folded = (parts(header, rows, console.width, whole=kept) for kept in ([*right, *whole], right))
    for number, part in enumerate(folded if len(folded) < len(found) else found):
        if number:
            print()
        table = Table(box=None, padding=0, header_style="bold", show_header=any(header))
        for at, width in zip(part.columns, part.widths, strict=True):
            table.add_column(header[at], justify="right" if at in right else "left", width=width, overflow="fold")
            table.add_column(width=GAP)
        for row in rows:
            cells = [Text(row[at], style=_STYLES.get(row[at], "")) for at in part.columns]
            table.add_row(*(one for cell in cells for one in (cell, "")))
        del table.columns[-1]
        console.print(table)


def _print_plain(rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    lines = [[cell.replace("\n", ". ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = enumerate(zip(line, widths, strict=True))
        words = [cell.rjust(width) if at in right else cell.ljust(width) for at, (cell, width) in cells]
        print("  ".join(words).rstrip())
