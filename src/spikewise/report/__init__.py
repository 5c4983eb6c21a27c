"""A run as a page to read: `report.html`, self-contained, and the artifacts it shows."""

from spikewise.report.artifacts import Artifacts, Disagreements, Traces
from spikewise.report.render import Linked, render, render_many, write_report

__all__ = ["Artifacts", "Disagreements", "Linked", "Traces", "render", "render_many", "write_report"]
