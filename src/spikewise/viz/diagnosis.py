"""Figures of what goes on inside a network while it learns."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["gradients_over_time"]

_DASHES = ("-", "--", "-.", ":")


def gradients_over_time(layers: Mapping[str, Sequence[float]], *, theme: Theme = LIGHT) -> Figure:
    """The gradient that reaches each layer's membranes at each time step, on a logarithmic scale.

    Args:
        layers: for each layer the norm at steps 1, 2, ...; zeros are left out.
    """
    figure = new_figure(2.6, theme=theme)
    ax = axes(figure, theme=theme)[0]
    for position, (name, norms) in enumerate(layers.items()):
        values = np.array(norms, dtype=np.float64)
        steps = np.arange(1, len(values) + 1)
        ax.plot(
            steps,
            np.where(values > 0, values, np.nan),
            _DASHES[position % len(_DASHES)],
            color=theme.colour(position),
            linewidth=1.8,
            marker="o" if len(values) <= 30 else "",
            markersize=2.5,
            label=label(name),
        )
    if any(value > 0 for norms in layers.values() for value in norms):
        ax.set_yscale("log")
    ax.set_title("gradient at the membranes", loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.set_xlabel("time step")
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    ax.minorticks_off()
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if layers:
        ax.legend(loc="best", frameon=False, fontsize=TEXT, labelcolor=theme.ink)
    return fitted(figure)
