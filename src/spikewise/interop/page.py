"""The check of an export as one HTML page that loads nothing."""

from spikewise.interop.check import ExportCheck
from spikewise.report.rendering import page

__all__ = ["check_page"]


def check_page(check: ExportCheck) -> str:
    """The page.

    Args:
        check: what `export` or `verify` found.
    """
    return page("check_page.html.j2", c=check)
