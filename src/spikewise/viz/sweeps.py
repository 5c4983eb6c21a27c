"""Figures of sweeps: bars per configuration, boxes per factor, paired differences, curves against a number."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spikewise.evaluation import Estimate
from spikewise.viz.canvas import TEXT, Margins, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["BAR_NAME", "Bar", "Point", "configuration_bars", "difference_forest", "factor_boxes", "metric_curve"]

BAR_NAME = 76
"""Letters of a configuration's name that there is room for."""
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D")


class Bar(NamedTuple):
    """One configuration: what it is, its value for each seed, and whether it was chosen."""

    name: str
    values: Sequence[float]
    chosen: bool = False


class Point(NamedTuple):
    """One place on a curve."""

    x: float
    estimate: Estimate


def configuration_bars(bars: Sequence[Bar], *, xlabel: str, scale: float = 1.0, theme: Theme = LIGHT) -> Figure:
    """A bar for each configuration (mean over seeds), a dot for each seed; the chosen one in another colour.

    Args:
        scale: Factor from values to the axis, such as 100 for percent.
    """
    longest = max((len(bar.name) for bar in bars), default=0)
    left = min(0.2 + 0.062 * min(longest, BAR_NAME), 4.6)
    figure = new_figure(0.7 + 0.19 * max(len(bars), 1), width=left + 3.2, margins=Margins(left, 0.25, 0.2), theme=theme)
    ax = axes(figure, theme=theme)[0]
    for y, bar in enumerate(bars):
        values = scale * np.asarray(bar.values)
        ax.barh(y, values.mean(), height=0.66, color=theme.series[1] if bar.chosen else theme.series[0])
        if len(values) > 1:
            ax.plot(values, [y] * len(values), "o", color=theme.ink, markersize=2.0)
    ax.set_yticks(range(len(bars)), [label(bar.name, BAR_NAME) for bar in bars], size=TEXT - 1.5, parse_math=False)
    ax.set(ylim=(len(bars) - 0.4, -0.6), xlabel=xlabel)
    everything = [scale * value for bar in bars for value in bar.values]
    if everything and min(everything) >= 0:
        ax.set_xlim(0, max([*everything, 1e-9]) * 1.04)
    ax.grid(axis="x", color=theme.grid, linewidth=0.6)
    return figure


def factor_boxes(
    factors: Mapping[str, Mapping[str, Sequence[float]]], *, xlabel: str, scale: float = 1.0, theme: Theme = LIGHT
) -> Figure:
    """A panel for each factor, a box for each of its levels: median, quartiles, range to 1.5 quartile distances.

    Levels are not matched here: other factors differ within each box.
    """
    heights = [0.28 + 0.27 * len(levels) for levels in factors.values()]
    figure = new_figure(sum(heights) + 0.75, theme=theme)
    panels = axes(figure, len(factors), heights=heights, theme=theme)
    for ax, (factor, levels) in zip(panels, factors.items(), strict=True):
        for y, values in enumerate(levels.values()):
            _box(ax, y, scale * np.asarray(values, dtype=np.float64), theme)
        ax.set_yticks(range(len(levels)), [label(name, 20) for name in levels], parse_math=False)
        ax.set_ylim(len(levels) - 0.5, -0.5)
        ax.set_title(label(factor, 40), loc="left", y=1.0, size=TEXT, color=theme.ink, parse_math=False)
        ax.grid(axis="x", color=theme.grid, linewidth=0.6)
    panels[-1].set_xlabel(xlabel)
    return fitted(figure, gap=0.3)


