"""Empty figures and axes in the house style, and figures turned into files. No global state of matplotlib is kept."""

import io
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spikewise.files import write_bytes
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["TEXT", "Margins", "axes", "label", "new_figure", "quiet_fonts", "save_figure", "style"]

TEXT = 8.5
"""Font size in points, for figures about 4.6 inches wide."""
WIDTH = 4.6


class Margins(NamedTuple):
    """Room around the axes, in inches. Measuring it instead (matplotlib's default) doubles the time to draw."""

    left: float
    right: float
    top: float = 0.25
    bottom: float = 0.4


def new_figure(height: float, *, width: float = WIDTH, margins: Margins | None = None, theme: Theme = LIGHT) -> Figure:
    """An empty figure of that size in inches, drawn by Agg; without `margins` they are measured."""
    figure = Figure(figsize=(width, height), layout=None if margins else "constrained", facecolor=theme.surface)
    FigureCanvasAgg(figure)
    if margins is not None:
        figure.subplots_adjust(
            left=margins.left / width,
            right=1 - margins.right / width,
            top=1 - margins.top / height,
            bottom=margins.bottom / height,
        )
    return figure


def axes(figure: Figure, rows: int = 1, *, heights: Sequence[float] | None = None, theme: Theme = LIGHT) -> list[Axes]:
    """Axes under one another that share the horizontal axis."""
    ratios = None if heights is None else list(heights)
    gap = {"hspace": 0.3} if figure.get_layout_engine() is None else None
    grid = figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=ratios, gridspec_kw=gap)
    return [style(ax, theme=theme) for ax in grid[:, 0]]


def style(ax: Axes, *, theme: Theme = LIGHT) -> Axes:
    """Hairlines only where they help to read a value."""
    ax.set_facecolor("none")
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(theme.grid)
    ax.tick_params(colors=theme.muted, labelsize=TEXT, length=0)
    ax.xaxis.label.set(color=theme.muted, size=TEXT)
    ax.yaxis.label.set(color=theme.muted, size=TEXT)
    ax.set_axisbelow(True)
    return ax


def label(text: str, limit: int = 24) -> str:
    """A name as a figure can carry it: no control characters, on one line, no longer than `limit`."""
    clean = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    clean = " ".join(clean.split()) or "?"
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """Write text as text, and do not warn about letters the measuring font lacks: the reader's font has them."""
    with warnings.catch_warnings(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spikewise"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


def save_figure(figure: Figure, path: Path, *, dots_per_inch: int = 200) -> None:
    """Write a figure whole or not at all; the suffix says how (.png, .svg, .pdf)."""
    content = io.BytesIO()
    with quiet_fonts():
        figure.savefig(content, format=path.suffix.lstrip(".").lower() or "png", dpi=dots_per_inch)
    write_bytes(path, content.getvalue())
