"""`serve`: networks of finished runs behind HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_text

__all__ = ["register"]

_ACCESS, _BOUNDS = "Who may ask", "Limits"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(serve)


def serve(  # noqa: PLR0913  # one parameter for each option
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    *,
    network: o.NetworkName = "snn",
    seed: o.Seed = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; another address needs a token.", rich_help_panel=_ACCESS)
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.", rich_help_panel=_ACCESS)
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="A file that holds the token to ask for.",
            show_default="$SPIKEWISE_TOKEN",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name by which the server may be called, beside addresses and localhost. May be given again.",
            show_default=False,
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    window: Annotated[
        float,
        typer.Option(
            "--window",
            metavar="MS",
            min=0,
            max=1000,
            help="Milliseconds for which an image waits for others to be run with.",
            rich_help_panel=_BOUNDS,
        ),
    ] = 2.0,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, help="Images that are run together.", rich_help_panel=_BOUNDS)
    ] = 64,
    queue: Annotated[
        int,
        typer.Option(
            "--queue",
            metavar="N",
            min=1,
            help="Requests that are answered or wait; one more is told to come again (429).",
            rich_help_panel=_BOUNDS,
        ),
    ] = 1024,
    max_body: Annotated[
        int, typer.Option("--max-body", metavar="MIB", min=1, help="MiB of one request.", rich_help_panel=_BOUNDS)
    ] = 16,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", metavar="N", min=1, help="Pixels of an image.", rich_help_panel=_BOUNDS)
    ] = 16_777_216,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds for one request.", rich_help_panel=_BOUNDS)
    ] = 30.0,
    device: o.Device = None,
    threads: o.Threads = None,
) -> None:
    """Serve networks of finished runs: a page, POST /predict, the Open Inference Protocol, /metrics.

    A run that changes is read again. SIGTERM or Ctrl-C finishes what was begun. Nothing of a request is kept.
    """
    from spikewise.cli.machine import use_threads
    from spikewise.serving import Address, Limits, Models, Wanted, serve
    from spikewise.serving.limits import MIB
    from spikewise.serving.tokens import token_of

    use_threads(threads)
    body = max_body * MIB
    limits = Limits(
        body=body, held=max(Limits().held, body), pixels=max_pixels, seconds=timeout, waiting=queue,
        window=window / 1000, batch=batch,
    )  # fmt: skip
    address = Address(host, port, token_of(token_file), tuple(allow_host or ()))
    models = Models(Wanted(runs, network or "snn", seed, device or "auto"), limits)

    def started(url: str) -> None:
        names = ", ".join(models.loaded)
        print_text(f"Serving {names} at {url} (Ctrl-C stops)")

    serve(models, address, started)
