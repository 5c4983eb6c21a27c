"""Panels under one another, drawn in one axes: many axes, each with marks of its own, cost most of the time to draw."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, Transform

from spikewise.viz.canvas import TEXT, axes
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["Panel", "stacked"]

_GAP: Final = 0.3
"""Between panels, of their mean height."""
_POINTS: Final = 72
"""In an inch."""
_PAD, _MARK_PAD = 6.0, 3.5
"""Points between a panel and its title, and its marks."""


class Panel:
    """One of them: a band of the axes, whose vertical axis counts inches from the lower edge."""

    def __init__(self, ax: Axes, low: float, height: float, theme: Theme) -> None:
        self.ax, self.low, self.height, self.theme = ax, low, height, theme
        ax.axhline(low, color=theme.grid, linewidth=0.8, clip_on=False, zorder=2.5)

    @property
    def top(self) -> float:
        """Its upper edge, on the axis."""
        return self.low + self.height

    def scale(self, low: float, high: float) -> Transform:
        """For what is drawn with values from `low` (at the lower edge) to `high`; `low` may be the larger one."""
        stretch = self.height / (high - low)
        return Affine2D().scale(1, stretch).translate(0, self.low - stretch * low) + self.ax.transData

    def title(self, text: str, *, right: bool = False, pad: float = _PAD, **looks: Any) -> None:  # keywords of a text
        """Above the panel, at its left or right end."""
        x, side = (1, "right") if right else (0, "left")
        self.ax.text(
            x, self.top + pad / _POINTS, text, ha=side, va="baseline", parse_math=False, **self._at_edge, **looks
        )

    def name(self, text: str, colour: str) -> None:
        """Beside the panel, left of its marks."""
        self.ax.text(-0.1, self.low + self.height / 2, text, ha="right", va="center", color=colour, size=TEXT,
                     parse_math=False, **self._at_edge)  # fmt: skip

    def marks(self, low: float, high: float) -> None:
        """A few round values along its left edge."""
        width = float(self.ax.get_window_extent().width) / self.ax.get_figure().dpi  # type: ignore[union-attr]
        locator = MaxNLocator(nbins=3, steps=[1, 2, 2.5, 5, 10])
        values = [value for value in locator.tick_values(low, high) if low <= value <= high]
        texts = _short(values)
        for value, text in zip(values, texts, strict=True):
            y = self.low + self.height * (value - low) / (high - low)
            self.ax.text(-_MARK_PAD / _POINTS / width, y, text, ha="right", va="center", color=self.theme.muted,
                         size=TEXT, parse_math=False, **self._at_edge)  # fmt: skip

    @property
    def _at_edge(self) -> dict[str, Any]:  # keywords of a text
        return {"transform": self.ax.get_yaxis_transform()}


def stacked(figure: Figure, heights: Sequence[float], *, theme: Theme = LIGHT) -> list[Panel]:
    """Panels of those proportions that fill the figure between its margins and share the horizontal axis."""
    ax = axes(figure, theme=theme)[0]
    total = float(ax.get_window_extent().height) / figure.dpi
    each = total / (len(heights) + _GAP * (len(heights) - 1))
    unit = each * len(heights) / sum(heights)
    ax.spines["bottom"].set_visible(False)
    ax.set(ylim=(0, total), yticks=[])
    panels, top = [], total
    for height in heights:
        panels.append(Panel(ax, top - height * unit, height * unit, theme))
        top -= height * unit + _GAP * each
    return panels


def _short(values: Sequence[float]) -> list[str]:
    """With as many decimals as tell them apart."""
    for decimals in range(8):
        texts = [f"{value:.{decimals}f}" for value in values]
        if all(
            abs(float(text) - value) <= 1e-6 * max(map(abs, values)) for text, value in zip(texts, values, strict=True)
        ):
            break
    else:
        texts = [f"{value:.3g}" for value in values]
    return [text.replace("-", "\N{MINUS SIGN}") for text in texts]
