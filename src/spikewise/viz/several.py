"""The figure of several runs: what spikes gain in accuracy, and what they cost, against each opponent."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["Gain", "gain_against_cost"]

_MARKERS = ("s", "^", "D", "v", "P", "X")
_WIDTH, _HEIGHT = 4.2, 3.4
_ROOM = 1.6
"""Factor between the outermost ratio and the edge."""


class Gain(NamedTuple):
    """A spiking network against one opponent of its run."""

    run: str
    opponent: str
    ratio: float
    """Its energy, over the opponent's."""
    points: float
    """Its accuracy minus the opponent's, in percentage points."""
    low: float | None
    high: float | None


def gain_against_cost(gains: Sequence[Gain], *, theme: Theme = LIGHT) -> Figure:
    """Difference in accuracy against ratio of energies, a colour for each run, a mark for each kind of opponent.

    Above the dashed line the spiking network is more accurate, left of the upright one it costs less.
    """
    figure = new_figure(_HEIGHT, width=_WIDTH, theme=theme)
    ax = axes(figure, theme=theme)[0]
    runs = list(dict.fromkeys(one.run for one in gains))
    opponents = list(dict.fromkeys(one.opponent for one in gains))
    ax.axhline(0, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.axvline(1, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
    for one in gains:
        colour, marker = theme.colour(runs.index(one.run)), _MARKERS[opponents.index(one.opponent) % len(_MARKERS)]
        if one.low is not None and one.high is not None:
            ax.plot([one.ratio] * 2, [one.low, one.high], color=colour, linewidth=1.3)
        ax.plot(one.ratio, one.points, marker, color=colour, markersize=5.5, gid="gain")
    ratios = [1.0, *(one.ratio for one in gains)]
    ax.set(xscale="log", xlim=(min(ratios) / _ROOM, max(ratios) * _ROOM))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(ratios) / min(ratios) < 30 else (1,)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}×"))
    ax.set_title("spiking network − opponent, points of accuracy", loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.set_xlabel("energy of the spiking network, over the opponent's")
    ax.grid(color=theme.grid, linewidth=0.6)
    handles = [ax.plot([], [], "o", color=theme.colour(at), markersize=5.5)[0] for at, _ in enumerate(runs)]
    handles += [ax.plot([], [], _MARKERS[at % len(_MARKERS)], color=theme.muted, markersize=5.5)[0]
                for at, _ in enumerate(opponents)]  # fmt: skip
    names = [label(run, 34) for run in runs] + [label(opponent, 34) for opponent in opponents]
    legend = figure.legend(handles, names, loc="lower left", ncols=2 if len(names) > 3 else 1, frameon=False,
                           fontsize=TEXT - 0.5, labelcolor=theme.ink, columnspacing=1.2, handletextpad=0.5)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return fitted(figure, below=legend)
