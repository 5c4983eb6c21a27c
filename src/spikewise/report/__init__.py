"""A run as a page to read: `report.html`, self-contained, and the artifacts it shows."""

from spikewise.report.artifacts import Artifacts, Disagreements, Traces
from spikewise.report.paper import paper_table
from spikewise.report.rendering import Report, draw_figures, render, write_report
from spikewise.report.several import Linked, render_many

__all__ = ["Artifacts", "Disagreements", "Linked", "Report", "Traces", "draw_figures", "paper_table", "render",
           "render_many", "write_report"]  # fmt: skip
