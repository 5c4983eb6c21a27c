"""`table` and `figures`: finished runs as a paper needs them."""

from pathlib import Path
from typing import Annotated

import typer

from spikewise.cli import options as o

__all__ = ["register"]

_GROUP = "Use a run"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_GROUP)(table)
    app.command(rich_help_panel=_GROUP)(figures)


def table(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    *,
    format: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="latex|csv|md", help="latex needs the package booktabs; csv has plain numbers."
        ),
    ] = "md",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it there.", show_default="standard output"),
    ] = None,
) -> None:
    """Print the networks of several runs as a table for a paper: mean, interval, significance, costs."""
    from spikewise.api import table as table_of
    from spikewise.files import write_text

    text = table_of(*runs, format=format)
    if out is None:
        print(text, end="")
        return
    write_text(out, text)
    print(out)


def figures(
    run: o.RunPath,
    *,
    format: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", metavar="svg|pdf|png", help="May be given again.", show_default="svg, pdf, png"),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option("--width", "-w", metavar="85mm|3.3in", help="Of every figure.", show_default="as drawn"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write them there.", show_default="RUN/figures"),
    ] = None,
) -> None:
    """Draw every figure of a run's report as files for a paper, each with its legend, as wide as you need it."""
    from spikewise.api import figures as draw
    from spikewise.report.figures import FIGURE_FORMATS

    for path in draw(run, formats=tuple(format) if format else FIGURE_FORMATS, width=width, out=out):
        print(path)
