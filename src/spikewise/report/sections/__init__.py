"""Sections of the report: one module each, which turns a section's record into rows and figures."""

from pathlib import Path

from spikewise.evaluation import Results
from spikewise.report.sections import anytime, audit, calibration, diagnosis, explanations, robustness, yardsticks
from spikewise.report.sections.view import View

__all__ = ["View", "views"]

_MODULES = (audit, yardsticks, anytime, calibration, robustness, explanations, diagnosis)
"""In the order of the page."""


def views(results: Results, folder: Path | None = None) -> list[View]:
    """What the page shows of the sections that were made.

    Args:
        folder: the run folder, for the arrays that some sections keep; without it they show their figures only.
    """
    made = (module.view(results, folder) for module in _MODULES)
    return [one for one in made if one is not None]
