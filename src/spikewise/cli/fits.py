"""`fits`: does a network fit a device, and which layer does not?"""

from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(fits)


def fits(  # noqa: PLR0913  # one parameter for each option
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|DATA|PRESET",
            help="A run folder; or before training what `compare` takes: a known set, a path of images, a preset.",
            show_default=False,
        ),
    ] = None,
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
    network: o.NetworkName = "snn",
    preset: o.Preset = None,
    config: o.Config = None,
    settings: o.Settings = None,
    skip_bad: o.SkipBad = False,
    data_dir: o.DataDir = None,
    as_json: o.Json = False,
) -> None:
    """Say whether a network fits a device, before it is trained, and which layer does not; exit code 1 if it does not.

    Limits come with their sources. For microcontrollers they are those of `spikewise export --to c`, in floating point
    and with weights of 8 bits.
    """
    from spikewise import api
    from spikewise.cli.run import asked_experiment

    name = network or "snn"
    if source is not None and preset is None and config is None and not skip_bad:
        found = api.fits(source, target, network=name, settings=settings or (), data_dir=data_dir)
    else:
        request = o.Request(source, preset, config, settings, None, None, None, skip_bad)
        found = api.fits(asked_experiment(request), target, network=name, data_dir=data_dir)
    if as_json:
        limits = [{**one._asdict(), "holds": one.holds} for one in found.limits]
        problems = [one._asdict() for one in found.problems]
        print_json({**found._asdict(), "limits": limits, "problems": problems, "verdict": found.verdict})
    else:
        print_text(found.verdict, style="bold" if found.fits else "bold red")
        for problem in found.problems[0 if found.fits else 1 :]:  # the verdict has the first of them
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
