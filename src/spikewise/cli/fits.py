"""`fits`: does a network fit a device, and which layer does not?"""

from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(fits)


def fits(
    source: Annotated[str, typer.Argument(metavar="RUN|PRESET", help="A run folder or a preset.", show_default=False)],
    *,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            "-t",
            metavar="TARGET",
            help="speck2f, hls4ml, cortex-m4:512k/160k (flash/RAM; cortex-m0, cortex-m7, riscv32), or a TOML file.",
            show_default=False,
        ),
    ],
    network: Annotated[str, typer.Option("--network", metavar="NAME", help="Which network of a run.")] = "snn",
    as_json: o.Json = False,
) -> None:
    """Say whether a network fits a device, before it is trained, and which layer does not; exit code 1 if it does not.

    Limits come with their sources. For microcontrollers they are those of `spikewise export --to c`, in floating point
    and with weights of 8 bits.
    """
    from spikewise import api

    found = api.fits(source, target, network=network)
    if as_json:
        limits = [{**one._asdict(), "holds": one.holds} for one in found.limits]
        problems = [one._asdict() for one in found.problems]
        print_json({**found._asdict(), "limits": limits, "problems": problems, "verdict": found.verdict})
    else:
        print_text(found.verdict, style="bold" if found.fits else "bold red")
        for problem in found.problems:
            print_text(problem.words, style="yellow")
        print()
        rows = [
            [one.what, one.numbers or "", f"{one.used:,}", "–" if one.limit is None else f"{one.limit:,}", one.unit,
             "yes" if one.holds else "no"]
            for one in found.limits
        ]  # fmt: skip
        if rows:
            print_rows(["", "numbers", "needed", "there", "", "fits"], rows, right=(2, 3))
            print()
        for note in found.notes:
            print_text(note)
        for one in found.sources:
            print_text(f"source: {one}")
    if not found.fits:
        raise typer.Exit(1)
