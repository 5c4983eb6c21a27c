"""What file and folder names say by themselves: a fingerprint, a part of a split; and how names are shown."""

import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from spikewise.data.image_set import Role

__all__ = [
    "Fingerprint",
    "as_path",
    "file_name",
    "listed",
    "parent_of",
    "read_fingerprint",
    "role_of",
    "shown",
    "stem_and_suffix",
]

_FINGERPRINT = re.compile(
    r"(?P<subject>\d+)__(?P<gender>[MF])_(?P<hand>Left|Right)_(?P<finger>thumb|index|middle|ring|little)_finger"
    r"(?:_(?P<change>CR|Obl|Zcut))?",
    re.IGNORECASE,
)

_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
"""A byte that is no text, or a letter that no line can hold, as `shown` writes it."""
_LINES = "\u2028\u2029"

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


def file_name(path: str) -> str:
    """The last part of a path with / between its parts."""
    return path[path.rfind("/") + 1 :]


def parent_of(path: str) -> str:
    """What stands before the last part of such a path; empty where nothing does."""
    return path[: max(path.rfind("/"), 0)]


def stem_and_suffix(name: str) -> tuple[str, str]:
    """A file's name without its suffix, and that: as `PurePosixPath` tells them, in a fraction of its time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def role_of(name: str) -> Role | None:
    """The role a folder or file name prefix stands for (`train`, `val`, `test`, ...), or None."""
    return _ROLES.get(name.lower())


def shown(name: object) -> str:
    """A file's name as text on one line: what is no text (UTF-8) and what no line can hold as `\\xe9` or `\\u2028`."""
    text = str(name)
    return text if text.isprintable() else "".join(map(_letter_shown, text))


def _letter_shown(letter: str) -> str:
    if letter in _LINES or unicodedata.category(letter) in ("Cc", "Cs"):
        number = ord(letter) - 0xDC00 if "\udc80" <= letter <= "\udcff" else ord(letter)
        return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
    return letter


def _letter_of(byte: int) -> str:
    return os.fsdecode(bytes([byte]))


def as_path(text: str) -> Path:
    """The path that a text names, `~` being the user's folder; where there is none such, that which is `shown` so."""
    path = Path(text).expanduser()
    if _ESCAPED.search(text) and not os.path.lexists(path):
        raw = _ESCAPED.sub(lambda found: _letter_of(int(found[1], 16)), text)
        hidden = Path(raw).expanduser()
        return hidden if os.path.lexists(hidden) else path
    return path


def listed(names: Collection[object], most: int = 5) -> str:
    """The first names, and how many more there are."""
    first = ", ".join(shown(name) for name in list(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most:,} more"
