"""`diagnose`: what is wrong inside the networks of a run."""

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text
from spikewise.cli.machine import use_threads
from spikewise.cli.shortened import answer_of, print_less
from spikewise.shell import word

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Look into a run")(diagnose)


def diagnose(
    run: o.RunPath,
    *,
    again: o.Again = False,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """What is wrong inside the networks of a run, finished or not: dead neurons, gradients, learning rate, labels."""
    from spikewise import api
    from spikewise.experiments import RunFolder
    from spikewise.report.sections.diagnosis import again as command_again
    from spikewise.report.sections.diagnosis import rows

    use_threads(threads)
    before = answer_of(run)
    found = api.diagnose(run, again=again, data_dir=data_dir)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for finding in found.findings:
        where = finding.network if finding.layer is None else f"{finding.network}, {finding.layer}"
        print_text(f"{finding.severity}: {finding.code.replace('_', ' ')} ({where})", style="bold")
        print_text(finding.text, indent=2)
        print_text(" ".join([finding.advice, *(f"--set {word(one)}" for one in finding.settings)]), indent=2)
    if not found.findings:
        print_text("Nothing is wrong.", style="bold")
    shares = ["rate, %", "at start", "dead, %", "saturated, %"]
    header = ["network", "layer", *shares, "membranes", "window, %", "passed, %"]
    print()
    print_rows(header, [list(row) for row in rows(found)], right=range(2, len(header)))
    print_less(run, "diagnosis", before)
    command = command_again(found.findings, RunFolder.open(run).facts()["kind"], run)
    if command:
        print()
        print_text(f"To run again with what the gravest finding advises: {command}")
