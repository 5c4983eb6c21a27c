"""The report's section on what would flatter a result."""

from pathlib import Path

from spikewise.evaluation import Results
from spikewise.report.audit import audit_content
from spikewise.report.sections.view import View

__all__ = ["view"]


def view(results: Results, folder: Path | None) -> View | None:
    """Findings by severity; None where nobody looked."""
    del folder  # this section has no arrays
    found = results.sections.audit
    if found is None:
        return None
    return View("audit", "Audit of the images", audit_content(found), (), found.seconds, found.headline)
