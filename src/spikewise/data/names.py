"""What file and folder names say by themselves: a fingerprint, a part of a split; and how names are shown."""

import re
from collections.abc import Collection
from typing import NamedTuple

from spikewise.data.image_set import Role

__all__ = ["Fingerprint", "listed", "read_fingerprint", "role_of", "shown"]

_FINGERPRINT = re.compile(
    r"(?P<subject>\d+)__(?P<gender>[MF])_(?P<hand>Left|Right)_(?P<finger>thumb|index|middle|ring|little)_finger"
    r"(?:_(?P<change>CR|Obl|Zcut))?",
    re.IGNORECASE,
)

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


def role_of(name: str) -> Role | None:
    """The role a folder or file name prefix stands for (`train`, `val`, `test`, ...), or None."""
    return _ROLES.get(name.lower())


def shown(name: object) -> str:
    """A file's name as text: bytes that are no UTF-8 as `\\xe9`, lone surrogates as `\\ud800`."""
    text = str(name)
    if text.isascii():
        return text
    raw = b"".join(_bytes_of(letter) for letter in text)
    return raw.decode("utf-8", "backslashreplace")


def _bytes_of(letter: str) -> bytes:
    if "\ud800" <= letter <= "\udfff" and not "\udc80" <= letter <= "\udcff":
        return f"\\u{ord(letter):04x}".encode()
    return letter.encode("utf-8", "surrogateescape")


def listed(names: Collection[object], most: int = 5) -> str:
    """The first names, and how many more there are."""
    first = ", ".join(shown(name) for name in list(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most:,} more"
