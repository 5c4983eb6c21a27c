"""The page of a sweep: what was chosen, what each factor does, the figures, and every cell; it loads nothing."""

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from spikewise.experiments.sweep_effects import (
    NETWORK,
    Choice,
    FactorChoice,
    SweepDifference,
    answer,
    by_run,
    choose,
    differences,
    few_seeds,
    mean_of,
)
from spikewise.experiments.sweep_figures import DrawnFigure, FigureScope, draw
from spikewise.experiments.sweep_folder import Placed, SweepFolder
from spikewise.experiments.sweep_grid import factors_of
from spikewise.experiments.sweep_table import Row, positive_of, rows_of, write_tables
from spikewise.files import write_text
from spikewise.report.numbers import count, duration, in_sentence, metric_label, metric_value
from spikewise.viz import inline_svg, save_figure, theme_css

__all__ = ["SweepFindings", "evaluate_sweep"]


class _Line(NamedTuple):
    """A row of the page's table."""

    cells: list[str]
    run: str
    """The name of its folder."""
    report: str | None
    """Its report as a link from the page; None where none is written."""


class SweepFindings(NamedTuple):
    """What a sweep found out."""

    rows: list[Row]
    choices: list[Choice]
    differences: list[SweepDifference]
    answers: list[FactorChoice]
    labels: dict[str, tuple[str, ...]]
    """The levels of each factor; the network is one where there are several."""


def evaluate_sweep(folder: SweepFolder) -> SweepFindings:
    """Write the tables, the figures and the page from what the run folders hold now."""
    found = _find(folder)
    write_tables(folder, found.rows)
    scope = FigureScope(folder.sweep.metric, folder.sweep.against, found.labels, positive_of(found.rows))
    drawn = draw(scope, found.rows, found.choices, found.differences)
    for one in drawn:
        save_figure(one.figure, folder.path / "figures" / f"{one.name}.svg")
    write_text(folder.path / "sweep.html", _render(folder, found, drawn))
    return found


def _find(folder: SweepFolder) -> SweepFindings:
    metric, rows = folder.sweep.metric, rows_of(folder)
    there = {name: {placed.cell.levels[name] for placed in folder.cells} for name in folder.cells[0].cell.levels}
    labels = {
        factor.name: tuple(label for label in factor.labels if label in there[factor.name])
        for factor in factors_of(folder.sweep)
    }
    networks = tuple(dict.fromkeys(str(row[NETWORK]) for row in rows if row["status"] == "done"))
    if len(networks) > 1:
        labels[NETWORK] = networks[::-1]  # the others are compared with the last, which is the conventional one
    answers = [answer(claim, rows, labels, metric) for claim in folder.sweep.claims]
    return SweepFindings(rows, choose(rows, tuple(labels), metric), differences(rows, labels, metric), answers, labels)


def _render(folder: SweepFolder, found: SweepFindings, drawn: Sequence[DrawnFigure]) -> str:
    metric = folder.sweep.metric
    states = [row["status"] for row in {str(row["run"]): row for row in found.rows}.values()]
    text = resources.files("spikewise.experiments").joinpath("sweeps", "page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text).render(
        style=Markup(_style()),  # our own
        sweep=folder.sweep,
        states={state: states.count(state) for state in dict.fromkeys(states)},
        cells=len(states),
        metric=in_sentence(metric_label(metric, positive_of(found.rows))),
        few_seeds=few_seeds(found.rows),
        choices=[choice.sentence(metric) for choice in found.choices],
        effects=[one.sentence(metric) for one in found.differences],
        answers=found.answers,
        panels=[
            (
                Markup(inline_svg(one.figure, key=one.name.replace(".", "-"), title=one.caption)),
                one.caption,
                f"{one.figure.get_figwidth():.4g}",
            )
            for one in drawn
        ],
        columns={name: max(map(len, (name, *labels))) for name, labels in found.labels.items() if name != NETWORK},
        table=_table(folder, found, metric),
        failures=_failures(found),
    )


def _style() -> str:
    shared = resources.files("spikewise.report").joinpath("assets", "report.css").read_text(encoding="utf-8")
    return f"{theme_css()}\n{shared}"


def _failures(found: SweepFindings) -> dict[str, str]:
    """The message of each failed cell, by its levels in words."""
    factors = [name for name in found.labels if name != NETWORK]
    return {
        ", ".join(f"{name} {row[name]}" for name in factors): str(row["error"]) for row in found.rows if row["error"]
    }


def _table(folder: SweepFolder, found: SweepFindings, metric: str) -> list[_Line]:
    """A line for each cell and network: levels, network, seeds, validation, test, parameters, rate, time, status."""
    lines, reports = [], {placed.run.name: _report_of(folder, placed) for placed in folder.cells}
    for (network, run), own in by_run(found.rows).items():
        rate = mean_of(own, "spike_rate")
        cells = [
            *(str(own[0][name]) for name in found.labels if name != NETWORK),
            network,
            str(len(own)),
            metric_value(metric, mean_of(own, f"validation_{metric}")),
            metric_value(metric, mean_of(own, f"test_{metric}")),
            count(mean_of(own, "parameters")),
            "–" if rate is None else f"{rate:.3f}",
            duration(mean_of(own, "train_seconds"), aligned=True),
            str(own[0]["status"]),
        ]
        lines.append(_Line(cells, run, reports[run]))
    return lines


def _report_of(folder: SweepFolder, placed: Placed) -> str | None:
    """Where a cell's report lies as seen from the page, so that both may move together."""
    report = placed.run / "report.html"
    return quote(Path(os.path.relpath(report, folder.path)).as_posix()) if report.is_file() else None
