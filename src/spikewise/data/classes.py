"""Class names: which of them are one and the same, and which only look it."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spikewise.data.names import listed, shown
from spikewise.errors import DataError

__all__ = ["Classes", "alike", "match_classes", "one_class", "unify"]


class Classes(NamedTuple):
    """The classes of a set, in label order."""

    names: tuple[str, ...]
    label: dict[str, int]
    """By name as it stands in the files or folders."""
    cautions: tuple[str, ...]


def one_class(name: str) -> str:
    """What a class is called: composed (Unicode NFC), without outer spaces, bytes that are no text escaped."""
    return unicodedata.normalize("NFC", shown(name)).strip() or name


def _look(name: str) -> str:
    """What names have in common that a reader would take for one: case, separators and compatible letters as one."""
    return unicodedata.normalize("NFKC", _spoken(unicodedata.normalize("NFKC", name)).casefold())


def _spoken(name: str) -> str:
    """The name in lower case, with one kind of separator between its words; a leading minus stays one."""
    return re.sub(r"(?<=[^\W_])[\s_\-]+(?=[^\W_])", " ", one_class(name).lower())


def unify(found: Iterable[str]) -> Classes:
    """Number the classes in the order of their names; names that differ in form or outer spaces alone are one class.

    Raises:
        DataError: a name of bytes that are no text reads like another's.
    """
    raw = sorted(set(found))
    names = list(dict.fromkeys(one_class(name) for name in raw))
    label = {name: names.index(one_class(name)) for name in raw}
    for position, name in enumerate(names):
        forms = [one for one in raw if label[one] == position]
        if len({shown(one) != one for one in forms}) > 1:
            raise DataError(
                f"Two classes read '{name}', one of them with bytes that are no text (UTF-8). Rename one of the two."
            )
    several = [name for position, name in enumerate(names) if list(label.values()).count(position) > 1]
    cautions = [f"Names that differ in outer spaces or in Unicode form alone are one class: {listed(several)}."]
    return Classes(tuple(names), label, tuple(cautions) if several else ())


def alike(classes: Sequence[str]) -> tuple[str, ...]:
    """A caution that names the classes that look the same: apart from case, spaces, hyphens and compatible letters."""
    by_look: dict[str, list[str]] = {}
    for name in classes:
        by_look.setdefault(_look(name), []).append(name)
    doubles = [" and ".join(f"'{name}'" for name in names) for names in by_look.values() if len(names) > 1]
    if not doubles:
        return ()
    return (f"Classes that look alike are kept apart: {'; '.join(doubles[:5])}. If they are one, give them one name.",)


def match_classes(theirs: Sequence[str], ours: Sequence[str]) -> dict[str, int]:
    """For each of their names the label that it has among ours; names that are not there are left out.

    A name is taken as it is where that is possible, then in the form of `one_class`, then without regard to case and
    separators; in each step
    only where the answer is the only one on both sides, so that `A` and `a` stay two.
    """
    found: dict[str, int] = {}
    for form in (str, one_class, _spoken):
        left = [name for name in theirs if name not in found]
        free = [label for label in range(len(ours)) if label not in found.values()]
        for name in left:
            same = [label for label in free if form(ours[label]) == form(name)]
            if len(same) == 1 and sum(form(other) == form(name) for other in left) == 1:
                found[name] = same[0]
    return found
