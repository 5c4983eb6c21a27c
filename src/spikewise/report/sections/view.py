"""`View`: one section as the page shows it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from spikewise.report.pictures import PicturePanel

__all__ = ["View"]


class View(NamedTuple):
    """A section's place on the page; `assets/sections/KEY.html.j2` lays it out and knows it as `view`."""

    key: str
    title: str
    content: Any
    """What the template reads."""
    panels: Sequence[PicturePanel] = ()
    """Its figures, which are also written as files."""
    seconds: float | None = None
    """How long it took to make."""
    finding: str = ""
    """What was found, in one line: the section is folded under it."""
