"""The figure of the answer: accuracy against energy, with intervals, early exits and the front."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from spikewise.evaluation.units import quantity
from spikewise.viz.canvas import TEXT, axes, fitted, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["PricedNetwork", "accuracy_against_energy"]

_MARKERS = ("o", "s", "^", "v", "P", "X")
_SHOWN_BELOW = 0.05
"""Share of accuracy below the lowest whole network that is shown; the first steps of a network are often far lower."""
_WIDTH, _HEIGHT = 4.2, 3.15
_EQUAL = 1.03
"""Ratio of energies up to which two bars would hide each other."""
_ASIDE = 5.0
"""Points by which they stand apart then."""


class PricedNetwork(NamedTuple):
    """One network: joules an image, and accuracies as shares of 1."""

    joules: float
    accuracy: float
    low: float | None
    high: float | None
    skipping: float | None = None
    """Joules on hardware that skips multiplications by zero, where that is less."""
    steps: Sequence[tuple[float, float]] = ()
    """Joules and accuracy after each step."""
    exits: Sequence[tuple[float, float, float | None, float | None]] = ()
    """Joules, accuracy and its interval, of each early exit."""


def accuracy_against_energy(
    networks: Mapping[str, PricedNetwork],
    front: Sequence[tuple[float, float]],
    *,
    simple: tuple[str, float] | None = None,
    colours: Mapping[str, str],
    theme: Theme = LIGHT,
) -> Figure:
    """Accuracy in percent against energy on an axis of powers; bars are intervals of the accuracy.

    Args:
        networks: by what the legend calls them.
        front: joules and accuracy of what nothing beats in both, in any order.
        simple: name and accuracy of a classifier without a price, a dashed line; left out where it lies far below.
    """
    figure = new_figure(_HEIGHT, width=_WIDTH, theme=theme)
    ax = axes(figure, theme=theme)[0]
    right = max(one.joules for one in networks.values()) * 1.9
    for position, (name, network) in enumerate(networks.items()):
        marker = _MARKERS[position % len(_MARKERS)]
        _draw(ax, name, network, marker, colours[name], theme, aside=_aside(network, list(networks.values())))
    corners = sorted(front)
    if corners:
        levels = [*(100 * y for _, y in corners), 100 * corners[-1][1]]
        ax.step([*(x for x, _ in corners), right], levels, where="post", color=theme.grid, linewidth=5,
                solid_joinstyle="miter", zorder=1, label="front")  # fmt: skip
    _scales(ax, networks, None if simple is None else simple[1], right, theme)
    if simple is not None and 100 * simple[1] > ax.get_ylim()[0]:  # the legend names nothing that lies outside
        ax.axhline(100 * simple[1], linestyle=(0, (4, 3)), linewidth=1, color=theme.muted, label=label(simple[0], 30))
    ax.set_title("test accuracy, %", loc="left", y=1.0, size=TEXT + 0.5, color=theme.ink)
    ax.set_xlabel("energy of one image, computed")
    ax.grid(color=theme.grid, linewidth=0.6)
    legend = figure.legend(**_entries(ax, networks), loc="lower left", ncols=2, frameon=False,
                           fontsize=TEXT - 0.5, labelcolor=theme.ink,
                           columnspacing=1.2, handletextpad=0.5)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return fitted(figure, below=legend)


def _entries(ax: Axes, networks: Mapping[str, PricedNetwork]) -> dict[str, Any]:  # keywords of matplotlib
    """The legend's entries, each network before what belongs to it, then what is no network."""
    names = [label(name, 40) for name in networks]
    found = list(zip(*ax.get_legend_handles_labels(), strict=True))
    found.sort(key=lambda entry: next((at for at, name in enumerate(names) if entry[1].startswith(name)), len(names)))
    return {"handles": [handle for handle, _ in found], "labels": [text for _, text in found]}


def _aside(network: PricedNetwork, networks: Sequence[PricedNetwork]) -> float:
    """Points to the right: networks of the same energy, as twin and CNN of the same layers are, stand side by side."""
    less, more = network.joules / _EQUAL, network.joules * _EQUAL
    same = [one for one in networks if less <= one.joules <= more]
    return _ASIDE * (next(at for at, one in enumerate(same) if one is network) - (len(same) - 1) / 2)


def _draw(  # noqa: PLR0913  # what a network looks like
    ax: Axes, name: str, network: PricedNetwork, marker: str, colour: str, theme: Theme, *, aside: float
) -> None:
    moved = ax.transData + ScaledTranslation(aside / 72, 0, ax.figure.dpi_scale_trans)
    whole = ax.errorbar(network.joules, 100 * network.accuracy, color=colour, marker=marker, markersize=6.5,
                        yerr=_reach(network.accuracy, network.low, network.high), elinewidth=1.5, linestyle="",
                        zorder=3, transform=moved)  # fmt: skip
    whole.set_label(label(name, 40))
    if network.steps:
        ax.plot([x for x, _ in network.steps], [100 * y for _, y in network.steps], "-", color=colour, linewidth=1,
                marker=".", markersize=3, alpha=0.55)  # fmt: skip
    for at, (joules, accuracy, low, high) in enumerate(network.exits):
        ax.errorbar(joules, 100 * accuracy, yerr=_reach(accuracy, low, high), color=colour, marker="D", markersize=5,
                    markerfacecolor=theme.surface, markeredgewidth=1.3, elinewidth=0.9, linestyle="",
                    label=label(f"{name}, stopping early", 44) if at == 0 else None)  # fmt: skip
    if network.skipping is not None:
        ax.plot([network.skipping, network.joules], [100 * network.accuracy] * 2, color=colour, linewidth=1.2,
                linestyle=(0, (1, 1.5)))  # fmt: skip
        ax.plot(network.skipping, 100 * network.accuracy, marker="|", markersize=7, color=colour)


def _reach(mean: float, low: float | None, high: float | None) -> list[list[float]] | None:
    """Both halves of an error bar in percent; none where there is no interval."""
    if low is None or high is None:
        return None
    return [[100 * max(mean - low, 0)], [100 * max(high - mean, 0)]]


def _scales(ax: Axes, networks: Mapping[str, PricedNetwork], simple: float | None, right: float, theme: Theme) -> None:
    whole = [end for one in networks.values() for end in (one.accuracy, one.low, one.high) if end is not None]
    whole += [end for one in networks.values() for _, mean, low, high in one.exits[:3]
              for end in (mean, low, high) if end is not None]  # fmt: skip
    top, bottom = max([*whole, simple or 0]), min(whole)
    earlier = [y for one in networks.values() for _, y in one.steps] + ([] if simple is None else [simple])
    bottom = max(min([bottom, *earlier]), bottom - _SHOWN_BELOW)
    margin = max(0.06 * (top - bottom), 0.002)
    ax.set_ylim(100 * (bottom - margin), 100 * (top + margin))
    prices = [x for one in networks.values() for x in (one.joules, one.skipping, *(step[0] for step in one.steps),
              *(early[0] for early in one.exits)) if x is not None]  # fmt: skip
    if min(prices) <= 0:  # a network that sends nothing costs nothing, and has no place on an axis of powers
        ax.set_xlim(0, right or 1)
    else:
        ax.set(xscale="log", xlim=(min(prices) / 1.5, right))
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if right / min(prices) < 300 else (1,)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda joules, _: quantity(joules, "J")))
    ax.tick_params(labelcolor=theme.muted)
