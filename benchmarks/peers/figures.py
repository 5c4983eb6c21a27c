"""Scaling as figures: time on the left, memory on the right, one figure for each axis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from spikewise import viz
from spikewise.viz import LIGHT
from spikewise.viz.canvas import TEXT, fitted, new_figure, style

__all__ = ["draw"]

_TITLES = {
    "steps": "time steps T",
    "batch": "images in a batch",
    "width": "hidden neurons",
    "density": "input spikes per pixel and step",
}


def draw(axes: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Write `scaling-AXIS.svg` for each axis."""
    for axis, series in axes.items():
        figure = new_figure(2.7, width=7.2)
        panels = figure.subplots(1, 2)
        for ax, key, scale, title in zip(
            panels, ("seconds", "mb"), (1000, 1), ("training step, ms", "peak memory, MB"), strict=True
        ):
            _panel(style(ax), series, (key, scale), title)
            ax.set_xlabel(_TITLES[axis])
        handles, names = panels[0].get_legend_handles_labels()
        legend = figure.legend(
            handles, names, loc="lower center", ncols=3, frameon=False, fontsize=TEXT, labelcolor=LIGHT.ink
        )
        fitted(figure, gap=0.5, below=legend)
        path = folder / f"scaling-{axis}.svg"
        viz.save_figure(figure, path)
        yield path


def _panel(ax: Axes, series: dict[str, Any], what: tuple[str, float], title: str) -> None:
    key, scale = what
    for position, name in enumerate(name for name in series if name != "values"):
        points = [(x, y * scale) for x, y in zip(series["values"], series[name][key], strict=True) if y]
        if points:
            ax.plot(*zip(*points, strict=True), marker="o", markersize=3.5, color=LIGHT.colour(position), label=name)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(series["values"], [f"{value:g}" for value in series["values"]])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()
    ax.grid(visible=True, color=LIGHT.grid, linewidth=0.6)
    ax.set_title(title, loc="left", size=TEXT, color=LIGHT.muted)
