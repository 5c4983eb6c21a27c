"""The audit of an image set: what would flatter a result, and a split without it."""

from spikewise.data.audit.files import folder_of
from spikewise.data.audit.look import Look, look_at
from spikewise.data.audit.mend import clean_split
from spikewise.data.audit.records import GRAVITIES, Audit, Finding, Gravity, Nearness, Place, Probe
from spikewise.data.audit.run import audit, file_facts
from spikewise.data.audit.wording import advice, examples

__all__ = [
    "GRAVITIES",
    "Audit",
    "Finding",
    "Gravity",
    "Look",
    "Nearness",
    "Place",
    "Probe",
    "advice",
    "audit",
    "clean_split",
    "examples",
    "file_facts",
    "folder_of",
    "look_at",
]
