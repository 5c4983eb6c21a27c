"""`trace`: what a trained spiking network does with one image over time, as pictures."""

from pathlib import Path
from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_places

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Look into a run")(trace)


def trace(  # noqa: PLR0913  # one parameter for each option
    run: o.RunPath,
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="An image file; else a test image of the run.")
    ] = None,
    *,
    at: Annotated[int, typer.Option("--at", metavar="N", help="Which of the run's test images.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", help="Time steps.", show_default="as trained")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Which of the run's seeds.", show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the pictures.")] = Path("trace"),
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
) -> None:
    """Draw input spikes, hidden spikes, and membranes, threshold and spikes of the output neurons over time."""
    from spikewise import api
    from spikewise.cli.machine import use_threads
    from spikewise.files import must_take_files

    use_threads(threads)
    must_take_files(out)
    found, classes = api.trace(run, image, at=at, steps=steps, seed=seed, data_dir=data_dir)
    shown = api.may_show(run) or image is not None
    written = api.save_trace(found, classes, out, publishable=shown)
    answer, truth = classes[found.predicted[0]], classes[found.labels[0]]
    facts = [("answer", answer), *([("truth", truth)] if image is None else []), ("steps", found.membrane.shape[1])]
    print_places([*facts, *(("picture", path) for path in written)])
