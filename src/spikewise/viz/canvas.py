"""Empty figures and axes in the house style, and figures turned into files. No global state of matplotlib is kept."""

import io
import pickle
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from spikewise.files import write_bytes
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["TEXT", "Margins", "axes", "figure_bytes", "fitted", "label", "new_figure", "quiet_fonts", "save_figure",
           "style", "with_legend"]  # fmt: skip

TEXT = 8.5
"""Font size in points, for figures about 4.6 inches wide."""
WIDTH = 4.6
_MILLIMETRES, _LINE = 25.4, 0.17
"""Of an inch; inches of a line of a legend."""
_EDGE = 0.04
"""Inches between what a figure holds and its edge."""


class Margins(NamedTuple):
    """Room around the axes, in inches; `fitted` measures it."""

    left: float
    right: float
    top: float = 0.25
    bottom: float = 0.4


def new_figure(height: float, *, width: float = WIDTH, margins: Margins | None = None, theme: Theme = LIGHT) -> Figure:
    """An empty figure of that size in inches, drawn by Agg; one without `margins` is to be `fitted` when all is in."""
    figure = Figure(figsize=(width, height), facecolor=theme.surface)
    FigureCanvasAgg(figure)
    _adjust(figure, margins or Margins(0.45, 0.1))
    return figure


def fitted(figure: Figure, *, gap: float = 0.1, below: Artist | None = None) -> Figure:
    """The figure with room for what stands around its axes, measured once; matplotlib's own way draws it three times.

    Args:
        gap: between axes beside and below one another, in inches.
        below: a legend at the lower edge, which the axes stay clear of.
    """
    renderer = cast(FigureCanvasAgg, figure.canvas).get_renderer()  # type: ignore[no-untyped-call]  # of matplotlib
    with quiet_fonts():
        room = 0.0 if below is None else below.get_window_extent(renderer).y1 / figure.dpi
        outer = Bbox.union([box for box in (ax.get_tightbbox(renderer) for ax in figure.axes) if box is not None])
    inner = Bbox.union([ax.get_window_extent(renderer) for ax in figure.axes])
    sides = [inner.x0 - outer.x0, outer.x1 - inner.x1, outer.y1 - inner.y1, inner.y0 - outer.y0]
    left, right, top, bottom = (max(side, 0) / figure.dpi + _EDGE for side in sides)
    _adjust(figure, Margins(left, right, top, bottom + room), gap)
    return figure


def _adjust(figure: Figure, margins: Margins, gap: float | None = None) -> None:
    width, height = figure.get_size_inches()
    inside = width - margins.left - margins.right, height - margins.top - margins.bottom
    figure.subplots_adjust(
        left=margins.left / width,
        right=1 - margins.right / width,
        top=1 - margins.top / height,
        bottom=margins.bottom / height,
    )
    grid = figure.axes[0].get_gridspec() if figure.axes else None
    if gap is not None and grid is not None:
        across, down = (  # in parts of the mean size of an axes
            gap * count / max(room - gap * (count - 1), gap)
            for room, count in zip(inside, (grid.ncols, grid.nrows), strict=True)
        )
        figure.subplots_adjust(wspace=across, hspace=down)


def axes(figure: Figure, rows: int = 1, *, heights: Sequence[float] | None = None, theme: Theme = LIGHT) -> list[Axes]:
    """Axes under one another that share the horizontal axis."""
    ratios = None if heights is None else list(heights)
    grid = figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=ratios, gridspec_kw={"hspace": 0.3})
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
    write_bytes(path, figure_bytes(figure, path.suffix.lstrip(".").lower() or "png", dots_per_inch=dots_per_inch))


def figure_bytes(figure: Figure, suffix: str, *, width_mm: float | None = None, dots_per_inch: int = 200) -> bytes:
    """The content of a file of a figure, the same each time; what was drawn once is not drawn again.

    Args:
        suffix: svg, pdf or png.
        width_mm: Its width in millimetres, letters and lines in proportion; None is the size it was drawn for.
    """
    drawn = _DRAWN.setdefault(figure, {})
    asked = (suffix, width_mm, dots_per_inch)
    if asked not in drawn:
        with _scaled(figure, width_mm), quiet_fonts():
            content = io.BytesIO()
            dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
            figure.savefig(content, format=suffix, dpi=dots_per_inch, metadata=dates)
            drawn[asked] = content.getvalue()
    return drawn[asked]


_DRAWN: "WeakKeyDictionary[Figure, dict[tuple[str, float | None, int], bytes]]" = WeakKeyDictionary()


def with_legend(figure: Figure, entries: Sequence[tuple[str, str]]) -> Figure:
    """A copy of a figure with room below for a legend of names and colours."""
    copied: Figure = pickle.loads(pickle.dumps(figure))  # our own figure: matplotlib copies them in no other way
    FigureCanvasAgg(copied)
    width, height = copied.get_size_inches()
    room = _LINE * len(entries)
    for ax in copied.axes:
        box = ax.get_position()
        ax.set_position((box.x0, (box.y0 * height + room) / (height + room), box.width,
                         box.height * height / (height + room)))  # fmt: skip
    copied.set_size_inches(width, height + room)
    handles = [Line2D([], [], color=colour, linewidth=1.6, label=label(name)) for name, colour in entries]
    legend = copied.legend(handles=handles, loc="lower left", frameon=False, fontsize=TEXT - 1, borderpad=0.2)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return copied


@contextmanager
def _scaled(figure: Figure, width_mm: float | None) -> Iterator[None]:
    """While it lasts, the figure is that wide, and everything in it in proportion."""
    if width_mm is None:
        yield
        return
    width, height = figure.get_size_inches()
    factor = width_mm / _MILLIMETRES / width
    sizes, ticks = _sizes(figure), _tick_sizes(figure)
    figure.set_size_inches(width * factor, height * factor)
    _set_sizes(sizes, ticks, factor)
    try:
        yield
    finally:
        figure.set_size_inches(width, height)
        _set_sizes(sizes, ticks, 1.0)


_Sizes = list[tuple[Any, str, Any]]  # an artist of matplotlib, what is set, its size in points
_TickSizes = list[tuple[Any, str, float, float]]  # an axis, which marks, sizes of their labels and the gaps before them


def _sizes(figure: Figure) -> _Sizes:
    found = []
    for artist in figure.findobj():
        for name in ("fontsize", "markersize", "markeredgewidth", "linewidth"):
            read = getattr(artist, f"get_{name}", None)
            if read is not None and hasattr(artist, f"set_{name}"):
                found.append((artist, name, read()))
    return found


def _tick_sizes(figure: Figure) -> _TickSizes:
    out = []
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        for which in ("major", "minor"):
            now = axis.get_tick_params(which=which)
            out.append((axis, which, float(now.get("labelsize", TEXT)), float(now.get("pad", 3.5))))
    return out


def _set_sizes(sizes: _Sizes, ticks: _TickSizes, factor: float) -> None:
    """Marks first: they reset the labels that are there, some of which have a size of their own."""
    for axis, which, size, pad in ticks:
        axis.set_tick_params(which=which, labelsize=size * factor, pad=pad * factor)
    for artist, name, size in sizes:
        getattr(artist, f"set_{name}")([one * factor for one in size] if np.ndim(size) else size * factor)