def _box(ax: Axes, y: int, values: NDArray[np.float64], theme: Theme) -> None:
    """Median, quartiles, and a line to the furthest values within 1.5 quartile distances; dots beyond."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    outside = values[(values < low - reach) | (values > high + reach)]
    ax.plot([inside.min(), inside.max()], [y, y], color=theme.ink, linewidth=0.9)
    ax.barh(y, high - low, left=low, height=0.6, color=theme.grid, edgecolor=theme.ink, linewidth=0.9)
    ax.plot([middle, middle], [y - 0.3, y + 0.3], color=theme.series[1], linewidth=2.0)
    ax.plot(outside, [y] * len(outside), "o", markersize=2.2, color=theme.muted)


def difference_forest(
    rows: Sequence[tuple[str, Estimate]], *, xlabel: str, scale: float = 1.0, theme: Theme = LIGHT
) -> Figure:
    """A line for each paired difference: its mean and interval about zero; open where zero lies within."""
    longest = max((len(name) for name, _ in rows), default=0)
    left = 0.25 + 0.062 * min(longest, 60)
    figure = new_figure(
        0.75 + 0.24 * max(len(rows), 1), width=left + 3.2, margins=Margins(left, 0.25, 0.2), theme=theme
    )
    ax = axes(figure, theme=theme)[0]
    ax.axvline(0, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
    for y, (_, estimate) in enumerate(rows):
        low, high = estimate.low, estimate.high
        clear = low is not None and high is not None and (low > 0 or high < 0)
        if low is not None and high is not None:
            ax.plot([scale * low, scale * high], [y, y], color=theme.series[0], linewidth=1.8)
        face = theme.series[0] if clear else theme.surface
        ax.plot(scale * estimate.mean, y, "o", markersize=5.5, markerfacecolor=face, markeredgecolor=theme.series[0])
    ax.set_yticks(range(len(rows)), [label(name, 60) for name, _ in rows], size=TEXT - 0.5, parse_math=False)
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlabel=xlabel)
    ax.grid(axis="x", color=theme.grid, linewidth=0.6)
    return figure


def metric_curve(
    curves: Mapping[str, Sequence[Point]],
    *,
    xlabel: str,
    ylabel: str,
    scale: float = 1.0,
    theme: Theme = LIGHT,
) -> Figure:
    """A line for each network against a number, with intervals; the axis is logarithmic where the steps are."""
    figure = new_figure(2.9, margins=Margins(0.5, 0.15, 0.3, 0.45), theme=theme)
    ax = axes(figure, theme=theme)[0]
    for at, (name, unsorted) in enumerate(curves.items()):
        points = sorted(unsorted, key=lambda point: point.x)
        x, colour = [point.x for point in points], theme.colour(at)
        mean = [scale * point.estimate.mean for point in points]
        ax.plot(
            x,
            mean,
            _DASHES[at % 4],
            marker=_MARKERS[at % 4],
            markersize=4,
            color=colour,
            linewidth=1.8,
            label=label(name),
        )
        for point in points:
            if point.estimate.low is not None and point.estimate.high is not None:
                ends = [scale * point.estimate.low, scale * point.estimate.high]
                if scale == 100.0:  # a percentage: few seeds give intervals that reach beyond what can be
                    ends = [max(ends[0], 0.0), min(ends[1], 100.0)]
                ax.plot([point.x] * 2, ends, color=colour, linewidth=1.1, alpha=0.75)
    _scale_of([point.x for points in curves.values() for point in points], ax)
    ax.set_title(ylabel, loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink, parse_math=False)
    ax.set_xlabel(xlabel, parse_math=False)
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    if len(curves) > 1:
        legend = ax.legend(frameon=False, fontsize=TEXT, labelcolor=theme.ink, handlelength=2.6)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _scale_of(x: Sequence[float], ax: Axes) -> None:
    """Tick every value if they are few; logarithmic where the largest is ten times the smallest."""
    values = sorted(set(x))
    if values and values[0] > 0 and values[-1] / values[0] >= 10:
        ax.set_xscale("log")
    if len(values) <= 10:
        ax.set_xticks(values, [f"{value:,.4g}" if value < 10_000 else f"{value / 1000:,.0f}k" for value in values])
        ax.minorticks_off()
