"""An audit in words: examples of a finding, and what to do about all of them."""

from collections.abc import Mapping, Sequence
from typing import Final

from spikewise.data.audit.records import Audit, AuditFinding, ImagePlace, Severity

__all__ = ["HEADINGS", "advice", "examples"]

HEADINGS: Final[Mapping[Severity, str]] = {"red": "Grave", "amber": "Worth knowing", "info": "Facts"}
"""What stands over the findings of a severity."""

_ACROSS = 3
"""Images of a group that are named."""
_JOINED = {"duplicates": " = ", "conflicting": " = "}
"""Between the images of a group, by the first word of the check."""


def examples(finding: AuditFinding, most: int = 3) -> list[str]:
    """The first few images or files of a finding, those that belong together in one line."""
    sign = " ~ " if "near" in finding.check else _JOINED.get(finding.check.partition("-")[0], ", ")
    lines = [_group(group, sign) for group in finding.groups[:most]] or list(finding.files[:most])
    more = finding.count - len(lines)
    return [*lines, f"and {more:,} more"] if lines and more > 0 else lines


def advice(audit: Audit) -> list[str]:
    """What to do about grave findings and those worth knowing, each once, the most urgent first."""
    remedies = (one.remedy for one in audit.findings if one.severity != "info" and one.remedy)
    return list(dict.fromkeys(remedies))


def _group(group: Sequence[ImagePlace], sign: str) -> str:
    shown = sign.join(_place(place) for place in group[:_ACROSS])
    return shown if len(group) <= _ACROSS else f"{shown} and {len(group) - _ACROSS} more"


def _place(place: ImagePlace) -> str:
    name = place.file or f"image {place.index}"
    return f"{name} ({', '.join(word for word in (place.part, place.label) if word)})"
