"""`runs`: every run of a folder, listed, compared and taken along."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from spikewise.cli import options as o
from spikewise.cli.console import out, print_json, print_rows, print_text, say

if TYPE_CHECKING:
    from spikewise.collection import Runs

__all__ = ["register"]

_FIRST = "list"
_NUMBERS = frozenset(("accuracy", "interval", "− twin", "energy", "latency"))
_CHOICE = "Which runs"


class _Group(TyperGroup):
    """A group whose first command need not be named: `runs FOLDER` is `runs list FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # the context class of click, or of typer's copy
        """Name the first command where none is named."""
        asked = next(iter(args), "")
        if asked not in self.commands and asked not in ctx.help_option_names:
            args = [_FIRST, *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(
    cls=_Group,
    help="List, compare and export the runs of a folder. `spikewise runs [FOLDER] [OPTIONS]` lists; a folder with the "
    "name of a command is given as ./compare.",
)

Folder = Annotated[
    Path, typer.Argument(metavar="[FOLDER]", help="Folder of run folders; those in its folders count, too.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="CONDITION",
        help="Such as 'accuracy > 0.97 and preset = mnist-snn': columns, NETWORK.FIGURE (twin.f1_macro) and settings "
        "(train.batch_size), with = != < <= > >= ~, and, or, not. May be given again.",
        show_default=False,
        rich_help_panel=_CHOICE,
    ),
]
DataName = Annotated[
    str | None, typer.Option("--data", metavar="NAME", help="Of this image set.", rich_help_panel=_CHOICE)
]
PresetName = Annotated[
    str | None, typer.Option("--preset", "-p", metavar="NAME", help="Of this preset.", rich_help_panel=_CHOICE)
]
Having = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="With this setting, such as train.batch_size=64; may be given again.",
        show_default=False,
        rich_help_panel=_CHOICE,
    ),
]
State = Annotated[
    str | None,
    typer.Option("--state", metavar="finished|unfinished|damaged", help="In this state.", rich_help_panel=_CHOICE),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE|3d", help="Tested since: 2026-11-20, 12h, 3d, 2w.", rich_help_panel=_CHOICE),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="KEY",
        help="By a column, figure or setting (accuracy, cost, date, data, preset, ...); -KEY: the other way round.",
        show_default="date",
        rich_help_panel=_CHOICE,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", metavar="N", min=1, help="At most so many.", show_default=False, rich_help_panel=_CHOICE
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(commands, name="runs", rich_help_panel="Use a run")


@commands.command("list")
def list_runs(  # noqa: PLR0913  # one parameter for each option
    folder: Folder = Path("runs"),
    *,
    where: Where = None,
    data: DataName = None,
    preset: PresetName = None,
    having: Having = None,
    state: State = None,
    since: Since = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: o.Json = False,
) -> None:
    """List the runs of a folder: accuracy with its interval, what it costs, and why damaged ones cannot be read."""
    found = _chosen(folder, _Choice(where, data, preset, having, state, since, sort, limit))
    if as_json:
        print_json([dict(one.columns) for one in found])
        return
    _print(found)


@commands.command("compare")
def compare_runs(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN[:NETWORK]...",
            help="Two or more; without a network, a run's spiking one.",
            show_default=False,
        ),
    ],
    *,
    data_dir: o.DataDir = None,
    as_json: o.Json = False,
) -> None:
    """Compare networks of several runs: figures, settings that differ, paired tests on the images they share."""
    from spikewise.collection import compare

    found = compare(networks, data_dir=data_dir)
    if as_json:
        print_json(found.as_json())
        return
    print_rows(*found.figures(), right=range(1, 1 + len(found.names)))
    print()
    if found.settings:
        print_rows(["settings that differ", *found.names], [[key, *values] for key, values in found.settings.items()])
    else:
        print_text("No setting differs.")
    print()
    if found.pairs:
        print_rows(*found.tests(), right=[1, 3])
        print()
    for sentence in found.sentences:
        print_text(sentence)


@commands.command()
def export(  # noqa: PLR0913  # one parameter for each option
    folder: Folder = Path("runs"),
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="csv|latex|md|parquet|html",
            help="latex: booktabs, intervals, significance marks; html: a page that links the reports.",
        ),
    ],
    where: Where = None,
    data: DataName = None,
    preset: PresetName = None,
    having: Having = None,
    state: State = None,
    since: Since = None,
    sort: Sort = None,
    limit: Limit = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write it there.",
            show_default="standard output; FOLDER/index.html, FOLDER/runs.parquet",
        ),
    ] = None,
) -> None:
    """Export the networks of the chosen runs as a table for a paper or a program, or a page that links the reports."""
    done = _chosen(folder, _Choice(where, data, preset, having, state, since, sort, limit)).export(to, out)
    print(done, end="" if isinstance(done, str) else "\n")


class _Choice(NamedTuple):
    """Which runs, as the options say it."""

    where: list[str] | None
    data: str | None
    preset: str | None
    having: list[str] | None
    state: str | None
    since: str | None
    sort: str | None
    limit: int | None


def _chosen(folder: Path, asked: _Choice) -> "Runs":
    from spikewise.collection import runs
    from spikewise.training.progress import display

    with display() as progress:
        found = runs(folder, tell=progress.work)
    found = found.of(data=asked.data, preset=asked.preset, state=asked.state)
    for setting in asked.having or []:
        found = found.having(setting)
    for condition in asked.where or []:
        found = found.where(condition)
    if asked.since is not None:
        found = found.since(asked.since)
    return found.sort(asked.sort or "created")[: asked.limit]


def _print(found: "Runs") -> None:
    from spikewise.collection.wording import listed

    good = [one for one in found if one["state"] != "damaged"]
    if good:
        console = out()
        header, *rows = listed(good, console.width if console.is_terminal else None)
        numbers = [at for at, name in enumerate(header) if name in _NUMBERS]
        print_rows(header, rows, right=numbers)
        gone = [name or "state" for name in listed(good)[0] if name not in header]
        if gone:
            print_text(
                f"No room here for {', '.join(gone)}; a wider terminal shows more, --json everything.", style="dim"
            )
    else:
        say(f"No run in {found.folder}.")
    for one in found:
        if one["state"] == "damaged":
            say(f"{one['run']}: damaged. {one['problem']}")
