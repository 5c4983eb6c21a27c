"""Figures of training and of its results: learning curves, confusion matrices, cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.evaluation.units import unit_of
from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["confusion_matrix", "cost_bars", "learning_curves", "mean_and_range"]

_DASHES = ("-", "--", "-.", ":")
_GAP = 0.3
"""Inches between panels with a title."""
_NAMED = 24
"""Classes up to which each row of a confusion matrix is named and numbered."""


def mean_and_range(runs: Sequence[Sequence[float | None]]) -> tuple[NDArray[np.float64], ...]:
    """Mean, lowest and highest value at each epoch, over the runs that got so far; nan where none has a value."""
    longest = max((len(run) for run in runs), default=0)
    table = np.full((len(runs), longest), np.nan)
    for row, run in zip(table, runs, strict=True):
        row[: len(run)] = [np.nan if value is None else value for value in run]
    known = ~np.isnan(table)
    count = known.sum(0)
    mean = np.divide(np.where(known, table, 0).sum(0), count, out=np.full(longest, np.nan), where=count > 0)
    low = np.where(count > 0, np.where(known, table, np.inf).min(0, initial=np.inf), np.nan)
    high = np.where(count > 0, np.where(known, table, -np.inf).max(0, initial=-np.inf), np.nan)
    return mean, low, high


def learning_curves(
    runs: Mapping[str, Sequence[Sequence[float | None]]],
    *,
    ylabel: str,
    percent: bool = False,
    colours: Mapping[str, str] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """One line for each network: the mean over its seeds, in a band from the lowest to the highest seed.

    Args:
        runs: For each network and seed the value after epochs 1, 2, ...; None is a gap.
        percent: Values are shares of 1, to be read in percent.
    """
    figure = new_figure(2.6, theme=theme)
    ax = axes(figure, theme=theme)[0]
    colours = colours or {name: theme.colour(position) for position, name in enumerate(runs)}
    for position, (name, seeds) in enumerate(runs.items()):
        mean, low, high = (100 * part if percent else part for part in mean_and_range(seeds))
        epochs, colour = np.arange(1, len(mean) + 1), colours[name]
        ax.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
        line = ax.plot(epochs, mean, _DASHES[position % 4], color=colour, linewidth=1.8, label=label(name))[0]
        line.set(gid=f"mean-{position}", marker="o" if len(mean) == 1 else "")
    ax.set_title(ylabel, loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.set_xlabel("epoch")
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if all(len(one) == 1 for seeds in runs.values() for one in seeds):  # no axis has a whole number of parts there
        ax.set(xlim=(0.5, 1.5), xticks=[1])
    _legend(ax, theme)
    return fitted(figure)


def confusion_matrix(
    counts: Int[np.ndarray, "K K"], classes: Sequence[str], *, colour: str | None = None, theme: Theme = LIGHT
) -> Figure:
    """Share of each true class (row) that got each answer (column); with up to 24 classes the counts are written in."""
    K = len(classes)
    if counts.shape != (K, K):
        raise ShapeError(f"A confusion matrix of {K} classes is [{K}, {K}]; got {counts.shape}.")
    named = K <= _NAMED
    figure = new_figure(4.4, theme=theme)
    ax = axes(figure, theme=theme)[0]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    rows, columns = np.nonzero(counts)
    cells = [Rectangle((c + 0.04, r + 0.04), 0.92, 0.92) for r, c in zip(rows, columns, strict=True)]
    tints = [(colour or theme.series[0], 0.08 + 0.92 * float(share[r, c])) for r, c in zip(rows, columns, strict=True)]
    ax.add_collection(PatchCollection(cells, facecolor=tints, edgecolor="none", linewidth=0))
    for r, c in zip(rows, columns, strict=True) if named else ():
        ink = theme.surface if share[r, c] > 0.55 else theme.ink
        ax.text(c + 0.5, r + 0.5, f"{counts[r, c]}", ha="center", va="center", size=min(TEXT, 95 / K), color=ink)
    ax.set(xlim=(0, K), ylim=(K, 0), aspect="equal", xlabel="answer", ylabel="true class")
    room = max(12, 34 // max(K, 1))  # letters of a name: few classes have more
    ticks, names = np.arange(K) + 0.5, [label(name, room) for name in classes]
    size = min(TEXT, 120 / K) if named else 4.5
    turned = named and max(map(len, names)) * K > 50
    ax.set_xticks(ticks, names, rotation=45 if turned else (0 if named else 90), ha="right" if turned else "center",
                  size=size, parse_math=False)  # fmt: skip
    ax.set_yticks(ticks, names, size=size, parse_math=False)
    return fitted(figure)


def cost_bars(
    costs: Mapping[str, Mapping[str, float]],
    *,
    units: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """One panel for each quantity, one bar from zero for each network, with its figure in a unit that all share.

    Args:
        costs: For each quantity the value of each network, in a unit without a prefix.
        units: The symbol of that unit, such as J; "" for plain numbers.
    """
    networks = dict.fromkeys(name for values in costs.values() for name in values)
    colours = colours or {name: theme.colour(position) for position, name in enumerate(networks)}
    heights = [0.35 + 0.27 * len(values) for values in costs.values()]
    figure = new_figure(sum(heights) + 0.1, theme=theme)
    panels = figure.subplots(len(costs), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (quantity, values) in zip(panels, costs.items(), strict=True):
        top = max([*values.values(), 1e-30])
        symbol = (units or {}).get(quantity, "")
        unit = unit_of(values.values(), symbol)
        for y, (name, value) in enumerate(values.items()):
            ax.barh(y, value, height=0.62, color=colours[name])
            ax.text(
                value + 0.015 * top,
                y,
                unit.text(value) if symbol else _brief(value),
                va="center",
                size=TEXT,
                color=theme.ink,
            )
        _plain_panel(ax, quantity, [label(name, 16) for name in values], theme)
        ax.set_xlim(0, 1.3 * top)  # room for the longest figure
    return fitted(figure, gap=_GAP)


def _brief(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _plain_panel(ax: Axes, title: str, names: Sequence[str], theme: Theme) -> None:
    ax.set_facecolor("none")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(label(title, 60), loc="left", y=1.0, size=TEXT, color=theme.muted, parse_math=False)
    ax.set_yticks(range(len(names)), names, size=TEXT, color=theme.ink, parse_math=False)
    ax.set(xticks=[], ylim=(len(names) - 0.5, -0.5))
    ax.tick_params(length=0)


def _legend(ax: Axes, theme: Theme) -> None:
    legend = ax.legend(frameon=False, fontsize=TEXT, labelcolor=theme.ink, handlelength=2.2)
    for text in legend.get_texts():
        text.set_parse_math(False)
