"""The reliability diagram."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["reliability_diagram"]

Point = tuple[float, float, float, float]
_MARKERS = ("o", "s", "^", "D", "v")


def reliability_diagram(
    networks: Mapping[str, Sequence[Point]],
    *,
    title: str,
    colours: Mapping[str, str] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Accuracy against confidence; a network that knows how sure it may be lies on the dashed diagonal.

    Args:
        networks: for each network points of confidence, accuracy, and the ends of its interval (shares of 1).
    """
    figure = new_figure(3.4, theme=theme)
    ax = axes(figure, theme=theme)[0]
    colours = colours or {name: theme.colour(position) for position, name in enumerate(networks)}
    lowest = min((min(c, low) for points in networks.values() for c, _, low, _ in points), default=0.0)
    ax.plot([0, 100], [0, 100], "--", color=theme.muted, linewidth=1)
    for position, (name, points) in enumerate(networks.items()):
        confidence = [100 * c for c, *_ in points]
        accuracy = [100 * a for _, a, *_ in points]
        ends = [
            [100 * max(0.0, a - low) for _, a, low, _ in points],
            [100 * max(0.0, high - a) for _, a, _, high in points],
        ]
        ax.errorbar(
            confidence,
            accuracy,
            ends,
            marker=_MARKERS[position % len(_MARKERS)],
            markersize=3.5,
            linewidth=1.4,
            elinewidth=0.8,
            color=colours[name],
            label=label(name),
        )
    ax.set(xlim=(100 * lowest - 2, 102), ylim=(100 * lowest - 2, 102), xlabel="confidence, %", ylabel="accuracy, %")
    ax.set_title(title, loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.grid(color=theme.grid, linewidth=0.6)
    ax.legend(loc="lower right", frameon=False, fontsize=TEXT, labelcolor=theme.ink)
    return fitted(figure)
