"""What file names say: the subject of a fingerprint, the patient of a chest X-ray."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from spikewise.data.image_set import Role
from spikewise.data.patterns import first_groups
from spikewise.errors import DataError

__all__ = ["Fingerprint", "group_numbers", "groups_by_pattern", "patient", "read_fingerprint", "role_of"]

_FINGERPRINT = re.compile(
    r"(?P<subject>\d+)__(?P<gender>[MF])_(?P<hand>Left|Right)_(?P<finger>thumb|index|middle|ring|little)_finger"
    r"(?:_(?P<change>CR|Obl|Zcut))?",
    re.IGNORECASE,
)
_PATIENT = re.compile(r"(person\d+)_|(?:NORMAL2-)?IM-(\d+)-")

_ROLES = {
    "train": Role.TRAIN,
    "training": Role.TRAIN,
    "val": Role.VALIDATION,
    "valid": Role.VALIDATION,
    "validation": Role.VALIDATION,
    "test": Role.TEST,
    "testing": Role.TEST,
    "t10k": Role.TEST,
}


class Fingerprint(NamedTuple):
    """What a SOCOFing file name says."""

    subject: int
    gender: str
    hand: str
    finger: str
    change: str | None
    """CR (central rotation), Obl (obliteration), Zcut (z-shaped cut); None: a real print."""


def read_fingerprint(stem: str) -> Fingerprint | None:
    """Read a SOCOFing file name such as `1__M_Left_index_finger_CR`; None if it is not one."""
    found = _FINGERPRINT.fullmatch(stem)
    if found is None:
        return None
    change = found["change"]
    return Fingerprint(
        int(found["subject"]), found["gender"].upper(), found["hand"].lower(), found["finger"].lower(), change
    )


def patient(name: str) -> str | None:
    """The patient in a chest X-ray's file name (`person12_...`, `IM-0012-...`, `NORMAL2-IM-0012-...`), or None.

    Persons and normals are numbered independently, so the kind is part of the name.
    """
    found = _PATIENT.match(name)
    if found is None:
        return None
    return found[1] or f"normal{found[2]}"


def role_of(name: str) -> Role | None:
    """The role a folder or file name prefix stands for (`train`, `val`, `test`, ...), or None."""
    return _ROLES.get(name.lower())


def groups_by_pattern(names: Sequence[str], pattern: str) -> Int64[np.ndarray, " N"]:
    """Number the subjects that the pattern's one group finds in each file name.

    Raises:
        DataError: a name in which it finds nothing.
    """
    subjects = first_groups(pattern, names)
    lost = [name for name, subject in zip(names, subjects, strict=True) if not subject]
    if lost:
        raise DataError(
            f"group_pattern {pattern!r} finds no subject in {len(lost)} of {len(names)} file names, "
            f"for example {lost[0]}. Every image needs a subject."
        )
    return group_numbers([subject for subject in subjects if subject])


def group_numbers(subjects: Sequence[str]) -> Int64[np.ndarray, " N"]:
    """Number subjects 0, 1, 2, ... in natural order (`person2` before `person10`)."""
    order = sorted(
        set(subjects), key=lambda name: [(part.isdigit(), part.zfill(20)) for part in re.split(r"(\d+)", name)]
    )
    number = {name: position for position, name in enumerate(order)}
    return np.array([number[name] for name in subjects], np.int64)
