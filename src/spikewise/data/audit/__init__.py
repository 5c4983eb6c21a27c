"""The audit of an image set: what would flatter a result, and a split without it."""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
    from spikewise.data.audit.files import folder_of
    from spikewise.data.audit.look import Look, look_at
    from spikewise.data.audit.records import SEVERITIES, Audit, AuditFinding, ImagePlace, Nearness, Probe, Severity
    from spikewise.data.audit.repair import clean_split
    from spikewise.data.audit.run import audit, file_facts
    from spikewise.data.audit.wording import HEADINGS, advice, examples

__all__ = [
    "HEADINGS",
    "SEVERITIES",
    "Audit",
    "AuditFinding",
    "ImagePlace",
    "Look",
    "Nearness",
    "Probe",
    "Severity",
    "advice",
    "audit",
    "clean_split",
    "examples",
    "file_facts",
    "folder_of",
    "look_at",
]

# Its classifiers take long to load, and the records are read wherever results are.
__getattr__ = lazy_exports(
    __name__,
    {
        "folder_of": "spikewise.data.audit.files",
        **dict.fromkeys(("Look", "look_at"), "spikewise.data.audit.look"),
        "clean_split": "spikewise.data.audit.repair",
        **dict.fromkeys(
            ("SEVERITIES", "Audit", "AuditFinding", "Severity", "Nearness", "ImagePlace", "Probe"),
            "spikewise.data.audit.records",
        ),
        **dict.fromkeys(("audit", "file_facts"), "spikewise.data.audit.run"),
        **dict.fromkeys(("HEADINGS", "advice", "examples"), "spikewise.data.audit.wording"),
    },
)
