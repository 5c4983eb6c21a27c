"""The figures of a sweep, made from the rows of its table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from spikewise.experiments.sweep_effects import (
    LOWER_IS_BETTER,
    NETWORK,
    Choice,
    SweepDifference,
    by_run,
    complete,
    figure_of,
    mean_of,
    mean_over,
)
from spikewise.experiments.sweep_table import Row
from spikewise.report.numbers import METRICS, in_sentence, metric_label
from spikewise.viz.sweeps import BAR_NAME, Bar, Point, configuration_bars, difference_forest, factor_boxes, metric_curve

__all__ = ["DrawnFigure", "FigureScope", "draw"]

_BARS = 40
"""Configurations up to which each has a bar; of more, the best by validation."""
_LINES = 200
"""Differences, and levels of a factor, that a figure has room for."""


class FigureScope(NamedTuple):
    """What the figures are about."""

    metric: str
    against: str
    """"level" or "parameters": what the curves are drawn against."""
    labels: Mapping[str, Sequence[str]]
    """The levels of each factor."""
    positive: str | None = None
    """The positive class, where all cells have the same."""

    @property
    def label(self) -> str:
        """What the metric is called."""
        return metric_label(self.metric, self.positive)

    @property
    def scale(self) -> float:
        """From values to the axes."""
        return 100.0 if METRICS[self.metric].percent else 1.0

    def axis(self, what: str = "", unit: str = "%") -> str:
        """What an axis says."""
        label = in_sentence(self.label) if what else self.label
        return f"{what}{label}{f', {unit}' if METRICS[self.metric].percent else ''}, test"


class DrawnFigure(NamedTuple):
    """A figure, the name of its file, and its caption."""

    name: str
    figure: Figure
    caption: str


def draw(
    scope: FigureScope, rows: Sequence[Row], choices: Sequence[Choice], differences: Sequence[SweepDifference]
) -> list[DrawnFigure]:
    """All figures that the finished trainings allow."""
    done = [row for row in rows if row["status"] == "done" and row.get(f"test_{scope.metric}") is not None]
    if not done:
        return []
    curves = [_curve(scope, done, factor) for factor in _numeric(scope.labels)]
    forest = [_forest(scope, differences)] if differences else []
    boxes = [_boxes(scope, done)] if any(len(labels) > 1 for labels in scope.labels.values()) else []
    return [*curves, *forest, *boxes, _bars(scope, done, choices)]


def _curve(scope: FigureScope, done: Sequence[Row], factor: str) -> DrawnFigure:
    against = "parameters" if scope.against == "parameters" else factor
    curves: dict[str, list[Point]] = {}
    for network in dict.fromkeys(str(row[NETWORK]) for row in done):
        by_label = _by_label((row for row in done if row[NETWORK] == network), factor)
        for label in scope.labels[factor]:
            if own := by_label.get(label):
                x = mean_of(own, "parameters") or 0.0 if against == "parameters" else float(label)
                curves.setdefault(network, []).append(_point(own, x, scope.metric))
    figure = metric_curve(curves, xlabel=against, ylabel=scope.axis(), scale=scope.scale)
    caption = f"{scope.label} on the test images against {against}: mean and 95 % interval."
    return DrawnFigure(f"curve-{factor}", figure, caption)


def _point(own: Sequence[Row], x: float, metric: str) -> Point:
    return Point(x, mean_over(complete({(row["run"], row["seed"]): figure_of(row, f"test_{metric}") for row in own})))


def _forest(scope: FigureScope, differences: Sequence[SweepDifference]) -> DrawnFigure:
    rows = [(f"{one.factor}: {one.first} − {one.second}", one.estimate) for one in differences[:_LINES]]
    figure = difference_forest(rows, xlabel=scope.axis("difference of ", "points"), scale=scope.scale)
    caption = "Paired differences: equal in all else and in the seed, with 95 % intervals. Open: no clear effect."
    if len(differences) > _LINES:
        caption += f" The first {_LINES} of {len(differences):,}."
    return DrawnFigure("differences", figure, caption)


def _boxes(scope: FigureScope, done: Sequence[Row]) -> DrawnFigure:
    column = f"test_{scope.metric}"
    boxes: dict[str, dict[str, list[float]]] = {}
    for factor, labels in scope.labels.items():
        if len(labels) > 1:
            by_label = _by_label(done, factor)
            there = [label for label in labels if label in by_label]
            boxes[factor] = {label: [figure_of(row, column) for row in by_label[label]] for label in there[:_LINES]}
    figure = factor_boxes(boxes, xlabel=scope.axis(), scale=scope.scale)
    caption = "All trainings by the level of each factor. Not matched: within a box the other factors differ."
    if any(len(labels) > _LINES for labels in scope.labels.values()):
        caption += f" Of each factor the first {_LINES} levels."
    return DrawnFigure("factors", figure, caption)


def _by_label(rows: Iterable[Row], factor: str) -> dict[str, list[Row]]:
    """Rows by the level of a factor."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[factor]), []).append(row)
    return groups


def _bars(scope: FigureScope, done: Sequence[Row], choices: Sequence[Choice]) -> DrawnFigure:
    chosen = {(choice.network, choice.run) for choice in choices}
    groups = by_run(done)
    sign = -1 if scope.metric in LOWER_IS_BETTER else 1
    order = sorted(groups, key=lambda key: -sign * (mean_of(groups[key], f"validation_{scope.metric}") or 0.0))
    varied = [name for name, labels in scope.labels.items() if len(labels) > 1]
    bars = [
        Bar(
            _words(groups[key][0], varied),
            [figure_of(row, f"test_{scope.metric}") for row in groups[key]],
            key in chosen,
        )
        for key in order[:_BARS]
    ]
    caption = (
        f"The {_BARS} configurations that validation ranks highest"
        if len(order) > _BARS
        else "All configurations, as validation ranks them"
    )
    figure = configuration_bars(bars, xlabel=scope.axis(), scale=scope.scale)
    return DrawnFigure(
        "configurations",
        figure,
        f"{caption}: mean over seeds (dots) on the test images. Orange: what validation chooses.",
    )


def _words(row: Row, factors: Sequence[str]) -> str:
    """A configuration in few words: levels that speak for themselves without their factor."""
    parts = []
    for factor in factors:
        name, level = factor.rpartition(".")[2].replace("_", " "), str(row[factor])
        with_name = f"{name} {level}" if _is_number(level) else level
        parts.append({"true": name, "false": f"not {name}"}.get(level, with_name))
    return ", ".join(_shortened(parts, BAR_NAME))


def _shortened(parts: Sequence[str], room: int) -> list[str]:
    """Words that fit into so many letters with commas between them: the longest are cut, and none is left out."""
    free = room - 2 * (len(parts) - 1)
    limit = next((most for most in range(free, 2, -1) if sum(min(len(part), most) for part in parts) <= free), 2)
    return [part if len(part) <= limit else part[: limit - 1].rstrip() + "…" for part in parts]


def _numeric(labels: Mapping[str, Sequence[str]]) -> list[str]:
    """Factors with at least three levels on a scale."""
    return [name for name, own in labels.items() if len(own) > 2 and all(map(_is_number, own))]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
