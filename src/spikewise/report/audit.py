"""An audit as a page shows it."""

from collections.abc import Sequence
from typing import NamedTuple

from spikewise.data.audit import HEADINGS, SEVERITIES, Audit, AuditFinding, Probe, Severity, advice, examples

__all__ = ["AuditContent", "audit_content"]

_LISTED = 12
"""Groups of images that are named under a finding."""


class ShownFinding(NamedTuple):
    """One finding."""

    finding: AuditFinding
    examples: Sequence[str]


class Chapter(NamedTuple):
    """The findings of one severity."""

    severity: Severity
    title: str
    findings: Sequence[ShownFinding]


class ProbeRow(NamedTuple):
    """One probe; its bar runs from what guessing gives to the score, in percent of the width."""

    probe: Probe
    low: float
    high: float
    mean: float


class ProbeTable(NamedTuple):
    """The probes of one target, the best first."""

    target: str
    chance: float
    rows: Sequence[ProbeRow]


class AuditContent(NamedTuple):
    """What `assets/sections/audit.html.j2` reads as `view.content`."""

    audit: Audit
    chapters: Sequence[Chapter]
    advice: Sequence[str]
    tables: Sequence[ProbeTable]


def audit_content(audit: Audit) -> AuditContent:
    """Findings by severity, what to do, and the probes by target."""
    chapters = [
        Chapter(severity, HEADINGS[severity], [ShownFinding(one, examples(one, _LISTED)) for one in chosen])
        for severity in SEVERITIES
        if (chosen := [one for one in audit.findings if one.severity == severity])
    ]
    targets = dict.fromkeys(probe.target for probe in audit.probes)
    tables = [_table(target, [probe for probe in audit.probes if probe.target == target]) for target in targets]
    return AuditContent(audit, chapters, advice(audit), tables)


def _table(target: str, probes: Sequence[Probe]) -> ProbeTable:
    titles = {"label": "What tells the label", "part": "What tells test from training images"}
    rows = [_row(probe) for probe in sorted(probes, key=lambda probe: -probe.score)]
    return ProbeTable(titles.get(target, f"What tells the {target}"), probes[0].chance, rows)


def _row(probe: Probe) -> ProbeRow:
    ends = sorted((100 * probe.chance, 100 * probe.score))
    return ProbeRow(probe, round(ends[0], 2), round(ends[1], 2), round(min(98.5, 100 * probe.score), 2))
