"""What an audit found, as records that go to JSON and back."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, ValidationError

from spikewise.config import Config
from spikewise.errors import DataError
from spikewise.files import write_text

__all__ = ["SEVERITIES", "Audit", "AuditFinding", "ImagePlace", "Nearness", "Probe", "Severity", "leaks", "percentage"]

Severity = Literal["red", "amber", "info"]
"""`red`: figures would be wrong. `amber`: worth knowing before believing them. `info`: a fact."""

_LEAKS = frozenset({"duplicates-across", "near-duplicates-across", "subjects-across"})

SEVERITIES: tuple[Severity, ...] = ("red", "amber", "info")
"""The worst first."""

_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


class ImagePlace(Config):
    """One image that a finding is about."""

    index: _Count
    """Position in the set."""
    part: Literal["train", "validation", "test"] | None = None
    """Where the split has it; none where the split leaves it out or there is no split."""
    label: str
    """Name of its class."""
    file: str | None = None
    """Its file, relative to the set's folder, where there are files."""


def leaks(findings: Iterable["AuditFinding"]) -> bool:
    """Whether images, or their subjects, were found in more than one part, gravely or not."""
    return any(one.check in _LEAKS for one in findings)


class Probe(Config):
    """How well something that should say nothing tells a target, in cross-validation."""

    target: str
    """What is guessed: `label`, `part` (train or test), or a fact about where the image comes from."""
    clue: str
    """What it is guessed from."""
    score: _Share
    """Balanced accuracy over held-out folds: the mean of the classes' recalls."""
    chance: _Share
    """What guessing gives: 1 / classes."""
    p: _Share
    """Chance of such a score where the clue says nothing; one-sided."""
    images: _Count
    """How many images were asked."""
    low: _Share | None = None
    high: _Share | None = None
    """95 % interval of the score, with units as the trials; none in audits that were made before there was one."""
    around: _Share | None = None
    """Of a mark, the score of its surroundings alone."""

    @property
    def skill(self) -> float:
        """The score on a scale where guessing is 0 and perfection is 1."""
        return (self.score - self.chance) / (1 - self.chance)


class AuditFinding(Config):
    """One thing that was found."""

    check: str
    """Which check found it, as one stable word such as `duplicates-across`."""
    severity: Annotated[Severity, Field(validation_alias=AliasChoices("severity", "gravity"))]  # older audits: gravity
    title: str
    """What was found, in one line."""
    effect: str
    """What it does to the figures."""
    remedy: str = ""
    """What to do."""
    count: _Count = 0
    """How many groups, images or files."""
    groups: tuple[tuple[ImagePlace, ...], ...] = ()
    """The images it is about, those that belong together side by side; cut off beyond `listed` groups."""
    files: tuple[str, ...] = ()
    """Files that are no image of the set, such as those that cannot be decoded."""
    probe: Probe | None = None
    """The measurement behind it."""


class Nearness(Config):
    """How near-duplicates were told from images that are merely alike."""

    ratio: float
    """A pair is one image twice if its distance is below this times the distance of the images' own neighbours."""
    neighbour: float | None
    """Median of that neighbour distance over the candidates; distances of standardised images lie between 0 and 2."""
    candidates: _Count
    """Pairs of which the pixels were compared."""
    pairs: _Count
    """Pairs found."""
    altered_candidates: _Count = 0
    """Pairs that were turned round or moved and laid upon each other."""
    altered: _Count = 0
    """Pairs found so; some of them may be among `pairs`, too."""
    altered_images: _Count | None = None
    """Images among which these were looked for, evenly drawn; null: among all."""


class Audit(Config):
    """Everything an audit looked at and found."""

    format: Literal[1] = 1
    name: str
    """Of the set."""
    fingerprint: str
    """Of the set."""
    images: _Count
    closely: _Count | None = None
    """Images, evenly drawn, among which all was looked for but identical images, subjects and blank ones; null: all."""
    parts: dict[str, int] | None
    """Images in train, validation and test."""
    subjects: _Count | None
    """How many subjects are known; none where they are not."""
    verdict: str
    """One sentence."""
    findings: tuple[AuditFinding, ...]
    """The worst first."""
    probes: tuple[Probe, ...]
    """Every probe, also those that found nothing."""
    nearness: Nearness
    near_across: _Count
    """Groups of nearly identical images that lie in more than one part."""
    near_tested: _Count | None = None
    """Test images of such groups; none in audits that were made before they were counted."""
    seconds: Annotated[float, Field(ge=0)]
    """How long the audit took when it was made."""
    spikewise_version: str

    def __repr__(self) -> str:
        lines = (f"\n  {finding.severity}: {finding.title}" for finding in self.findings)
        return f"<audit of {self.name}, {self.images:,} images. {self.headline}.>{''.join(lines)}"

    __str__ = __repr__

    @property
    def headline(self) -> str:
        """The verdict without the findings it rests on."""
        grave, known = self.count("red"), self.count("amber")
        if grave:
            return f"Do not trust figures from this split: {grave} grave finding{'s' if grave > 1 else ''}"
        if not known:
            return "Nothing was found that would flatter a result"
        return f"{'The split leaks, not gravely' if leaks(self.findings) else 'No grave leak'}; {known} worth knowing"

    def count(self, severity: Severity) -> int:
        """How many findings are of this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def find(self, check: str) -> AuditFinding | None:
        """The finding of a check, or none."""
        return next((finding for finding in self.findings if finding.check == check), None)

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Audit":
        """Read what `save` wrote.

        Raises:
            DataError: not there, damaged, or of another version.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError, ValueError) as error:
            raise DataError(
                f"{path} is not an audit that this version reads. Make it again: spikewise audit."
            ) from error


def percentage(share: float) -> str:
    """A share in percent: one digit behind the point, below one percent two figures (0.05, not 0.1)."""
    percent = 100 * share
    return f"{percent:.1f}" if percent >= 0.995 or percent == 0 else format(Decimal(f"{percent:.2g}"), "f")
