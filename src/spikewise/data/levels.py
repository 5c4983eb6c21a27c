"""What each level of folders says of an image: `data.levels`, and the levels that would read a tree."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from spikewise.data.names import listed, role_of
from spikewise.errors import nearest
from spikewise.shell import word

__all__ = ["NOTHING", "REST", "Proposal", "Words", "check_levels", "outer_folders", "proposals", "words_of"]

NOTHING: Final = "*"
"""Stands for a level that says nothing."""
REST: Final = "**"
"""Stands, at the end, for any number of such levels."""
_ONCE: Final = ("part", "class", "subject")
_FEW: Final = 20
"""Names of a level that might be classes although another level has fewer."""
_MOST: Final = 8
"""Levels: as many as a folder is listed down to."""

Folders = Sequence[str]
"""The folders above a file, outermost first."""


def check_levels(text: str) -> str:
    """The levels in their usual form, such as `class/subject`; a `file` at the end is taken off.

    Raises:
        ValueError: what is wrong with them.
    """
    words = [one.strip().casefold() for one in text.strip().strip("/").split("/")]
    words = words[:-1] if words[-1] == "file" else words
    choices = (*_ONCE, NOTHING, REST)
    for one in words:
        if one not in choices:
            close = nearest(one, choices)
            hint = f" Did you mean '{close}'?" if close else ""
            raise ValueError(
                f"'{one[:40]}' is no level.{hint} A level is part, class, subject, * (says nothing) or, at the end, ** "
                "(any depth), such as class/subject"
            )
    twice = [one for one in _ONCE if words.count(one) > 1]
    if twice:
        raise ValueError(f"'{twice[0]}' stands twice, and one level says it")
    if "class" not in words:
        raise ValueError("no level is the class, such as in class/subject")
    if REST in words[:-1]:
        raise ValueError("** stands at the end alone: what is below has any depth")
    if len(words) > _MOST:
        raise ValueError(f"there are {len(words)} levels, and at most {_MOST} are read")
    return "/".join(words)


class Words(NamedTuple):
    """Levels as they are read."""

    names: tuple[str, ...]
    any_depth: bool
    """Whether further folders may lie below the last level."""


def words_of(levels: str) -> Words:
    """Levels that `check_levels` gave, one by one."""
    words = tuple(levels.split("/"))
    return Words(words[:-1], any_depth=True) if words[-1] == REST else Words(words, any_depth=False)


def outer_folders(parents: Collection[Folders], words: Words) -> int:
    """How many outer folders hold nothing but one folder, and stand above the levels (an archive unpacked into itself).

    Args:
        parents: The folders above the images.
    """
    first, *rest = parents
    shared = 0
    while shared < len(first) and all(len(one) > shared and one[shared] == first[shared] for one in rest):
        shared += 1
    if "part" in words.names:
        shared = next((place for place, name in enumerate(first[:shared]) if role_of(name) is not None), shared)
    return max(0, min(shared, min(map(len, parents)) - len(words.names)))


class Proposal(NamedTuple):
    """A way to read a tree."""

    levels: str
    says: str
    """What it would find, for people."""

    def __str__(self) -> str:
        return f"--set {word(f'data.levels={self.levels}')} ({self.says})"


def proposals(parents: Collection[Folders], *, roles: bool) -> list[Proposal]:
    """Ways to read a tree that is not one of class folders, the likeliest first; at most three.

    The class is taken for the level with the fewest names, which repeat below others where it is not the outermost.
    Which of the others is a subject nothing in the names tells, so one way says that, and another that none is.

    Args:
        parents: The folders above the images, without those that hold nothing but one folder.
        roles: Whether folders called train, val or test are parts.
    """
    tops = {one[0] for one in parents if one}
    parted = roles and bool(tops) and all(role_of(top) is not None for top in tops)
    inner = [one[parted:] for one in parents]
    depths = set(map(len, inner))
    front = "part/" * parted
    if not inner or min(depths) == 0:
        return []
    if len(depths) > 1 or max(depths) > _MOST:
        return [Proposal(f"{front}class/{REST}", _classes(inner, 0))] if len({one[0] for one in inner}) > 1 else []
    below = depths.pop()
    levels_of_parts = [at for at in range(below) if all(role_of(one[at]) is not None for one in inner)]
    part = levels_of_parts[0] if roles and levels_of_parts else None
    return list(dict.fromkeys(_of_one_depth(inner, below, front, part)))[:3]


def _of_one_depth(inner: Sequence[Folders], depth: int, front: str, part: int | None) -> Iterator[Proposal]:
    """Ways to read folders of one depth.

    Args:
        front: What stands before all of these levels.
        part: The level among them whose folders are parts.
    """
    levels = [level for level in range(depth) if level != part]
    names = {level: {one[level] for one in inner} for level in levels}
    order = sorted((level for level in levels if len(names[level]) > 1), key=lambda level: (len(names[level]), level))
    if depth < 2 or not order:
        return
    words = ["part" if level == part else NOTHING for level in range(depth)]
    first = order[0]
    others = [level for level in levels if level != first]
    if not others:
        yield _proposal(inner, front, words, first, None)
        return
    near = min(others, key=lambda level: (abs(level - first), -level))
    yield _proposal(inner, front, words, first, near)
    yield _proposal(inner, front, words, first, None)
    if len(others) > 1:
        yield _proposal(inner, front, words, first, max({*others} - {near}))
    elif len(order) > 1 and len(names[order[1]]) <= _FEW:
        yield _proposal(inner, front, words, order[1], first)


def _proposal(inner: Sequence[Folders], front: str, levels: Sequence[str], kind: int, subject: int | None) -> Proposal:
    words = list(levels)
    words[kind] = "class"
    who = "nothing says who is on an image"
    if subject is not None:
        words[subject] = "subject"
        people = sorted({one[subject] for one in inner})
        who = f"{len(people):,} subject{'' if len(people) == 1 else 's'}, such as {listed(people[:2])}"
    return Proposal(front + "/".join(words), f"{_classes(inner, kind)}; {who}")


def _classes(inner: Sequence[Folders], level: int) -> str:
    names = sorted({one[level] for one in inner})
    return f"{len(names):,} class{'' if len(names) == 1 else 'es'}: {listed(names, 3)}"
