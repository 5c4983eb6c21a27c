"""Everything a report draws, made once for the page and for the files beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spikewise.evaluation import Results
from spikewise.report import pictures, samples
from spikewise.report.artifacts import Artifacts
from spikewise.report.front import front_picture
from spikewise.report.pictures import PicturePanel
from spikewise.report.samples import Sample
from spikewise.report.sections import View, views

__all__ = ["Shown", "drawn"]


class Shown(NamedTuple):
    """The figures of a run; those that it has nothing for are None, or missing from their list."""

    picture: PicturePanel | None
    """Of the first screen."""
    curves: Sequence[PicturePanel]
    confusions: Sequence[PicturePanel]
    rates: PicturePanel | None
    costs: PicturePanel | None
    views: Sequence[View]
    samples: Sequence[Sample]

    @property
    def panels(self) -> list[PicturePanel]:
        """Those that are worth a file: of the traced images the first stands for all."""
        found: list[PicturePanel | None] = [self.picture, *self.curves, *self.confusions, self.rates, self.costs]
        found += [panel for view in self.views for panel in view.panels]
        found += [panel for one in self.samples[:1] for panel in (one.raster, one.membrane, one.evidence)]
        return [panel for panel in found if panel is not None]


def drawn(
    results: Results, artifacts: Artifacts | None, folder: Path | None = None, *, before: Shown | None = None
) -> Shown:
    """The figures of a run.

    Args:
        artifacts: without images where these must not be shown.
        folder: the run folder, for the arrays of its sections.
        before: what was drawn of the same networks and artifacts; only what sections change is drawn again.
    """
    if before is not None:
        return before._replace(picture=front_picture(results), views=views(results, folder))
    traces = artifacts.traces if artifacts else None
    return Shown(
        front_picture(results),
        pictures.curves(results),
        pictures.confusions(results),
        pictures.rates(results),
        pictures.costs(results),
        views(results, folder),
        samples.samples(traces, results.data.classes) if traces else [],
    )
