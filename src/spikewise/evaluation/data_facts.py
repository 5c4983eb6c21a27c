"""What `results.json` says of the images of a run: their parts, what they share, how they look."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, model_validator

from spikewise.data.white import Kind
from spikewise.evaluation.record import Count, Many, Record

__all__ = ["DataFacts", "Overlap", "Part", "TrainingAppearance"]


class Part(Record):
    """One part of the split; `per_class` is in class order."""

    images: Count
    per_class: Many[Count]


class Overlap(Record):
    """Leaks: groups of (nearly) identical images, and subjects, in more than one part; null where nobody looked."""

    duplicates: Count | None = None
    near_duplicates: Count | None = None
    subjects: Count | None = None
    reaches_test: bool = True
    """False where no identical images and no subjects concern the test part: then these only flatter what is chosen on
    validation."""
    near_reaches_test: bool | None = None
    """Whether nearly identical images do; null where nobody looked."""


class TrainingAppearance(Record):
    """Of the training images, in grey levels 0..255: mean and standard deviation over them of their brightness, and of
    their contrast (the standard deviation of an image's pixels)."""

    brightness: float
    brightness_spread: float
    contrast: float
    contrast_spread: float


class DataFacts(Record):
    """Which images were used, and how; `image_shape` is channels, height, width."""

    name: str
    fingerprint: str
    source: str
    """Where the images came from: an address, a folder's name, a package."""
    classes: Many[str]
    positive: str | None = None
    """With two classes: the one that recall (sensitivity), specificity, precision, F1 and thresholds are about."""
    positive_why: str = ""
    image_shape: Many[Count] = Field(min_length=3, max_length=3)
    train: Part
    validation: Part
    test: Part
    subjects: Count | None = None
    subjects_rule: str = ""
    """How the subjects were told; empty where none are known, and in runs of versions that did not say."""
    subjects_trust: Literal["stated", "likely", "doubtful"] | None = None
    """`stated` by the user or the publisher; `likely`: file names follow a usual convention; `doubtful`: what was read
    from names may not be people."""
    grouped: bool = False
    overlap: Annotated[Overlap, Field(validation_alias=AliasChoices("overlap", "straddling"))] = Overlap()
    """Older runs say `straddling`."""
    publishable: bool = True
    notes: Many[str] = ()
    cautions: Many[str] = ()
    """What changes what the pixels mean, such as a white that was inferred; said before the first figure."""
    whites: dict[Kind, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Number that meant white, by how the pixels were stored; empty where nobody noted it."""
    aspect: Literal["keep", "stretch"] = "stretch"
    """How images of other sizes are brought to that of the network: in proportion on the background, or stretched."""
    appearance: TrainingAppearance | None = None

    @property
    def positive_label(self) -> int:
        """Label of the positive class; 1 where it has no meaning."""
        return 1 if self.positive is None else self.classes.index(self.positive)

    @model_validator(mode="before")
    @classmethod
    def _name_the_positive(cls, table: Any) -> Any:  # whatever the file held
        """Runs of versions that named no positive class took the second of two."""
        if isinstance(table, dict) and table.get("positive") is None:
            classes = table.get("classes")
            if isinstance(classes, list | tuple) and len(classes) == 2:
                return {**table, "positive": classes[1]}
        return table

    @model_validator(mode="after")
    def _counts_agree(self) -> "DataFacts":
        for part in (self.train, self.validation, self.test):
            if sum(part.per_class) != part.images:
                raise ValueError(f"per_class adds up to {sum(part.per_class)}, images is {part.images}")
            if len(part.per_class) != len(self.classes):
                raise ValueError(f"{len(part.per_class)} counts per class for {len(self.classes)} classes")
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"the positive class '{self.positive}' is none of the classes")
        return self
