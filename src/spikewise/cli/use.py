"""`evaluate`, `predict` and `report`: the commands that start from a finished run."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, say

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from spikewise.api import Evaluation, Trained

__all__ = ["register"]

_GROUP = "Use a run"
_SHOWN = ("accuracy", "balanced_accuracy", "f1_macro", "auc", "ece")

Seed = Annotated[int | None, typer.Option("--seed", help="Which of the run's seeds.", show_default=False)]
NetworkName = Annotated[
    str | None, typer.Option("--network", "-n", metavar="snn|twin|cnn", help="Which of the run's networks.")
]

ImageNames = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE...", help="Image files, folders of them, or - for one on standard input.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_GROUP)(predict)
    app.command(rich_help_panel=_GROUP)(evaluate)
    app.command(rich_help_panel=_GROUP)(report)


def evaluate(  # noqa: PLR0913  # one parameter for each option
    run: o.RunPath,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|PATH",
            help="Another set of the same classes; its published test part counts if it has one, else all its images.",
            show_default="the run's own test part",
        ),
    ] = None,
    network: NetworkName = None,
    seed: Seed = None,
    skip_bad: o.SkipBad = False,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Evaluate a run's networks on its test images again (the run records that), or on another set."""
    from spikewise.api import evaluate as evaluate_run
    from spikewise.cli.machine import use_threads
    from spikewise.training.progress import display

    use_threads(threads)
    with display() as shown:
        found = evaluate_run(
            run,
            data,
            network=network,
            seed=seed,
            data_dir=data_dir,
            device=device or "auto",
            skip_bad=skip_bad,
            decoding=None if quiet else shown.work,
        )
    if as_json:
        print_json([_record(one) for one in found])
        return
    from spikewise.report.numbers import metric_label, metric_value

    print(f"{found[0].data}: {found[0].images:,} images")
    metrics = _SHOWN if found[0].positive is None else (*_SHOWN, "recall", "specificity")
    rows = [[one.network, str(one.seed), *(metric_value(name, one.metrics[name]) for name in metrics)] for one in found]
    header = ["network", "seed", *(metric_label(name, found[0].positive) for name in metrics)]
    print_rows(header, rows, right=range(1, len(header)))


def predict(  # noqa: PLR0913  # one parameter for each option
    run: o.RunPath,
    images: ImageNames,
    *,
    network: NetworkName = "snn",
    seed: Seed = None,
    white: Annotated[
        float | None,
        typer.Option(
            "--white",
            metavar="NUMBER",
            help="The number that is white in these images, such as 4095 for 12 bits.",
            show_default="as in the run's images",
        ),
    ] = None,
    skip_bad: o.SkipBad = False,
    device: o.Device = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """Classify images with a network of a run; they are resized, greyed and scaled as the run's images were.

    Images whose brightness or contrast is unlike those that the network learned from are named: `unlike` in JSON.
    """
    from spikewise.api import load
    from spikewise.cli.images import named_sources
    from spikewise.cli.machine import use_threads

    use_threads(threads)
    model = load(run, network or "snn", seed, device=device or "auto")
    found = named_sources(images, sys.stdin.buffer)
    names, pixels = _decoded(model, found, skip_bad, white)
    records = _answers(model, names, pixels)
    _say_unlike(records)
    if as_json:
        print_json(records)
        return
    rows = [[record["image"], record["label"], f"{record['probability']:.1%}"] for record in records]
    print_rows(["image", "label", "probability"], rows, right=[2])


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the page of several runs goes.")
    ] = Path("report.html"),
) -> None:
    """Write report.html of a run again; of several runs, one page that puts them side by side."""
    from spikewise.experiments import RunFolder

    for run in runs:
        RunFolder.open(run)
    if len(runs) == 1:
        from spikewise.report import write_report

        print(write_report(runs[0]))
        return
    from spikewise.evaluation import Results
    from spikewise.files import write_text
    from spikewise.report import Linked, render_many

    pages = [Linked(Results.load(run / "results.json"), run.name, _link(run, out)) for run in runs]
    write_text(out, render_many(pages))
    print(out)


def _link(run: Path, page: Path) -> str | None:
    target = run / "report.html"
    return os.path.relpath(target.resolve(), page.resolve().parent) if target.exists() else None


def _say_unlike(records: list[dict[str, Any]]) -> None:
    """On standard error: answers about images of another kind are worth little."""
    odd = [record for record in records if record["unlike"] is not None]
    for record in odd[:3]:
        say(f"{record['image']} {record['unlike']}.")
    if odd:
        which = "It is" if len(records) == 1 else f"{len(odd):,} of {len(records):,} images are"
        say(f"{which} unlike what the network learned from: do not trust the answer, whatever the probability.")


def _record(one: "Evaluation") -> dict[str, Any]:
    return {**one._asdict(), "confusion": one.confusion.tolist()}


def _decoded(
    model: "Trained", found: list[tuple[str, Path | bytes]], skip_bad: bool, white: float | None
) -> "tuple[list[str], UInt8[np.ndarray, 'N C H W']]":
    """The names and pixels of the images; what cannot be decoded is an error, or left out and listed."""
    import numpy as np

    from spikewise.errors import DataError

    names, pixels = [], []
    for name, source in found:
        try:
            pixels.append(model.pixels(source, white=white))
            names.append(name)
        except DataError as error:
            if not skip_bad:
                raise
            say(f"left out: {error}")
    if found and not names:
        raise DataError(f"None of the {len(found)} images can be decoded.")
    return names, np.concatenate(pixels) if pixels else np.empty((0,), np.uint8)


def _answers(model: "Trained", names: list[str], pixels: "UInt8[np.ndarray, 'N C H W']") -> list[dict[str, Any]]:
    said = model.explain(pixels)
    labels, odd = said.probabilities.argmax(1), model.unlike(pixels)
    out = []
    for at, name in enumerate(names):
        probabilities = dict(zip(model.classes, said.probabilities[at].tolist(), strict=True))
        label = model.classes[labels[at]]
        spikes = None if said.spikes is None else said.spikes[at].tolist()
        out.append(
            {
                "image": name,
                "label": label,
                "probability": probabilities[label],
                "probabilities": probabilities,
                "spikes": spikes,
                "layer_spikes": {layer: int(count[at]) for layer, count in said.layer_spikes.items()},
                "evidence": said.evidence[at].tolist(),
                "unlike": odd[at],
                "network": model.name,
                "seed": model.seed,
            }
        )
    return out
