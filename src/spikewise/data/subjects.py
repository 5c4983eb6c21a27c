"""Who is on an image, as far as file names say it: patients, fingers' owners, persons."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.image_set import SubjectsRule
from spikewise.data.names import shown, stem_and_suffix
from spikewise.data.patterns import first_groups
from spikewise.errors import DataError

__all__ = [
    "Subjects",
    "chest_subjects",
    "is_chest_xrays",
    "named_subjects",
    "numbered_subjects",
    "pattern_subjects",
    "said_subjects",
]

_CHEST = re.compile(r"(person\d+)_(?:bacteria|virus)_|(?:NORMAL2-)?IM-(\d+)-\d+")
_WORDS = "patient|pat|subject|subj|person|participant|volunteer|donor|proband|control"
_NAMED = re.compile(
    rf"(?:^|[^a-z])(?:(?P<word>{_WORDS})[-_ ]?(?P<number>\d+)|sub-(?P<bids>[0-9a-z]+)(?=[_.]))", re.IGNORECASE
)
_SERIES = re.compile(r"(?:[A-Za-z0-9]+-)?IM-\d+-\d+")


class Subjects(NamedTuple):
    """The subject of each image, and how it was told."""

    numbers: Int64[np.ndarray, " N"]
    rule: SubjectsRule


def pattern_subjects(names: Sequence[str], pattern: str) -> Subjects:
    """The subjects that the pattern's one group finds in each file name.

    Raises:
        DataError: a name in which it finds nothing.
    """
    found = first_groups(pattern, names)
    lost = [name for name, subject in zip(names, found, strict=True) if not subject]
    if lost:
        raise DataError(
            f"group_pattern {pattern!r} finds no subject in {len(lost)} of {len(names)} file names, "
            f"for example {shown(lost[0])}. Every image needs a subject."
        )
    words = f"data.group_pattern {pattern!r} in file names"
    return said_subjects([subject for subject in found if subject], SubjectsRule(words, "stated"))


def said_subjects(subjects: Sequence[str], rule: SubjectsRule) -> Subjects:
    """The subjects that something says by name, numbered in natural order."""
    return Subjects(_numbers(subjects), rule)


def is_chest_xrays(names: Sequence[str], classes: Sequence[str]) -> bool:
    """Whether files in folders of these names are named as those of the known chest X-rays, kind by kind."""
    return all(
        (found := _CHEST.match(name)) is not None and kind.casefold() == ("pneumonia" if found[1] else "normal")
        for name, kind in zip(names, classes, strict=True)
    )


def chest_subjects(names: Sequence[str]) -> Subjects | None:
    """The patients of the known chest X-rays; None where a file is not named as they are.

    Persons and normals are numbered independently, so the kind is part of who it is. Within one kind of name no number
    stands in two published parts, so numbers may have been given part by part: the patients are doubtful.
    """
    found = [match for name in names if (match := _CHEST.match(name)) is not None]
    if len(found) < len(names):
        return None
    words = "the number after 'person', and after 'IM-' for normals, in file names"
    who = [match[1] or f"normal{match[2]}" for match in found]
    return Subjects(_numbers(who), SubjectsRule(words, "doubtful"))


def named_subjects(names: Sequence[str], classes: Sequence[str]) -> Subjects | None:
    """Subjects where every file name says `patient12`, `subject-3`, `person4`, `sub-01` or the like; else None.

    None too where no subject has a second image (nothing is to be kept together), where there is one alone, and where
    the subjects are the classes: then they are what is to be told apart.
    """
    found = [match for name in names if (match := _NAMED.search(stem_and_suffix(name)[0] + ".")) is not None]
    if len(found) < len(names):
        return None
    who = [(match["word"] or "sub").lower() + (match["bids"] or str(int(match["number"]))) for match in found]
    pairs = set(zip(who, classes, strict=True))
    everyone = set(who)
    if not 1 < len(everyone) < len(names) or len(pairs) == len(everyone) == len(set(classes)):
        return None
    kinds = sorted({(match["word"] or "sub-").lower() for match in found})
    words = f"the number after {' or '.join(f'{kind!r}' for kind in kinds)} in file names"
    return Subjects(_numbers(who), SubjectsRule(words, "likely"))


def numbered_subjects(names: Sequence[str]) -> str | None:
    """A note where all files are numbered by series, as programs that show scans export them; None where they are not.

    A series may be a patient or not; nothing in the names tells.
    """
    if not all(_SERIES.match(name) for name in names):
        return None
    return (
        f"File names such as {shown(names[0])} number series. A series need not be a patient, so no subjects were "
        "read. If it is one here, say so: data.group_pattern='IM-([0-9]+)-'."
    )


def _numbers(subjects: Sequence[str]) -> Int64[np.ndarray, " N"]:
    """Number subjects 0, 1, 2, ... in natural order (`person2` before `person10`)."""

    def natural(name: str) -> tuple[list[tuple[bool, str]], str]:
        return [(part.isdigit(), part.zfill(20)) for part in re.split(r"(\d+)", name)], name  # "1" beside "01"

    order = sorted(set(subjects), key=natural)
    number = {name: position for position, name in enumerate(order)}
    return np.array([number[name] for name in subjects], np.int64)
