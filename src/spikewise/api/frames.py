"""A run as a notebook shows it: a table of its figures, and its answer with the picture of accuracy and cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from spikewise.errors import DependencyError
from spikewise.evaluation import NetworkResult, Results

if TYPE_CHECKING:
    import pandas

__all__ = ["to_frame", "to_html"]

_ALL = "all"
_WIDTH = 640
"""Of the picture, in pixels."""


def to_frame(results: Results) -> "pandas.DataFrame":
    """A row for each network, metric and seed: `network, role, seed, metric, value, low, high`.

    Seed "all" is the mean over seeds with the ends of its interval, which single seeds have not.

    Raises:
        DependencyError: pandas is not installed.
    """
    try:
        import pandas  # noqa: PLC0415  # no dependency: whoever asks for a frame has it
    except ImportError:
        raise DependencyError("A table of a run needs pandas, which is not installed: pip install pandas.") from None
    return pandas.DataFrame([row for network in results.networks for row in _rows(network)])


def _rows(network: NetworkResult) -> list[dict[str, Any]]:
    named = {"network": network.name, "role": network.role}
    rows = [
        {**named, "seed": _ALL, "metric": metric, "value": one.mean, "low": one.low, "high": one.high}
        for metric, one in network.metrics.items()
    ]
    rows += [
        {**named, "seed": _ALL, "metric": f"energy_nanojoule: {model}", "value": energy, "low": None, "high": None}
        for model, energy in network.cost.energy_nanojoule.items()
    ]
    return rows + [
        {**named, "seed": run.seed, "metric": metric, "value": value, "low": None, "high": None}
        for run in network.runs
        for metric, value in run.test.items()
    ]


def to_html(results: Results, report: Path) -> str:
    """The answer, the picture and the way to the report."""
    from spikewise.report.front import front_picture  # noqa: PLC0415  # draws
    from spikewise.report.pictures import data_address  # noqa: PLC0415
    from spikewise.viz import figure_bytes  # noqa: PLC0415

    panel, picture = front_picture(results), ""
    if panel is not None:  # on its own ground, for a notebook has no colours of ours, and may be dark
        png = data_address(figure_bytes(panel.standalone, "png"), "png")
        picture = f'<p><img alt="{escape(panel.caption)}" src="{png}" style="max-width: 100%; width: {_WIDTH}px"></p>'
    address = escape(report.resolve().as_uri())
    return (
        f"<p><strong>{escape(results.verdict.headline)}</strong></p>{picture}"
        f'<p><a href="{address}">{escape(report)}</a></p>'
    )
