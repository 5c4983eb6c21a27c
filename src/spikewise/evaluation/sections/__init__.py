"""`Sections`: what a run looks into beside accuracy and cost; each can be switched off, and made later.

The records alone, one module each; what makes them stands in `evaluation/` under the same name.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

from pydantic import Field

from spikewise.data.audit.records import Audit
from spikewise.errors import unknown_choice
from spikewise.evaluation.record import Figures, Record
from spikewise.evaluation.sections.anytime import Anytime
from spikewise.evaluation.sections.calibration import Calibration
from spikewise.evaluation.sections.diagnosis import Diagnosis
from spikewise.evaluation.sections.explanations import Explanations
from spikewise.evaluation.sections.robustness import Robustness
from spikewise.evaluation.sections.yardsticks import Yardsticks

__all__ = ["SECTION_NAMES", "SectionName", "Sections", "sections_without"]

SectionName = Literal["audit", "yardsticks", "anytime", "calibration", "robustness", "explanations", "diagnosis"]
SECTION_NAMES: Final[tuple[SectionName, ...]] = get_args(SectionName)
_BY_COMMAND: Final = {"calibrate": "calibration", "explain": "explanations", "diagnose": "diagnosis"}
"""Commands that are called otherwise than the section that they make."""


class Sections(Record):
    """One field for each section; null where it was switched off, or left out."""

    audit: Audit | None = None
    yardsticks: Yardsticks | None = None
    anytime: Anytime | None = None
    calibration: Calibration | None = None
    robustness: Robustness | None = None
    explanations: Explanations | None = None
    diagnosis: Diagnosis | None = None
    seconds: Figures = Field(default_factory=dict)
    """How long each section took."""
    less: dict[str, str] = Field(default_factory=dict)
    """Of sections that did less than usual because time was short: what they used."""
    skipped: dict[str, str] = Field(default_factory=dict)
    """Of sections that were left out though nobody asked for that: why."""


def sections_without(names: Iterable[str]) -> tuple[SectionName, ...]:
    """Every section but the named ones, each by its own name or its command's; "all" names all.

    Raises:
        ConfigError: there is no such section.
    """
    left_out = {_BY_COMMAND.get(name, name) for name in names}
    for name in left_out - {"all", *SECTION_NAMES}:
        raise unknown_choice("section", name, ["all", *SECTION_NAMES])
    return () if "all" in left_out else tuple(name for name in SECTION_NAMES if name not in left_out)
