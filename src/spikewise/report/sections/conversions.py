"""The report's section on conventional networks of the run that were made to spike (`spikewise convert`)."""

from pathlib import Path
from typing import Final, NamedTuple

from spikewise.evaluation import Results
from spikewise.evaluation.conversion import FILE, Conversion
from spikewise.report.conversion import HEADER, accuracy_figure, headline, rows, sentences
from spikewise.report.pictures import PicturePanel
from spikewise.report.sections.view import View

__all__ = ["PAGE", "view"]

PAGE: Final = "convert.html"
"""Beside the record of each conversion."""


class ConversionBlock(NamedTuple):
    """One conversion."""

    title: str
    headline: str
    rows: list[list[str]]
    """Under `HEADER`."""
    sentences: list[str]
    link: str
    """Its page, from the run folder."""


class ConversionsContent(NamedTuple):
    """What the template reads."""

    header: tuple[str, ...]
    blocks: list[ConversionBlock]


def view(results: Results, folder: Path | None) -> View | None:
    """Each conversion in the run folder; None where there is none.

    Raises:
        RunError: a record is damaged.
    """
    del results  # each has a record of its own
    if folder is None:
        return None
    found = {path.parent: Conversion.load(path) for path in sorted(folder.glob(f"conversions/*/{FILE}"))}
    if not found:
        return None
    blocks = [
        ConversionBlock(
            f"{one.network} as spikes ({one.method})",
            headline(one),
            rows(one),
            sentences(one),
            (place / PAGE).relative_to(folder).as_posix(),
        )
        for place, one in found.items()
    ]
    panels = [
        PicturePanel(
            f"conversion-{place.name}", accuracy_figure(one), f"{block.title}: accuracy after each number of steps."
        )
        for (place, one), block in zip(found.items(), blocks, strict=True)
    ]
    return View(
        "conversions", "Converted to spikes", ConversionsContent(HEADER, blocks), panels, None, blocks[0].headline
    )
