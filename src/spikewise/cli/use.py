"""`evaluate` and `report`: commands that start from a finished run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, say

if TYPE_CHECKING:
    from spikewise.api import Evaluation

__all__ = ["register"]

_GROUP = "Use a run"
_SHOWN = ("accuracy", "balanced_accuracy", "f1_macro", "auc", "ece")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
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
            help="Another set of the same classes; its published test part counts if it has one, else all its images. "
            "Those that the run learned from are left out.",
            show_default="the run's own test part",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="How the other set is read, such as data.levels=class/subject; may be given again.",
            show_default="as the run's own where it is laid out so",
        ),
    ] = None,
    network: o.NetworkName = None,
    seed: o.Seed = None,
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
            settings=settings or (),
            decoding=None if quiet else shown.work,
        )
    if found[0].seen is None:
        say(
            f"Whether training images are among these is not known: {run} kept none, and they are not there as they "
            "were."
        )
    if as_json:
        print_json([_record(one) for one in found])
        return
    from spikewise.report.numbers import metric_label, metric_value

    left_out = f"; {found[0].seen:,} that the run learned from were left out" if found[0].seen else ""
    print(f"{found[0].data}: {found[0].images:,} images{left_out}")
    metrics = _SHOWN if found[0].positive is None else (*_SHOWN, "recall", "specificity")
    rows = [[one.network, str(one.seed), *(metric_value(name, one.metrics[name]) for name in metrics)] for one in found]
    header = ["network", "seed", *(metric_label(name, found[0].positive) for name in metrics)]
    print_rows(header, rows, right=range(1, len(header)))


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


def _record(one: "Evaluation") -> dict[str, Any]:
    return {**one._asdict(), "confusion": one.confusion.tolist()}
