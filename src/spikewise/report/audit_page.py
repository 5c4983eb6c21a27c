"""An audit as one HTML page that loads nothing."""

from pathlib import Path

from spikewise.data.audit import Audit
from spikewise.files import write_text
from spikewise.report.audit import audit_content
from spikewise.report.rendering import page
from spikewise.report.sections import View

__all__ = ["audit_page", "write_audit_page"]


def audit_page(audit: Audit) -> str:
    """The audit alone; the report of a run shows the same block among its sections."""
    return page("audit_page.html.j2", view=View("audit", "Audit of the images", audit_content(audit)))


def write_audit_page(audit: Audit, path: Path) -> None:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
    """
    write_text(path, audit_page(audit))
