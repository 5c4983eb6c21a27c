"""What a conversion found, as one HTML page that loads nothing."""

from markupsafe import Markup
from matplotlib.figure import Figure

from spikewise import viz
from spikewise.conversion.records import Conversion
from spikewise.conversion.wording import HEADER, LAYER_HEADER, headline, layer_rows, rows, sentences
from spikewise.report.rendering import page

__all__ = ["conversion_page"]


def conversion_page(found: Conversion) -> str:
    """The page."""
    figure = viz.inline_svg(_figure(found), key="conversion", title="Accuracy after each number of steps")
    return page(
        "conversion_page.html.j2",
        c=found,
        figure=Markup(figure),  # built by ElementTree
        headline=headline(found),
        header=HEADER,
        rows=rows(found),
        sentences=sentences(found),
        layer_header=LAYER_HEADER,
        layers=layer_rows(found),
    )


def _figure(found: Conversion) -> Figure:
    ways: dict[str, dict[int, tuple[float, float | None, float | None]]] = {}
    for row in found.rows:
        name = f"{found.network} as spikes{', waiting' if row.waits else ''}"
        ways.setdefault(name, {})[row.duration] = (row.accuracy.mean, row.accuracy.low, row.accuracy.high)
    beside = [found.original, *([] if found.direct is None else [found.direct])]
    return viz.accuracy_after_conversion(ways, {one.network: one.accuracy.mean for one in beside})
