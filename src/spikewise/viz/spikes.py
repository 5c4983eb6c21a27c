"""Figures of spikes: rasters, firing rates, and what the output neurons do with what they receive."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.viz.canvas import TEXT, Margins, axes, fitted, label, new_figure
from spikewise.viz.stack import Panel, stacked
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["OutputTrace", "evidence_over_time", "is_spikes", "membrane_traces", "raster", "sampled_rows", "spike_rates"]


def is_spikes(encoded: Num[np.ndarray, "*any"]) -> bool:
    """Whether an encoded input consists of spikes or signed events, not of currents."""
    return bool(np.isin(encoded, (-1, 0, 1)).all())


def sampled_rows(count: int, limit: int) -> Int[np.ndarray, " R"]:
    """At most `limit` evenly spread positions among `count`, all of them if they fit."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def raster(
    trains: Mapping[str, Num[np.ndarray, "T F"]],
    *,
    theme: Theme = LIGHT,
    limit: int = 160,
    counts: Mapping[str, int] | None = None,
) -> Figure:
    """One panel for each group of neurons: a dash for each spike, time to the right.

    Args:
        trains: Spikes by the name of the group; where they are signed, negative events have a colour of their own.
        limit: Rows to draw of each group; of larger groups an even sample is drawn.
        counts: Neurons of the groups of which `trains` holds a sample only.
    """
    if not trains or any(spikes.ndim != 2 for spikes in trains.values()):
        raise ShapeError(f"A raster needs spikes [T, F]; got {[spikes.shape for spikes in trains.values()]}.")
    heights = [0.5 + min(spikes.shape[1], limit) / 90 for spikes in trains.values()]
    figure = new_figure(sum(heights) + 0.3 * len(heights) + 0.4, margins=Margins(0.1, 0.1), theme=theme)
    panels = stacked(figure, heights, theme=theme)
    _time_axis(panels[0].ax, len(next(iter(trains.values()))))
    for panel, (name, spikes) in zip(panels, trains.items(), strict=True):
        rows = sampled_rows(spikes.shape[1], limit)
        _dashes(panel, spikes[:, rows] > 0, colour=theme.series[0], gid="spikes")
        if (spikes < 0).any():
            _dashes(panel, spikes[:, rows] < 0, colour=theme.series[1], gid="negative")
        count = (counts or {}).get(name, spikes.shape[1])
        shown = f"{count}" if len(rows) == count else f"{len(rows)} of {count}"
        panel.title(label(name, 40), size=TEXT, color=theme.ink)
        panel.title(f"{shown} neurons", right=True, size=TEXT, color=theme.muted)
    return figure


class OutputTrace(NamedTuple):
    """What one output neuron did."""

    name: str
    membrane: Float[np.ndarray, " T"]
    spikes: Num[np.ndarray, " T"] | None
    role: str
    """Why it is shown: "answer", "true class", "runner-up"."""


