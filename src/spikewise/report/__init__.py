"""A run as a page to read: `report.html`, self-contained, and the artifacts it shows."""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports
from spikewise.report.artifacts import Artifacts, Disagreements, Traces

if TYPE_CHECKING:
    from spikewise.report.paper import paper_table
    from spikewise.report.rendering import Report, draw_figures, render, write_report
    from spikewise.report.several import Linked, render_many

__all__ = ["Artifacts", "Disagreements", "Linked", "Report", "Traces", "draw_figures", "paper_table", "render",
           "render_many", "write_report"]  # fmt: skip

# Figures bring matplotlib along; words, numbers and artifacts, which many commands and all trainings need, do not.
__getattr__ = lazy_exports(
    __name__,
    {
        "paper_table": "spikewise.report.paper",
        **dict.fromkeys(("Report", "draw_figures", "render", "write_report"), "spikewise.report.rendering"),
        **dict.fromkeys(("Linked", "render_many"), "spikewise.report.several"),
    },
)
