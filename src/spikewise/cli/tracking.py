"""`log`: a run, as trackers show it."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_places, say

__all__ = ["register"]

_NICE = 5


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(log)


def log(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run folder, or a sweep folder for all its cells.", show_default=False),
    ],
    *,
    to: Annotated[str, typer.Option("--to", metavar="tensorboard|mlflow|wandb|csv", help="Which tracker.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR|ADDRESS",
            help="Where it keeps runs: a folder; for MLflow a database file or the address of a server.",
            show_default="beside the run",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    as_json: o.Json = False,
    until_end_of_input: Annotated[bool, typer.Option("--until-end-of-input", hidden=True)] = False,
) -> None:
    """Tell a tracker the epochs, settings and final figures of a run: each once, however often this is repeated."""
    from spikewise.tracking import TRACKERS, replay

    wait = _until_end_of_input() if until_end_of_input else None
    done = replay(run, to, out=out, follow=follow, say=say, wait=wait)
    if as_json:
        print_json({"tracker": to, **done._asdict()})
        return
    rows = [("trainings", f"{done.trainings:,}"), ("new figures", f"{done.figures:,}"), ("place", done.place)]
    look = TRACKERS[to].look.format(done.place)
    print_places([*rows, *([("look", look)] if look else [])])


def _until_end_of_input() -> Callable[[float], bool]:
    """Wait for whoever started this process to go, and leave the machine to it until then."""
    over = threading.Event()

    def read() -> None:
        # Not through `sys.stdin`, whose lock this thread would hold when the interpreter ends.
        while os.read(sys.stdin.fileno(), 1 << 10):
            pass
        over.set()

    threading.Thread(target=read, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    return over.wait