def membrane_traces(
    received: Num[np.ndarray, "T F"] | None,
    outputs: Sequence[OutputTrace],
    *,
    threshold: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Spikes that arrive at the output layer, then membrane, threshold and spikes of some output neurons.

    Args:
        received: Spikes of the layer before; None where it does not spike.
    """
    top = [] if received is None else [0.9]
    figure = new_figure(0.65 + 1.1 * (len(top) + len(outputs)), margins=Margins(1.25, 0.1), theme=theme)
    panels = stacked(figure, top + [0.85] * len(outputs), theme=theme)
    _time_axis(panels[0].ax, len(outputs[0].membrane))
    if received is not None:
        rows = sampled_rows(received.shape[1], 128)
        _dashes(panels[0], received[:, rows] > 0, colour=theme.muted, gid="received")
        panels[0].title("spikes of the layer before", size=TEXT, color=theme.muted)
    ends = _common_range([trace.membrane for trace in outputs], threshold)
    for panel, (position, trace) in zip(panels[len(top) :], enumerate(outputs), strict=True):
        _membrane(panel, trace, ends, threshold, theme.colour(position))
    return figure


def evidence_over_time(
    evidence: Float[np.ndarray, "T K"], classes: Sequence[str], shown: Sequence[int], *, theme: Theme = LIGHT
) -> Figure:
    """The readout's sum up to each step: the classes in `shown` in colour and named, the others grey."""
    figure = new_figure(2.6, theme=theme)
    ax = axes(figure, theme=theme)[0]
    steps = np.arange(1, len(evidence) + 1)
    for k in range(evidence.shape[1]):
        if k not in shown:
            ax.plot(steps, evidence[:, k], color=theme.grid, linewidth=0.8)
    for position, k in enumerate(shown):
        dashes = ("-", "--", "-.", ":")[position % 4]
        ax.plot(steps, evidence[:, k], dashes, color=theme.colour(position), linewidth=1.8, gid=f"evidence-{k}")
    ends = _spread([float(evidence[-1, k]) for k in shown], ax.get_ylim())
    for position, (k, y) in enumerate(zip(shown, ends, strict=True)):
        ax.annotate(
            label(classes[k], 16), (1.01, y), xycoords=("axes fraction", "data"), annotation_clip=False,
            color=theme.colour(position), size=TEXT, va="center", parse_math=False,
        )  # fmt: skip
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    _time_axis(ax, len(evidence))
    return fitted(figure)


def spike_rates(
    rates: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    colours: Mapping[str, str] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Spikes per neuron and step: a bar for each layer of each network (mean), a dot for each seed."""
    rows = [(network, layer, list(seeds)) for network, layers in rates.items() for layer, seeds in layers.items()]
    figure = new_figure(0.6 + 0.3 * len(rows), theme=theme)
    ax = axes(figure, theme=theme)[0]
    colours = colours or {network: theme.colour(position) for position, network in enumerate(rates)}
    many = len(rates) > 1
    for y, (network, _, seeds) in enumerate(rows):
        ax.barh(y, float(np.mean(seeds)), height=0.6, color=colours[network])
        ax.plot(seeds, [y] * len(seeds), "o", color=theme.ink, markersize=2.5)
    names = [label(f"{network} · {layer}" if many else layer, 22) for network, layer, _ in rows]
    ax.set_yticks(range(len(rows)), names, parse_math=False)
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel="spikes per neuron and step")
    ax.set_xlim(0, max([max(seeds, default=0) for *_, seeds in rows] + [0.01]) * 1.1)
    ax.grid(axis="x", color=theme.grid, linewidth=0.6)
    return fitted(figure)


def _dashes(panel: Panel, spikes: Bool[np.ndarray, "T R"], *, colour: str, gid: str) -> None:
    """Draw spikes as one path of upright dashes, the first row on top: a thousand of them cost one element."""
    at, row = np.nonzero(spikes)
    at = at + 1  # steps count from 1
    width = float(np.clip(100 / max(len(spikes), 1), 0.8, 4.5))
    points = np.stack([np.stack([at, row + 0.1], 1), np.stack([at, row + 0.9], 1)], 1).reshape(-1, 2)
    codes = np.tile([Outline.MOVETO, Outline.LINETO], len(at))
    outline = Outline(points, codes) if len(at) else Outline(np.zeros((0, 2)))
    dashes = PathPatch(outline, fill=False, edgecolor=colour, linewidth=width, capstyle="butt", gid=gid,
                       transform=panel.scale(spikes.shape[1], 0))  # fmt: skip
    panel.ax.add_artist(dashes)  # `add_patch` would look where each dash ends, to fit axes whose ends are known


def _membrane(
    panel: Panel, trace: OutputTrace, ends: tuple[float, float], threshold: float | None, colour: str
) -> None:
    ax, theme, steps = panel.ax, panel.theme, np.arange(1, len(trace.membrane) + 1)
    place = panel.scale(*ends)
    ax.plot(steps, trace.membrane, color=colour, linewidth=1.6, gid="membrane", marker="o" if len(steps) <= 30 else "",
            markersize=1.6, transform=place)  # fmt: skip
    if threshold is not None:
        ax.plot(ax.get_xlim(), [threshold] * 2, color=theme.muted, linewidth=0.8, linestyle=(0, (4, 3)),
                gid="threshold", transform=place)  # fmt: skip
    if trace.spikes is not None and np.any(trace.spikes):
        when = steps[np.nonzero(trace.spikes)[0]]
        ax.plot(when, [panel.top] * len(when), "|", color=theme.ink, markersize=8, markeredgewidth=1.6, clip_on=False,
                gid="output")  # fmt: skip
    panel.name(label(trace.name, 12), colour)
    panel.title(trace.role, right=True, pad=7, size=TEXT - 0.5, color=theme.muted)
    panel.marks(*ends)


def _common_range(traces: Sequence[NDArray[np.floating]], threshold: float | None) -> tuple[float, float]:
    values = [float(x) for trace in traces for x in (trace.min(), trace.max())] + (
        [] if threshold is None else [threshold]
    )
    margin = 0.08 * (max(values) - min(values) or 1.0)
    return min(values) - margin, max(values) + margin


def _spread(values: Sequence[float], limits: tuple[float, float]) -> list[float]:
    """Heights for labels: the values, pushed apart where they would touch."""
    gap = 0.085 * (limits[1] - limits[0])
    heights = list(values)
    order = sorted(range(len(values)), key=lambda k: values[k])
    for below, above in pairwise(order):
        heights[above] = max(heights[above], heights[below] + gap)
    return heights


def _time_axis(ax: Axes, steps: int) -> None:
    ax.set_xlim(0.4, steps + 0.6)
    ax.set_xlabel("time step")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
