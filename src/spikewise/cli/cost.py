"""`cost`: what the networks of a run cost, by every energy model."""

from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(cost)


def cost(
    run: o.RunPath,
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="One energy model.", show_default="all"),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Show what each network of a run costs: operations, energy by each model with its constants, times, memory."""
    from spikewise.api import cost as cost_of

    found = cost_of(run, model)
    if as_json:
        print_json(found.table())
        return
    header, *rows = found.rows()
    print_rows(header, rows, right=range(1, len(header)))
    print()
    for at, remark in enumerate(found.remarks(), 1):
        print_text(f"[{at}] {remark}")
    for name, constants, source, assumptions in found.notes():
        print()
        print_text(name, style="bold")
        for label, text in (("constants", constants), ("source", source), ("assumes", assumptions)):
            print_text(f"{label}: {text}", indent=2)
