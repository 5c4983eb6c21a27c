"""`ImageSet`: images in memory as uint8, with what is known of each; `Split`: which of them are for what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int8, Int64, UInt8

from spikewise.data.white import Kind

__all__ = ["Aspect", "ImageSet", "Role", "Split", "SubjectsRule", "Trust"]


class Role(IntEnum):
    """What a set's publisher says an image is for."""

    UNASSIGNED = -1
    TRAIN = 0
    VALIDATION = 1
    TEST = 2


Trust = Literal["stated", "likely", "doubtful"]
"""`stated`: by whoever ran this, or by the publisher of the set; `likely`: read from names that follow a usual
convention; `doubtful`: there are reasons to think that what was read are not people."""


Aspect = Literal["keep", "stretch"]
"""How an image is brought to a size: whole and in proportion, the rest filled with the background; or stretched."""


class SubjectsRule(NamedTuple):
    """How the subjects of a set were told, and how sure that is."""

    words: str
    """For people: what in which names."""
    trust: Trust


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and what is known of them; one index selects one image everywhere."""

    name: str
    images: UInt8[np.ndarray, "N C H W"]
    """May be a read-only memory map; index it, do not copy it."""
    labels: Int64[np.ndarray, " N"]
    classes: tuple[str, ...]
    """Name of each label, in label order."""
    roles: Int8[np.ndarray, " N"]
    """`Role` of each image; all UNASSIGNED where the set brings no split."""
    fingerprint: str
    """SHA-256 over images, labels and roles, and over subjects that folders or a table say: two runs with the same one
    saw the same data."""
    groups: Int64[np.ndarray, " N"] | None = None
    """Subject (patient, finger owner) of each image, where known: one subject never stands on two sides of a split."""
    sources: tuple[str, ...] | None = None
    """File of each image, relative to the set's folder, where there are files."""
    notes: tuple[str, ...] = field(default=())
    """What a reader should know: files skipped, conversions made, licence terms."""
    cautions: tuple[str, ...] = field(default=())
    """What changes what the pixels mean, and must be seen before a figure is believed: white that was inferred."""
    from_names: tuple[str, ...] = field(default=())
    """What was read from names of files and folders, and may not be meant: subjects, classes that look alike."""
    whites: Mapping[Kind, float] = field(default_factory=dict)
    """What white is, by how the pixels were stored; empty where nobody knows."""
    aspect: Aspect = "stretch"
    """How images of other sizes are brought to this one."""
    damaged: tuple[str, ...] = field(default=())
    """Files that could not be decoded and were left out."""
    subjects_rule: SubjectsRule | None = None
    """How the subjects were told, where they are known."""
    positive: int = 1
    """Label of the positive class; has a meaning with two classes only."""
    positive_why: str = ""
    """Why it is that one, for people."""
    publishable: bool = True
    """False where an image must never be shown outside (fingerprints): reports then show none."""

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.image_shape))
        return f"<{self.name}: {len(self):,} images of {shape}, {len(self.classes)} classes>"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.images.shape
        return channels, height, width


class Split(NamedTuple):
    """Positions in an `ImageSet`; the three never share an image, nor a subject where subjects are known."""

    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]
