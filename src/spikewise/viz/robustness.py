"""Small figures of accuracy against the strength of a disturbance."""

from collections.abc import Mapping, Sequence
from math import nan

from matplotlib.figure import Figure

from spikewise.viz.canvas import TEXT, Margins, new_figure, style
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["robustness_curve"]

Point = tuple[float, float | None, float | None]
_WIDTH, _HEIGHT = 1.9, 1.6
_ROOM = 16
"""Letters that fit below the axis; with more, only the first, middle and last strength are named."""
_MARKERS = ("o", "s", "^", "D", "v")


def robustness_curve(
    networks: Mapping[str, Sequence[Point]],
    strengths: Sequence[str],
    *,
    words: tuple[str, str],
    chance: float | None = None,
    colours: Mapping[str, str] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Accuracy at each strength, evenly spaced, in a band from the lower to the upper end of its interval.

    Args:
        networks: for each network points of accuracy and the ends of its interval (shares of 1; None is no interval).
        strengths: what stands below each point.
        words: the title, and what the strengths are.
        chance: accuracy of guessing, drawn as a dashed line.
    """
    figure = new_figure(_HEIGHT, width=_WIDTH, margins=Margins(0.32, 0.1, 0.25, 0.45), theme=theme)
    ax = style(figure.subplots(), theme=theme)
    colours = colours or {name: theme.colour(position) for position, name in enumerate(networks)}
    if chance is not None:
        ax.axhline(100 * chance, linestyle="--", color=theme.muted, linewidth=0.8)
    for position, (name, points) in enumerate(networks.items()):
        places = range(len(points))
        low = [nan if end is None else 100 * end for _, end, _ in points]
        high = [nan if end is None else 100 * end for _, _, end in points]
        ax.fill_between(places, low, high, color=colours[name], alpha=0.15, linewidth=0)
        accuracy = [100 * a for a, *_ in points]
        marker = _MARKERS[position % len(_MARKERS)]
        ax.plot(places, accuracy, marker=marker, markersize=2.8, linewidth=1.3, color=colours[name])
    ax.set(ylim=(0, 104), xlim=(-0.25, len(strengths) - 0.75), yticks=[0, 50, 100])
    ax.set_xticks(range(len(strengths)), _fitting(strengths), color=theme.muted)
    ax.set_xlabel(words[1])
    ax.xaxis.label.set_fontsize(TEXT - 1)
    ax.tick_params(labelsize=TEXT - 1)
    ax.set_title(words[0], loc="left", y=1.0, size=TEXT, color=theme.ink, pad=4)
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    return figure


def _fitting(strengths: Sequence[str]) -> Sequence[str]:
    if sum(map(len, strengths)) <= _ROOM:
        return strengths
    named = {0, len(strengths) // 2, len(strengths) - 1}
    return [strength if at in named else "" for at, strength in enumerate(strengths)]
