"""`export` and `verify`: a trained network leaves for another tool, with the proof that it still does the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_place, print_rows, print_text

if TYPE_CHECKING:
    from spikewise.interop import ExportCheck

__all__ = ["register"]

_GROUP = "Take a network elsewhere"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_GROUP)(export)
    app.command(rich_help_panel=_GROUP)(verify)


def export(  # noqa: PLR0913  # one parameter for each option
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run folder, or one in its `conversions`.", show_default=False),
    ],
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="nir, onnx, c, snntorch or html.", show_default=False)
    ],
    network: o.NetworkName = "snn",
    seed: o.Seed = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="T",
            help="Of a conversion: in how many steps spikes say the activations.",
            show_default="the most that were tested",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Of a conversion: the waiting network.")] = False,
    tool: Annotated[
        str | None,
        typer.Option("--for", metavar="TOOL", help="The tool that is to read it, where the format has dialects (nir)."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Integers alone: weights of 8 bits (c).")] = False,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="What the file may have, such as 2MB: weights are rounded where it would have more (html).",
            show_default="all bits of the weights",
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Of the files, and of what is named in them.")] = "network",
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            metavar="N",
            min=1,
            help="Test images that the check runs through both.",
            show_default="at most 1000; all for --int8",
        ),
    ] = None,
    without_images: Annotated[
        bool,
        typer.Option(
            "--without-images", help="Keep the test images out of the folder; `verify` asks for the run then."
        ),
    ] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Leave the check out: nothing then says that the file does the same.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the files go.", show_default="RUN/exports/..."),
    ] = None,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write a network of a run for another tool, and prove by a foreign runtime that it still does the same.

    Exit code 1 if it does not. The check (check.json, check.html) and its test images stand beside the file;
    `spikewise verify` repeats it anywhere.
    """
    from spikewise import api
    from spikewise.cli.machine import use_threads
    from spikewise.training.progress import display

    use_threads(threads)
    with display() as shown:
        made = api.export(
            run,
            to,
            network=network or "snn",
            seed=seed,
            steps=steps,
            waits=wait,
            tool=tool,
            numbers="int8" if int8 else "float32",
            max_size=max_size,
            name=name,
            keep_images=not without_images,
            checked=not unchecked,
            out=out,
            data_dir=data_dir,
            progress=None if quiet else shown.work,
            **({} if images is None else {"images": images}),
        )
    check = made.check
    if as_json:
        print_json({"file": str(made.file), **({"check": None} if check is None else check.model_dump(mode="json"))})
    elif check is None:
        print_text("Not checked: nothing says that the file does what the network does.", style="yellow")
        print_place("file", made.file)
    else:
        _print(check)
        print_place("file", made.file)
        print_place("check", made.folder / "check.html")
    if check is not None and not check.passed:
        raise typer.Exit(1)


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported file, or its folder.", show_default=False)],
    *,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", help="The run it came from, where the folder keeps no images."),
    ] = None,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Repeat the check of an export where it lies now; exit code 1 if it fails, or if a file is another one."""
    from spikewise import api
    from spikewise.cli.machine import use_threads
    from spikewise.training.progress import display

    use_threads(threads)
    with display() as shown:
        found = api.verify(file, run=run, data_dir=data_dir, progress=None if quiet else shown.work)
    if as_json:
        print_json({"changed": list(found.changed), **found.check.model_dump(mode="json")})
    else:
        _print(found.check)
        for name in found.changed:
            print_text(f"{name} is not the file that the export wrote (its SHA-256 differs).", style="bold red")
    if found.changed or not found.check.passed:
        raise typer.Exit(1)


def _print(check: "ExportCheck") -> None:
    from spikewise.evaluation import units, wording
    from spikewise.report import numbers

    print_text(check.verdict, style="bold" if check.passed else "bold red")
    for warning in check.warnings:
        print_text(warning, style="yellow")
    print()
    rows = [
        [one.name, f"{one.neurons:,}", f"{one.sent:,}", f"{one.differing:,}", numbers.brief(one.per_million)]
        for one in check.judged.layers
    ]
    if rows:
        print_rows(
            ["layer", "neurons", "spikes sent", "differing", "of a million neuron-steps"], rows, right=range(1, 5)
        )
    first = check.judged.first
    if first is not None:
        where = f"layer {first.layer}, step {first.step}, neuron {', '.join(map(str, first.neuron))}"
        far = "" if first.distance is None else f"; the membrane was {first.distance:.3g} from the threshold"
        print_text(f"first divergence: image {first.image}, {where}: {first.here} here, {first.there} there{far}")
    if rows or first is not None:
        print()
    here, there = check.accuracy_here, check.accuracy_there
    simulator = None if check.agreeing is None else check.judged.against
    print_rows(
        ["", "the network here", "the file"],
        [
            ["runs on", check.judged.against if simulator is None else "spikewise", check.judged.runtime],
            *([] if simulator is None else [["held against", "", simulator]]),
            ["accuracy", numbers.percent(here.value), numbers.percent(there.value)],
            ["right alone", wording.count_of(check.only_here, "image"), wording.count_of(check.only_there, "image")],
            ["one image, from Python", f"{check.milliseconds_here:.2f} ms", f"{check.milliseconds_there:.2f} ms"],
        ],
    )
    if check.source.draws:
        reported = check.source.reported
        told = "so its accuracy may be another"
        if reported is not None:
            told = f"and its accuracy on all test images is {numbers.percent(reported)}"
        print_text(
            "Both get the random numbers of `spikewise predict`, the same for every image; in the run's report "
            f"every image has its own, {told}."
        )
    print_text(f"McNemar's exact test of the accuracies: p = {numbers.p_value(check.p_value)}")
    for reader in check.readers:
        print_text(
            f"{reader.name} {reader.why}: {reader.equal_decisions:,} of {check.images:,} decisions equal, "
            f"{numbers.brief(reader.per_million)} of a million neuron-steps differ, "
            f"accuracy {numbers.percent(reader.accuracy.value)}"
        )
    print()
    facts = [[key, value if isinstance(value, str) else f"{value:,}"] for key, value in check.facts.items()]
    print_rows(["file", ""], [*([one.name, units.bytes_of(one.bytes)] for one in check.files), *facts], right=[1])
