"""`convert`: a conventional network of a run as a spiking one."""

from typing import Annotated, Literal, cast

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_place, print_rows, print_text

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(convert)


def convert(  # noqa: PLR0913  # one parameter for each option
    run: o.RunPath,
    *,
    network: Annotated[
        str,
        typer.Option("--network", "-n", metavar="twin|twin-qcfs|cnn", help="A network of the run without spikes."),
    ] = "twin",
    steps: Annotated[
        str, typer.Option("--steps", metavar="T,T,...", help="In how many steps spikes say the activations.")
    ] = "4,8,16,32,64",
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="balance|qcfs",
            help="Thresholds: a percentile of the activations, or those that quantised activations have learned.",
            show_default="what suits the network",
        ),
    ] = None,
    percentile: Annotated[
        float,
        typer.Option("--percentile", metavar="P", help="Of each channel's activations on training images (balance)."),
    ] = 99.9,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Test the waiting network, too, at every number of steps: each layer fires only when all of its "
            "input has come.",
        ),
    ] = False,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Make a conventional network of a run spike, and say what that costs in accuracy, steps and energy.

    Its activations become integrate-and-fire neurons and its weights are rescaled; nothing is trained. A network with
    quantised activations (`compare DATA --with qcfs`) loses least, and its spike counts are compared with its levels.
    `predict RUN/conversions/NAME` classifies with what comes out.
    """
    from spikewise import api
    from spikewise.cli.machine import use_threads
    from spikewise.report.conversion import HEADER, headline, rows, sentences
    from spikewise.training.progress import display

    use_threads(threads)
    counts = _steps(steps)
    chosen = _method(method)
    with display() as shown:
        made = api.convert(
            run,
            network=network,
            steps=counts,
            method=chosen,
            percentile=percentile,
            waits=wait,
            data_dir=data_dir,
            progress=None if quiet else shown.work,
        )
    if as_json:
        print_json({"folder": str(made.folder), **made.found.model_dump(mode="json")})
        return
    print_rows(HEADER, rows(made.found), right=range(1, len(HEADER)))
    print()
    print_text(headline(made.found), style="bold")
    for sentence in sentences(made.found):
        print_text(sentence)
    print_place("page", made.page)


def _steps(text: str) -> list[int]:
    from spikewise.errors import ConfigError, quoted

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise ConfigError(f"--steps takes whole numbers with commas between them, such as 4,8,16; got {quoted(text)}.")
    return [int(part) for part in parts]


def _method(name: str | None) -> Literal["balance", "qcfs"] | None:
    from spikewise.errors import unknown_choice

    if name not in (None, "balance", "qcfs"):
        raise unknown_choice("method", name, ["balance", "qcfs"])
    return cast("Literal['balance', 'qcfs'] | None", name)
