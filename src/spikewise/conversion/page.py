"""What a conversion found, as one HTML page that loads nothing."""

from markupsafe import Markup

from spikewise import viz
from spikewise.evaluation.conversion import Conversion
from spikewise.report.conversion import HEADER, LAYER_HEADER, accuracy_figure, headline, layer_rows, rows, sentences
from spikewise.report.rendering import page

__all__ = ["conversion_page"]


def conversion_page(found: Conversion) -> str:
    """The page."""
    figure = viz.inline_svg(accuracy_figure(found), key="conversion", title="Accuracy after each number of steps")
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
