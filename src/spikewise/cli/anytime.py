"""`anytime`: what a network is worth before its last time step."""

from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text
from spikewise.cli.machine import use_threads
from spikewise.cli.shortened import answer_of, print_less

__all__ = ["anytime"]


def anytime(
    run: o.RunPath,
    *,
    again: Annotated[bool, typer.Option("--again", help="Make it again, though the run has it.")] = False,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """How accurate are the networks after each time step, at what cost, and when can they stop?"""
    from spikewise import api
    from spikewise.report.sections.anytime import EXIT_HEADER, STEP_HEADER, blocks

    use_threads(threads)
    before = answer_of(run)
    found = api.anytime(run, again=again, data_dir=data_dir)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for block in blocks(found):
        print_text(block.name, style="bold")
        print_rows(STEP_HEADER, block.steps, right=range(len(STEP_HEADER)))
        print()
        print_rows(EXIT_HEADER, block.exits, right=range(len(EXIT_HEADER)))
        print()
        print_text(block.sentence)
        print_text(block.timing)
    if not found.networks:
        print_text("No network of this run has time steps.")
    print_less(run, "anytime", before)
