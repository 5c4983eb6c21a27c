"""`import`: a network of another tool under the protocol, beside a twin that is trained here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json

if TYPE_CHECKING:
    from spikewise.dynamics import Reset

__all__ = ["register"]

_OPEN = "What the file leaves open"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("import", rich_help_panel="Take a network elsewhere")(import_)


def import_(  # noqa: PLR0913  # one parameter for each option
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A NIR file (.nir); or snntorch:FILE.pt, spikingjelly:FILE.pt, a module that torch.save wrote.",
            show_default=False,
        ),
    ],
    *,
    data: Annotated[
        str,
        typer.Option(
            "--data", "-d", metavar="DATA", help="Images to judge it on, as for `compare`.", show_default=False
        ),
    ],
    dialect: Annotated[
        str | None,
        typer.Option(
            "--dialect",
            metavar="TOOL",
            help="The tool that wrote it: snntorch, spikingjelly, norse, sinabs, spyx, rockpool, or nir: the equations "
            "as they stand.",
            show_default="found out",
            rich_help_panel=_OPEN,
        ),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(
            "--dt",
            metavar="TIME",
            help="Length of a step, in the unit of tau.",
            show_default=False,
            rich_help_panel=_OPEN,
        ),
    ] = None,
    reset: Annotated[
        str | None,
        typer.Option(
            "--reset",
            metavar="zero|subtract|none",
            help="How neurons reset.",
            show_default=False,
            rich_help_panel=_OPEN,
        ),
    ] = None,
    reset_delay: Annotated[
        bool | None,
        typer.Option(
            "--reset-delay/--no-reset-delay",
            help="Whether that belongs to the next step.",
            show_default=False,
            rich_help_panel=_OPEN,
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Open a pickled module, which runs whatever program it holds.")
    ] = False,
    settings: o.Settings = None,
    epochs: o.Epochs = None,
    quick: o.Quick = False,
    thorough: o.Thorough = False,
    skip_bad: o.SkipBad = False,
    without: o.Without = None,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    out: o.Out = Path("runs"),
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Judge a spiking network of another tool: tested under the protocol beside a twin trained here, as a run folder.

    What enters it and how it is read out no file says: --set encoder.kind=direct --set encoder.steps=25
    --set readout.kind=spike_count; without a word, the rate code over 25 steps, and the count of output spikes.
    """
    from spikewise.api.importing import import_experiment
    from spikewise.cli.machine import use_threads
    from spikewise.cli.run import asked_experiment, print_run
    from spikewise.experiments.settings import parse_change
    from spikewise.interop.incoming import Meaning

    use_threads(threads)
    request = o.Request(data, None, None, settings, None, epochs, device, skip_bad, False, without, quick)
    done = import_experiment(
        file,
        asked_experiment(request),
        Meaning(dialect, dt, _reset(reset), reset_delay),
        named={parse_change(text).key.partition(".")[0] for text in settings or ()},
        trust=trust,
        out=out,
        progress=not quiet,
        data_dir=data_dir,
        thorough=thorough,
    )
    if as_json:
        print_json(done.results.model_dump(mode="json"))
    else:
        print_run(done)


def _reset(asked: str | None) -> "Reset | None":
    from spikewise.errors import unknown_choice

    known: dict[str, Any] = {"zero": "zero", "subtract": "subtract", "none": "none"}
    if asked is None:
        return None
    if asked not in known:
        raise unknown_choice("reset", asked, list(known))
    found: Reset = known[asked]
    return found
