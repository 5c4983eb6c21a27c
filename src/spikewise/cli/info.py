"""`presets`, `schema` and `doctor`: what there is, what is written, and whether it works here."""

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel="Train and compare")(presets)
    app.command(rich_help_panel="Set-up")(schema)
    app.command(rich_help_panel="Set-up")(doctor)


def presets(as_json: o.Json = False) -> None:
    """List the published systems that come with the package: what they reported, and what they gave here."""
    from spikewise.api.presets import preset_facts, preset_rows

    if as_json:
        print_json(preset_facts())
        return
    print_rows(["name", "data", "published", "reproduced", "what it is"], preset_rows(), whole=[0, 1])


def schema() -> None:
    """Print the JSON Schema of results.json, for programs that read it; docs/results.md is the page for people."""
    from spikewise.evaluation import results_json_schema

    print_json(results_json_schema())


def doctor(data_dir: o.DataDir = None, as_json: o.Json = False) -> None:
    """Check that everything works on this machine; exit code 1 if something does not."""
    from spikewise.cli.checks import examine

    found = examine(data_dir)
    if as_json:
        print_json([check._asdict() for check in found])
    else:
        rows = [["ok" if one.sound else "problem", one.what, f"{one.found}\n{one.advice}".strip()] for one in found]
        print_rows(["", "", ""], rows, whole=[0, 1])
    if not all(check.sound for check in found):
        raise typer.Exit(1)
