"""A figure of what a converted network is worth in few and in many steps."""

from collections.abc import Mapping, Sequence
from math import nan

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["accuracy_after_conversion"]

_Point = tuple[float, float | None, float | None]
_MARKERS = ("o", "D", "s")


def accuracy_after_conversion(
    ways: Mapping[str, Mapping[int, _Point]], references: Mapping[str, float], *, theme: Theme = LIGHT
) -> Figure:
    """Accuracy against the steps on a logarithmic axis, with intervals.

    Args:
        ways: for each way to convert accuracy and the ends of its interval (shares of 1), by steps to the answer.
        references: accuracy of other networks; horizontal lines.
    """
    figure = new_figure(3.0, theme=theme)
    ax = axes(figure, theme=theme)[0]
    for position, (name, points) in enumerate(ways.items()):
        steps, colour = sorted(points), theme.colour(position)
        shown = [points[t][0] for t in steps]
        below, above = (_lengths(points, steps, end) for end in (1, 2))
        ax.errorbar(steps, [100 * one for one in shown], yerr=[below, above], color=colour, capsize=2.5, linewidth=1.4,
                    marker=_MARKERS[position % 3], markersize=4, label=label(name))  # fmt: skip
    for position, (name, accuracy) in enumerate(references.items()):
        style, colour = ("--", ":")[position % 2], theme.colour(len(ways) + position)
        ax.axhline(100 * accuracy, linestyle=style, color=colour, linewidth=1.4, label=label(name))
    every = sorted({t for points in ways.values() for t in points})
    ax.set(xscale="log", xlabel="steps from the image to the answer")
    ax.set_title("test accuracy, %", loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.xaxis.set_major_locator(FixedLocator(every))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:g}"))
    ax.grid(color=theme.grid, linewidth=0.6)
    legend = figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=TEXT, labelcolor=theme.ink)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return fitted(figure, below=legend)


def _lengths(points: Mapping[int, _Point], steps: Sequence[int], end: int) -> list[float]:
    """From each point to an end of its interval, in percentage points."""
    ends = ((points[t][0], points[t][end]) for t in steps)
    return [nan if one is None else 100 * abs(one - mean) for mean, one in ends]
