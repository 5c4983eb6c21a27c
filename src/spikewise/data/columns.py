"""Which column of a table of labels says what: as asked, or by its name where that is unmistakable."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from spikewise.data.names import listed, shown
from spikewise.errors import nearest
from spikewise.shell import word

__all__ = ["BAR", "ROLES", "ColumnRole", "Columns", "Unclear", "are_in", "choose_columns", "read_columns", "setting"]

ColumnRole = Literal["file", "class", "subject", "part"]
"""What a column says of an image."""

ROLES: Final[tuple[ColumnRole, ...]] = ("file", "class", "subject", "part")

_NAMES: Final[Mapping[ColumnRole, tuple[str, ...]]] = {
    "file": (
        "filename file filepath path imagepath imagefile imagefilename imagefilepath imgpath imgfile",
        "image img imageid imgid imagename imgname imageindex idcode isicid",
        "id name",
    ),
    "class": ("class classname label labels labelname target diagnosis category categoryname dx disease finding y",),
    "subject": (
        "subject subjectid subjectname patient patientid patientname patientnumber person personid participant "
        "participantid individual individualid case caseid donor donorid animal animalid",
        "lesion lesionid",
    ),
    "part": ("part split set subset partition dataset",),
}
BAR: Final = "|"
"""Between the names of columns that are a class each."""
_FEW: Final = 8
"""Names of columns that a sentence has."""
"""Usual names, without spaces, signs and case; those of an earlier row go before those of a later one."""


class Columns(NamedTuple):
    """Position of each column that is read; None where the table has none, or it is not asked for."""

    file: int
    classes: tuple[int, ...]
    """One, which holds the class; or one for each class (one-hot), of which every row has a 1 in one."""
    subject: int | None
    part: int | None

    def said(self, header: Sequence[str]) -> str:
        """What each column says, for people."""
        one = f"'{shown(header[self.classes[0]])}'"
        several = f"the one column with a 1 among {listed([header[at] for at in self.classes], _FEW)}"
        words = [f"file from '{shown(header[self.file])}'", f"class from {one if len(self.classes) == 1 else several}"]
        for role, at in (("subject", self.subject), ("part", self.part)):
            words += [] if at is None else [f"{role} from '{shown(header[at])}'"]
        return ", ".join(words)


class Unclear(NamedTuple):
    """Why no columns were chosen, and which could be: by role, in the table's order."""

    why: str
    choices: Mapping[ColumnRole, Sequence[str]]
    known: Mapping[ColumnRole, str]
    """What is clear all the same."""
    lacking: tuple[ColumnRole, ...] = ()
    """What no column is called as."""
    attributes: str = ""
    """Why columns of 0 and 1 are no classes, of which an image has one; empty where there are none."""


def read_columns(value: object) -> object:
    """`file=image_id,class=dx` as a table; raises ValueError where it is none of column names."""
    if isinstance(value, str):
        pairs = [one.partition("=") for one in value.split(",") if one.strip()]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError(f"columns are file=NAME,class=NAME and, where there are any, subject=NAME,part=NAME; "
                             f"got '{value[:60]}'")  # fmt: skip
        if len({key.strip() for key, _, _ in pairs}) < len(pairs):
            raise ValueError(f"a column is named twice in '{value[:60]}'")
        value = {key.strip(): name.strip() for key, _, name in pairs}
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if key not in ROLES:
            close = nearest(str(key), ROLES)
            hint = f" Did you mean '{close}'?" if close else ""
            raise ValueError(f"a column is the file, class, subject or part; got '{str(key)[:40]}'.{hint}")
    named = {key: str(name) if isinstance(name, int) and not isinstance(name, bool) else name
             for key, name in value.items()}  # fmt: skip
    twice = [name for name in named.values() if list(named.values()).count(name) > 1]
    if twice:
        raise ValueError(f"one column cannot say two things: '{str(twice[0])[:40]}'")
    return named


def choose_columns(
    header: Sequence[str], asked: Mapping[ColumnRole, str], *, subjects: bool, parts: bool
) -> Columns | Unclear:
    """The columns that a header has for each role; those that were asked for, else those of a usual name.

    Args:
        header: Names of the columns, in their order.
        asked: Names that were asked for.
        subjects, parts: Whether columns for them are looked for where none was asked for.
    """
    found: dict[ColumnRole, int] = {}
    classes: tuple[int, ...] = ()
    for role, name in asked.items():
        names = name.split(BAR) if role == "class" and not _places(header, name) else [name]
        for one in names:
            places = _places(header, one)
            if len(places) != 1:
                return Unclear(_not_one(one, places, header), {}, {})
            classes += (places[0],) if role == "class" else ()
        found[role] = places[0]
    if len(set(classes)) < len(classes):
        return Unclear("a column stands for two classes", {}, {})
    choices: dict[ColumnRole, list[str]] = {}
    for role in ROLES:
        if role in found or (role == "subject" and not subjects) or (role == "part" and not parts):
            continue
        free = [place for place in range(len(header)) if place not in (*found.values(), *classes)]
        places = _usual(header, free, role)
        if len(places) > 1:
            choices[role] = [header[place] for place in places]
        elif places:
            found[role] = places[0]
    lacking = [role for role in ROLES[:2] if role not in found and role not in choices]
    if lacking or choices:
        several = [
            f"several columns may be the {role} ({', '.join(map(shown, names))})" for role, names in choices.items()
        ]
        none = [f"no column is called as the {role} usually is" for role in lacking]
        known = {role: header[place] for role, place in found.items()}
        return Unclear("; ".join((*several, *none)), choices, known, tuple(lacking))
    return Columns(found["file"], classes or (found["class"],), found.get("subject"), found.get("part"))


def are_in(header: Sequence[str], name: str) -> bool:
    """Whether a header has a column that was asked for, or each of several."""
    return name in header or set(name.split(BAR)) <= set(header)


def _usual(header: Sequence[str], free: Sequence[int], role: ColumnRole) -> list[int]:
    for names in _NAMES[role]:
        places = [place for place in free if _plain(header[place]) in names.split()]
        if places:
            return places
    return []


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _places(header: Sequence[str], name: str) -> list[int]:
    exact = [place for place, one in enumerate(header) if one == name]
    return exact or [place for place, one in enumerate(header) if one.strip().casefold() == name.strip().casefold()]


def _not_one(name: str, places: Sequence[int], header: Sequence[str]) -> str:
    if places:
        return f"{len(places)} columns are called '{shown(name)}'"
    close = nearest(name, header)
    return f"no column is called '{shown(name)}'" + (f" (did you mean '{shown(close)}'?)" if close else "")


def setting(names: Mapping[ColumnRole, str]) -> str:
    """The option that asks for these columns, ready to copy; a name that is not known yet stands in capitals."""
    if any("," in name or "=" in name for name in names.values()):
        return " ".join(f"--set {word(f'data.columns.{role}={name}')}" for role, name in names.items())
    return f"--set {word('data.columns=' + ','.join(f'{role}={name}' for role, name in names.items()))}"
