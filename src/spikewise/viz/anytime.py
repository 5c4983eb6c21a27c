"""Figures of accuracy as the time steps, and what they cost, add up."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from spikewise.evaluation.units import quantity
from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["CostCourse", "StepCourse", "accuracy_over_cost", "accuracy_over_steps"]

_MARKERS = ("s", "^", "D", "v", "P")
_NAMED_STEPS = (1, 2, 3, 5, 10, 20, 50)
_SHOWN_BELOW = 5.0
"""Percentage points below the final accuracy that a figure shows; the first step is often near guessing."""

Point = tuple[float, float]
"""Steps or cost, and accuracy as a share of 1."""


class StepCourse(NamedTuple):
    """Accuracy of one network after each step, as shares of 1."""

    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    seeds: Sequence[Sequence[float]]
    """Of each seed."""
    early_exits: Sequence[Point] = ()
    """Mean steps, and accuracy."""


class CostCourse(NamedTuple):
    """Cost and accuracy of one network with time steps."""

    steps: Sequence[Point]
    """After each step."""
    early_exits: Sequence[Point] = ()


def accuracy_over_steps(
    networks: Mapping[str, StepCourse],
    references: Mapping[str, float],
    *,
    colours: Mapping[str, str],
    theme: Theme = LIGHT,
) -> Figure:
    """Accuracy after each step: interval as a band, a faint line for each seed, diamonds for early exits.

    Args:
        references: accuracy of networks without time, as shares of 1; horizontal lines.
    """
    figure = new_figure(3.4, theme=theme)
    ax = axes(figure, theme=theme)[0]
    for name, course in networks.items():
        steps = range(1, len(course.mean) + 1)
        ax.fill_between(steps, _percent(course.low), _percent(course.high), color=colours[name], alpha=0.18, lw=0)
        for seed in course.seeds:
            ax.plot(steps, _percent(seed), color=colours[name], linewidth=0.6, alpha=0.55)
        ax.plot(steps, _percent(course.mean), color=colours[name], linewidth=1.8, label=label(name))
        if course.early_exits:
            marks = _diamond(colours[name], theme)
            ax.plot(*_columns(course.early_exits), **marks, label=label(f"{name}, early exit", 30))
    for position, (name, accuracy) in enumerate(references.items()):
        style = ("--", "-.", ":")[position % 3]
        ax.axhline(100 * accuracy, linestyle=style, color=colours[name], linewidth=1.4, label=label(name))
    finals = [course.mean[-1] for course in networks.values()]
    seen = [value for course in networks.values() for value in (*course.low, *course.high)]
    _accuracy_axis(ax, finals, [*references.values()], [*seen, *references.values()])
    ax.set(xlabel="answer after time step", xlim=(0.5, max(len(course.mean) for course in networks.values()) + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(figure, ax, theme)
    return figure


def accuracy_over_cost(  # noqa: PLR0913  # what is drawn, and how
    networks: Mapping[str, CostCourse],
    references: Mapping[str, Point],
    front: Sequence[Point],
    *,
    what: str,
    unit: str = "",
    colours: Mapping[str, str],
    theme: Theme = LIGHT,
) -> Figure:
    """Accuracy against cost on a logarithmic axis; the grey staircase is the front that no option beats.

    Args:
        references: cost and accuracy of networks without time.
        front: the points of the front, in any order; none where models of energy disagree about every option.
        what: what the cost is.
        unit: symbol of the unit that costs are given in, such as J; "" for plain numbers.
    """
    figure = new_figure(3.4, theme=theme)
    ax = axes(figure, theme=theme)[0]
    corners = sorted(front)
    every = [point for course in networks.values() for point in (*course.steps, *course.early_exits)]
    every += references.values()
    right = max(cost for cost, _ in every) * 1.5
    if corners:
        ax.step([*(x for x, _ in corners), right], [*(100 * y for _, y in corners), 100 * corners[-1][1]],
                where="post", color=theme.grid, linewidth=5, solid_joinstyle="miter", label="front")  # fmt: skip
    for name, course in networks.items():
        ax.plot(*_columns(course.steps), "o-", color=colours[name], linewidth=1, markersize=2.8,
                label=label(f"{name}, after each step", 30))  # fmt: skip
        if course.early_exits:
            ax.plot(*_columns(course.early_exits), **_diamond(colours[name], theme),
                    label=label(f"{name}, early exit", 30))  # fmt: skip
        _name_steps(ax, course.steps, theme)
    for position, (name, (cost, accuracy)) in enumerate(references.items()):
        ax.plot(cost, 100 * accuracy, _MARKERS[position % len(_MARKERS)], color=colours[name], markersize=7,
                label=label(name))  # fmt: skip
    finals = [course.steps[-1][1] for course in networks.values()]
    _accuracy_axis(ax, finals, [y for _, y in references.values()], [y for _, y in every])
    lowest = min(cost for cost, _ in every)
    if lowest <= 0:  # a network that sends nothing costs nothing, and has no place on an axis of powers
        ax.set(xlabel=what, xlim=(0, right or 1))
        _finish(figure, ax, theme)
        return figure
    ax.set(xscale="log", xlabel=what, xlim=(lowest / 1.5, right))
    plain = FuncFormatter(lambda value, _: written(value, unit))
    ax.xaxis.set_major_formatter(plain)
    low, high = ax.get_xlim()
    if math.floor(math.log10(high)) - math.ceil(math.log10(low)) < 1:  # one power of ten in view, or none
        ax.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        ax.xaxis.set_minor_formatter(plain)
    else:
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(which="minor", length=0, labelsize=ax.get_xticklabels()[0].get_fontsize(), labelcolor=theme.muted)
    _finish(figure, ax, theme)
    return figure


def written(cost: float, unit: str) -> str:
    """What stands below a mark of the axis: with the prefix that makes it short, where there is a unit."""
    return quantity(cost, unit) if unit else f"{cost:,.10g}"


def _name_steps(ax: Axes, steps: Sequence[Point], theme: Theme) -> None:
    for t in (*(t for t in _NAMED_STEPS if t <= len(steps) / 1.5), len(steps)):
        cost, accuracy = steps[t - 1]
        ax.annotate(f"{t}", (cost, 100 * accuracy), (0, -9), textcoords="offset points", ha="center", size=TEXT - 1.5,
                    color=theme.muted, annotation_clip=True)  # fmt: skip


def _accuracy_axis(ax: Axes, finals: Sequence[float], references: Sequence[float], every: Sequence[float]) -> None:
    """From a little below all that matters to a little above everything."""
    bottom = 100 * max(min(every), min([*references, min(finals) - _SHOWN_BELOW / 100]))
    top = 100 * max(every)
    margin = 0.06 * max(top - bottom, 1.0)
    ax.set_ylim(bottom - margin, top + margin)


def _finish(figure: Figure, ax: Axes, theme: Theme) -> None:
    ax.set_title("test accuracy, %", loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.grid(color=theme.grid, linewidth=0.6)
    legend = figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=TEXT, labelcolor=theme.ink)
    for text in legend.get_texts():
        text.set_parse_math(False)
    fitted(figure, below=legend)


def _diamond(colour: str, theme: Theme) -> dict[str, Any]:  # keywords of matplotlib
    return {
        "linestyle": "",
        "marker": "D",
        "markersize": 6,
        "color": colour,
        "markerfacecolor": theme.surface,
        "markeredgewidth": 1.6,
    }


def _percent(values: Sequence[float]) -> list[float]:
    return [100 * value for value in values]


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [100 * y for _, y in points]
