"""`explain`: which pixels made the networks of a run answer as they do."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows
from spikewise.cli.machine import use_threads
from spikewise.cli.shortened import print_less

if TYPE_CHECKING:
    from spikewise.api import ImageExplanation

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Look into a run")(explain)


def explain(  # noqa: PLR0913  # one parameter for each option
    run: o.RunPath,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE...]",
            help="Image files, folders of them, or - for one on standard input; none: the run's own check of its maps.",
            show_default=False,
        ),
    ] = None,
    *,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network", "-n", metavar="NAME", help="May be given again.", show_default="the spiking one and its twin"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Which of the run's seeds.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder that receives a picture of each image's maps."),
    ] = None,
    picture: Annotated[
        Literal["png", "svg", "pdf"], typer.Option("--format", metavar="png|svg|pdf", help="Kind of these pictures.")
    ] = "png",
    again: Annotated[bool, typer.Option("--again", help="Make the run's own check again, though it is there.")] = False,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """Which pixels made the networks answer so (occlusion, integrated gradients), and do these pixels matter?"""
    from spikewise import api

    use_threads(threads)
    if not images:
        _print_section(run, again=again, data_dir=data_dir, as_json=as_json)
        return
    from spikewise.api.explanation import save_explanations
    from spikewise.cli.images import named_sources
    from spikewise.files import must_take_files

    if out is not None:
        must_take_files(out)
    sources = named_sources(images, sys.stdin.buffer)
    names = [name for name, _ in sources]
    found = api.explain(run, [source for _, source in sources], networks=network, seed=seed, device=device or "auto")
    written = save_explanations(found, names, out, suffix=picture) if out is not None else []
    if as_json:
        print_json([_record(one, names) for one in found])
        return
    header = ["image", "network", "answer", "probability", "gradients", "occlusion", "brightest", "random"]
    print_rows(header, [_row(one, names) for one in found], right=range(3, len(header)))
    print("Areas under the deletion curve, %: how much of the answer is left, on average, while pixels turn black.")
    for path in written:
        print(path)


def _print_section(run: Path, *, again: bool, data_dir: Path | None, as_json: bool) -> None:
    from spikewise import api
    from spikewise.report.sections.explanations import rows

    found = api.explanations(run, again=again, data_dir=data_dir)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    areas = ["top first", "random", "brightest", "bottom first"]
    differences = ["random - top", "95 %", "brightest - top", "95 %"]
    header = ["network", "map", *areas, *differences, "random weights"]
    print_rows(header, [list(row) for row in rows(found)], right=range(2, len(header)))
    print(
        f"Areas under the deletion curve over {found.images} validation images, %; random weights: how alike the map "
        "of the untrained network is (rank correlation)."
    )
    print_less(run, "explanations")


def _row(one: "ImageExplanation", names: list[str]) -> list[str]:
    orders = ("integrated_gradients", "occlusion", "brightest", "random")
    areas = [f"{100 * one.areas[order]:.1f}" for order in orders]
    return [names[one.position], one.network, one.answer, f"{100 * one.probability:.1f} %", *areas]


def _record(one: "ImageExplanation", names: list[str]) -> dict[str, Any]:
    return {
        "image": names[one.position],
        "network": one.network,
        "seed": one.seed,
        "label": one.answer,
        "probability": one.probability,
        "areas": one.areas,
        "maps": {method: values.round(6).tolist() for method, values in one.maps.items()},
        "over_time": one.over_time.round(6).tolist(),
    }
