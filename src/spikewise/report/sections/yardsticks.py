"""The report's section on yardsticks."""

from pathlib import Path
from typing import NamedTuple

from spikewise.evaluation import Estimate, Results
from spikewise.evaluation.sections.yardsticks import Yardsticks
from spikewise.evaluation.wording import called
from spikewise.report.numbers import NONE, interval, percent, points
from spikewise.report.sections.view import View

__all__ = ["view"]


class YardsticksRow(NamedTuple):
    """One classifier: what was chosen, its figures, and each network's accuracy minus its own."""

    name: str
    setting: str
    validation: str
    accuracy: str
    ends: str
    differences: tuple[tuple[str, str], ...]


class YardsticksContent(NamedTuple):
    """The table and the words around it."""

    networks: tuple[str, ...]
    rows: tuple[YardsticksRow, ...]
    record: Yardsticks


def view(results: Results, folder: Path | None) -> View | None:
    """A table; None where the section was not made."""
    del folder  # this section has no arrays
    section = results.sections.yardsticks
    if section is None:
        return None
    networks = tuple(dict.fromkeys(one.network for one in section.differences))
    found = {(one.network, one.yardstick): one.difference for one in section.differences}
    rows = tuple(
        YardsticksRow(
            one.name,
            one.setting,
            percent(one.validation_accuracy),
            percent(one.accuracy.mean),
            interval("accuracy", one.accuracy),
            tuple((points(found[name, one.name].mean), _ends(found[name, one.name])) for name in networks),
        )
        for one in section.models
    )
    seconds = results.sections.seconds.get("yardsticks")
    return View("yardsticks", "Yardsticks", YardsticksContent(networks, rows, section), (), seconds, _finding(section))


def _finding(section: Yardsticks) -> str:
    best = max(section.models, key=lambda one: one.accuracy.mean, default=None)
    if best is None:
        return ""
    ahead = [
        called(one.network)
        for one in section.differences
        if one.yardstick == best.name and one.difference.low is not None and one.difference.low > 0
    ]
    what = "one constant answer" if best.name == "guessing" else best.name
    beat = (
        f"{' and '.join(ahead)} {'is' if len(ahead) == 1 else 'are'} shown to beat it"
        if ahead
        else "no network is shown to beat it"
    )
    return f"The best of these, {what}, reaches {percent(best.accuracy.mean)}; {beat}."


def _ends(difference: Estimate) -> str:
    return NONE if difference.low is None else f"{points(difference.low)} to {points(difference.high)}"
