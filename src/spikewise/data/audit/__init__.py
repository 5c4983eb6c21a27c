"""The audit of an image set: what would flatter a result, and a split without it."""

from spikewise.data.audit.look import Look, look_at
from spikewise.data.audit.mend import clean_split
from spikewise.data.audit.records import GRAVITIES, Audit, Finding, Gravity, Nearness, Place, Probe
from spikewise.data.audit.run import audit, file_facts

__all__ = [
    "GRAVITIES",
    "Audit",
    "Finding",
    "Gravity",
    "Look",
    "Nearness",
    "Place",
    "Probe",
    "audit",
    "clean_split",
    "file_facts",
    "look_at",
]
