"""The commands that look into a finished run: each shows one section of its report, and makes it if it is not there."""

import typer

from spikewise.cli import options as o
from spikewise.cli.anytime import anytime
from spikewise.cli.console import print_json, print_rows
from spikewise.cli.machine import use_threads
from spikewise.cli.shortened import answer_of, print_less

__all__ = ["register"]

_GROUP = "Look into a run"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_GROUP)(anytime)
    app.command(rich_help_panel=_GROUP)(calibrate)


def calibrate(
    run: o.RunPath,
    *,
    again: o.Again = False,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """How far can the confidence of the networks be trusted, before and after temperature scaling?"""
    from spikewise import api
    from spikewise.report.sections.calibration import rows

    use_threads(threads)
    before = answer_of(run)
    found = api.calibrate(run, again=again, data_dir=data_dir)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    header = ["network", "state", "ECE, %", "corrected, %", "Brier", "NLL", "temperature"]
    print_rows(header, [list(row) for row in rows(found)], right=[2, 3, 4, 5, 6])
    print_less(run, "calibration", before)
