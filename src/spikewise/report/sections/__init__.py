"""Sections of the report: one module each, which turns a section's record into rows and figures."""

from importlib import import_module
from pathlib import Path
from typing import Final

from spikewise.evaluation import Results
from spikewise.evaluation.sections import SECTION_NAMES
from spikewise.report.sections.view import View

__all__ = ["View", "views"]

_MODULES: Final = tuple(import_module(f"spikewise.report.sections.{name}") for name in (*SECTION_NAMES, "conversions"))
"""In the order of the page; what is not in the results stands in the folder."""


def views(results: Results, folder: Path | None = None) -> list[View]:
    """What the page shows of the sections that were made.

    Args:
        folder: the run folder, for the arrays that some sections keep; without it they show their figures only.
    """
    made: list[View | None] = [module.view(results, folder) for module in _MODULES]
    return [one for one in made if one is not None]
