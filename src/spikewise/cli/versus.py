"""`versus`: networks of several runs beside each other."""

from typing import Annotated

import typer

from spikewise.cli import options as o
from spikewise.cli.console import print_json, print_rows, print_text

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Use a run")(versus)


def versus(
    networks: Annotated[
        list[str], typer.Argument(metavar="RUN[:NETWORK]...", help="Run folders, two or more.", show_default=False)
    ],
    *,
    data_dir: o.DataDir = None,
    as_json: o.Json = False,
) -> None:
    """Compare networks of several runs on the test images they share, such as sides that were tuned apart."""
    from spikewise import api
    from spikewise.report.numbers import p_value, percent, points

    found = api.versus(networks, data_dir=data_dir)
    if as_json:
        pairs = [pair.model_dump(mode="json") for pair in found.pairs]
        print_json({"data": found.data, "images": found.images, "accuracies": found.accuracies, "pairs": pairs})
        return
    print_rows(["network", "accuracy"], [[name, percent(value)] for name, value in found.accuracies.items()], right=[1])
    print()
    rows = []
    for pair in found.pairs:
        low, high = pair.difference.low, pair.difference.high
        ends = "" if low is None or high is None else f"{points(low)} to {points(high)}"
        words = {True: "significant", False: "not significant", None: "cannot tell"}[pair.significant]
        rows.append([f"{pair.a} − {pair.b}", points(pair.difference.mean), ends, p_value(pair.deciding_p), words])
    print_rows(["accuracy", "points", "95 % interval", "p", ""], rows, right=[1, 3])
    print()
    for pair in found.pairs:
        print_text(pair.sentence)
