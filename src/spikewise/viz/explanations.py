"""Pictures and figures of what made a network answer as it did."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from spikewise.errors import ShapeError
from spikewise.viz.canvas import TEXT, Margins, axes, fitted, label, new_figure, style
from spikewise.viz.theme import DARK, LIGHT, Theme

__all__ = ["attribution_picture", "attributions", "certainty_over_time", "class_rates", "deletion_curves"]

_FAINT: Final = 0.5
"""The image under a map is dimmed to this share."""
_COLUMNS: Final = 3


def attribution_picture(
    image: UInt8[np.ndarray, "C H W"], values: Float[np.ndarray, "H W"], *, limit: int = 96
) -> Image.Image:
    """The dimmed image, its pixels tinted orange where they speak for the answer and blue where against it.

    The strongest value of the map has the full colour. Larger images than `limit` are shrunk.
    """
    if image.shape[1:] != values.shape:
        raise ShapeError(f"A map has the size of its image; got {values.shape} and {image.shape}.")
    strength = np.abs(values) / max(float(np.abs(values).max()), 1e-30)
    grey = image.mean(0, dtype=np.float64)[..., None] / 255 * _FAINT
    speaks_for, against = (np.array(to_rgb(DARK.series[k])) for k in (1, 0))
    tint = np.where(values[..., None] > 0, speaks_for, against)
    mixed = grey * (1 - strength[..., None]) + tint * strength[..., None]
    drawn = Image.fromarray(np.round(255 * mixed.clip(0, 1)).astype(np.uint8))
    if max(drawn.size) > limit:
        drawn.thumbnail((limit, limit), Image.Resampling.LANCZOS)
    return drawn


def attributions(
    image: UInt8[np.ndarray, "C H W"], maps: Mapping[str, Float[np.ndarray, "H W"]], *, theme: Theme = LIGHT
) -> Figure:
    """An image beside its maps, each under its name, as a file of its own."""
    count = 1 + len(maps)
    figure = new_figure(1.75, width=1.5 * count, margins=Margins(0.05, 0.05, 0.3, 0.05), theme=theme)
    panels = figure.subplots(1, count, squeeze=False)[0]
    grey = image.transpose(1, 2, 0) if len(image) == 3 else np.repeat(image.mean(0)[..., None], 3, 2).astype(np.uint8)
    largest = max(image.shape)
    pictures = {"image": grey} | {
        name: np.asarray(attribution_picture(image, values, limit=largest)) for name, values in maps.items()
    }
    for ax, (name, pixels) in zip(panels, pictures.items(), strict=True):
        ax.imshow(pixels, interpolation="nearest")
        ax.set_axis_off()
        ax.set_title(label(name, 26), y=1.0, size=TEXT - 1, color=theme.ink, parse_math=False)
    return figure


def deletion_curves(
    curves: Mapping[str, Sequence[float]], shares: Sequence[float], *, title: str, theme: Theme = LIGHT
) -> Figure:
    """Probability of the answer while pixels are made black, one line for each order in which they are.

    Args:
        curves: by the name of the order; those that begin with "random" or "brightest" are grey.
    """
    figure = new_figure(3.3, margins=Margins(0.5, 0.1, 0.3, 1.0), theme=theme)
    ax = axes(figure, theme=theme)[0]
    methods = list(dict.fromkeys(name.rpartition(", ")[0] for name in curves if ", " in name))
    for name, values in curves.items():
        method, _, order = name.rpartition(", ")
        colour = theme.colour(methods.index(method)) if method else theme.muted
        dashes = "--" if order in ("bottom first", "brightest first") else "-"
        ax.plot([100 * x for x in shares], [100 * y for y in values], dashes, color=colour, linewidth=1.6, label=name)
    ax.set(xlim=(0, 100), ylim=(0, None), xlabel="black pixels, %")
    ax.set_title(label(title, 60), loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink, parse_math=False)
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.46, -0.2), ncol=2, frameon=False, fontsize=TEXT, labelcolor=theme.ink
    )
    return figure


def class_rates(rates: Float[np.ndarray, "K F"], classes: Sequence[str], *, title: str, theme: Theme = LIGHT) -> Figure:
    """Mean spike rate of each neuron (column) for the images of each class (row); the fuller the colour, the more.

    Neurons are ordered by the class they answer to most.
    """
    order = np.lexsort((-rates.max(0), rates.argmax(0)))
    top = max(float(rates.max()), 1e-12)
    picture = np.empty((*rates.shape, 4))
    picture[..., :3] = to_rgb(theme.series[0])
    picture[..., 3] = rates[:, order] / top
    rows = len(classes)
    figure = new_figure(0.75 + min(3.6, 0.2 * rows), margins=Margins(1.0, 0.1, 0.3, 0.45), theme=theme)
    ax = axes(figure, theme=theme)[0]
    ax.imshow(picture, aspect="auto", interpolation="nearest")
    ax.set_yticks(range(rows), [label(name, 14) for name in classes], size=min(TEXT, 200 / rows), parse_math=False)
    ax.set_xlabel(f"{rates.shape[1]} neurons, by the class they answer to most")
    ax.set_xticks([])
    ax.set_title(label(title, 60), loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink, parse_math=False)
    return figure


def certainty_over_time(
    names: Sequence[str],
    sure: Float[np.ndarray, "S T"],
    attribution: Float[np.ndarray, "S T"],
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """For each image the probability of the answer after each step, over bars of what the step's input added to it.

    Args:
        names: title of each image.
        attribution: scaled to the largest of its image.
    """
    rows = -(-len(names) // _COLUMNS)
    figure = new_figure(0.4 + 1.35 * rows, theme=theme)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
    panels = [style(ax, theme=theme) for ax in grid.flat]
    for ax, name, line, bars in zip(panels, names, sure, attribution, strict=False):
        _course(ax, line, bars, theme)
        ax.set_title(label(name, 22), loc="left", y=1.0, size=TEXT - 0.5, color=theme.ink, parse_math=False)
    for ax in panels[len(names) :]:
        ax.set_axis_off()
    for ax in panels[max(0, len(names) - _COLUMNS) : len(names)]:
        ax.set_xlabel("time step")
        ax.tick_params(labelbottom=True)
    return fitted(figure, gap=0.3)


def _course(ax: Axes, line: Float[np.ndarray, " T"], bars: Float[np.ndarray, " T"], theme: Theme) -> None:
    steps = np.arange(1, len(line) + 1)
    scaled = 100 * bars / max(float(np.abs(bars).max()), 1e-30)
    ax.bar(steps, scaled, width=0.8, color=theme.series[1], alpha=0.45)
    ax.plot(steps, 100 * line, color=theme.series[0], linewidth=1.8)
    ax.grid(axis="y", color=theme.grid, linewidth=0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
