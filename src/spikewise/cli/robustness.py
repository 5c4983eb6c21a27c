"""The command that disturbs a finished run's networks and shows what is left of their accuracy."""

from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text
from spikewise.cli.machine import use_threads
from spikewise.cli.shortened import answer_of, print_less

__all__ = ["register"]

ImagesOption = Annotated[
    int | None,
    typer.Option(
        "--images",
        metavar="N",
        min=2,
        help="Make it again with this many test images.",
        show_default="at most 1000, of which at most 256 are attacked",
    ),
]
FamiliesOption = Annotated[
    str | None,
    typer.Option(
        "--families",
        metavar="A,B",
        help="Only some of: corruptions, spikes, weights, neurons, attacks.",
        show_default="all",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Look into a run")(robustness)


def robustness(  # noqa: PLR0913  # one argument per option
    run: o.RunPath,
    *,
    images: ImagesOption = None,
    families: FamiliesOption = None,
    again: o.Again = False,
    data_dir: o.DataDir = None,
    threads: o.Threads = None,
    as_json: o.Json = False,
) -> None:
    """What is left of the accuracy when images, spikes, weights or neurons are disturbed, and under attack?"""
    from spikewise import api
    from spikewise.report.sections.robustness import networks_of, rows, titles

    use_threads(threads)
    asked = {} if families is None else {"families": [name.strip() for name in families.split(",")]}
    before = answer_of(run)
    found = api.robustness(run, images=images, again=again, data_dir=data_dir, **asked)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    names = networks_of(found)
    pairs = titles(found)
    table = [
        [
            ("" if row.is_family else "  ") + row.label,
            *row.scores,
            *(f"{one.mean} ({one.ends}), {one.p}" if one.ends else one.mean for one in row.differences),
            *[""] * (len(pairs) - len(row.differences)),
        ]
        for row in rows(found, names)
    ]
    columns = ["accuracy above chance left, %", *names, *(f"{pair}, 95 % interval" for pair in pairs)]
    print_rows(columns, table, right=range(1, len(columns)))
    for sentence in dict.fromkeys(sentence for family in found.families for sentence in family.left_out):
        print_text(sentence)
    print_less(run, "robustness", before)
