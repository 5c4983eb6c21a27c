"""`sweep`: many experiments that differ in a few factors, and what each factor does."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_places, print_rows, print_text, say

if TYPE_CHECKING:
    from spikewise.executors import AnyExecutor
    from spikewise.experiments.sweep_cells import Asked
    from spikewise.experiments.sweep_folder import SweepFolder
    from spikewise.experiments.sweep_page import SweepFindings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Train and compare")(sweep)


def sweep(  # noqa: PLR0913  # one parameter for each option
    name: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP",
            help="A sweep's name (`--list` shows them), a TOML file, or a sweep folder.",
            show_default=False,
        ),
    ] = "",
    data: o.Data = None,
    *,
    cells: Annotated[
        list[str] | None,
        typer.Option(
            "--cells", metavar="FACTOR=LEVEL[,LEVEL]", help="Only these cells; may be given again.", show_default=False
        ),
    ] = None,
    settings: o.Settings = None,
    seeds: o.Seeds = None,
    epochs: o.Epochs = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Cells at a time, one thread each.",
            show_default="all that there is room for",
        ),
    ] = None,
    executor: o.Executor = None,
    executor_settings: o.ExecutorSettings = None,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    out: o.Out = Path("runs"),
    track: o.Track = None,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing: write table, figures and page from what there is.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the sweeps that come with the package.")] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Run every combination of a few factors, several at a time, and say what each factor does.

    Finished cells are skipped, a killed sweep goes on where it stopped, and a failed cell does not stop the others.
    """
    from spikewise.experiments.sweep_cells import Asked
    from spikewise.experiments.sweep_run import run_cells
    from spikewise.tracking import Follower

    if list_:
        _print_list(as_json)
        return
    asked = Asked(data, tuple(settings or []), seeds, epochs, device)
    how = _How(executor, tuple(executor_settings or []), jobs, data_dir, table_only)
    folder, chosen = _folder(name, asked, cells or [], how, out)
    if not table_only:
        with Follower(track, say) as follower:
            follower.begin(folder.path)
            run_cells(folder, executor=chosen, data_dir=data_dir, say=_ignore if quiet else None)
    from spikewise.experiments.sweep_page import evaluate_sweep  # draws: no cell waits for that to be loaded

    found = evaluate_sweep(folder)
    if as_json:
        print_json(_as_json(folder, found))
    else:
        _print(folder, found)


class _How(NamedTuple):
    """Where cells run; nothing about what they give."""

    executor: str | None
    settings: tuple[str, ...]
    jobs: int | None
    data_dir: Path | None
    nowhere: bool
    """Nothing is run."""

    def executor_for(self, own: Mapping[str, Any]) -> "AnyExecutor | None":
        """The executor that was asked for."""
        from spikewise.experiments.spread import asked_executor

        return asked_executor(self.executor, self.settings, default=own, jobs=self.jobs)


def _folder(
    name: str, asked: "Asked", conditions: list[str], how: _How, out: Path
) -> "tuple[SweepFolder, AnyExecutor | None]":
    """The sweep that was asked for, ready to run: a folder of before as it is, anything else planned anew."""
    from spikewise.errors import ConfigError
    from spikewise.executors import must_be_there
    from spikewise.experiments.sweep import load_sweep, sweep_names
    from spikewise.experiments.sweep_cells import Asked, cells_of, chosen_cells
    from spikewise.experiments.sweep_folder import SweepFolder, place
    from spikewise.training.progress import display

    if name and name not in sweep_names() and Path(name).is_dir():
        if asked != Asked() or conditions:
            raise ConfigError(
                f"{name} is a sweep that was begun; its settings stay. Give the sweep's name or file instead."
            )
        folder = SweepFolder.open(Path(name))
        executor = how.executor_for(folder.sweep.executor)
        if not (how.nowhere or all(placed.finished for placed in folder.cells)):
            must_be_there(executor)
        return folder, executor
    plan = load_sweep(name)
    executor = how.executor_for(plan.executor)
    cells = chosen_cells(cells_of(plan, asked), conditions)
    with display() as shown:
        placed = place(
            cells, out, plan.kind, data_dir=how.data_dir, decoding=shown.work, executor=executor, runs=not how.nowhere
        )
    return SweepFolder.create(out, plan, placed), executor


def _print(folder: "SweepFolder", found: "SweepFindings") -> None:
    from spikewise.experiments.sweep_effects import few_seeds

    metric = folder.sweep.metric
    states = [str(row["status"]) for row in {str(row["run"]): row for row in found.rows}.values()]
    print()
    print_text(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)), style="bold")
    for choice in found.choices:
        print_text(choice.sentence(metric))
    if found.differences:
        print()
    for difference in found.differences:
        print_text(difference.sentence(metric), indent=2)
    if found.differences and (caution := few_seeds(found.rows)):
        print_text(caution)
    for one in found.answers:
        print()
        print_text(f"Published: {one.statement}", style="bold")
        for where, sentence in one.measured:
            print_text(f"{where}: {sentence}", indent=2)
    print()
    place = folder.path
    print_places([("folder", place), ("table", place / "table.csv"), ("page", place / "sweep.html")])


def _as_json(folder: "SweepFolder", found: "SweepFindings") -> dict[str, object]:
    metric = folder.sweep.metric
    effects = [
        {**one._asdict(), "estimate": one.estimate.model_dump(mode="json"), "sentence": one.sentence(metric)}
        for one in found.differences
    ]
    answers = [{"statement": one.statement, "measured": dict(one.measured)} for one in found.answers]
    chosen = [choice._asdict() for choice in found.choices]
    return {
        "folder": str(folder.path),
        "metric": metric,
        "chosen": chosen,
        "effects": effects,
        "claims": answers,
        "rows": found.rows,
    }


def _print_list(as_json: bool) -> None:
    from spikewise.experiments.sweep import load_sweep, sweep_names
    from spikewise.experiments.sweep_cells import cells_of

    plans = [(name, load_sweep(name)) for name in sweep_names()]
    rows = [[name, str(len(cells_of(plan))), plan.preset or "", plan.about] for name, plan in plans]
    if as_json:
        print_json([dict(zip(("name", "cells", "preset", "about"), row, strict=True)) for row in rows])
    else:
        print_rows(["sweep", "cells", "preset", ""], rows, right=[1], whole=[0])


def _ignore(text: str) -> None:
    del text
