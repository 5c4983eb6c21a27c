"""Folder trees of any depth, read by `data.levels`."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from spikewise.data.classes import match_classes, one_class
from spikewise.data.folder import (
    FolderEntry,
    Listing,
    Tree,
    are_classes,
    empty_classes,
    folders_above,
    several_names,
)
from spikewise.data.image_set import Role, SubjectsRule
from spikewise.data.levels import NOTHING, Folders, Words, outer_folders, words_of
from spikewise.data.names import file_name, listed, parent_of, role_of, shown
from spikewise.data.subjects import Subjects, said_subjects
from spikewise.errors import DataError

__all__ = ["Place", "in_class_order", "level_tree"]


class Place(NamedTuple):
    """What is said of an image: by the folders above it, or by a row of a table."""

    part: str
    """Empty where nothing says one."""
    class_name: str
    subject: str
    """Empty where nothing says one."""


def level_tree(listing: Listing, levels: str, *, roles: bool, expected: Sequence[str] = ()) -> Tree:
    """The images of a folder whose levels mean what `levels` says; single outer folders are passed over.

    A subject is told by its folder's name alone: below two classes, or in two parts, it is the same one.

    Args:
        levels: As `check_levels` gives them.
        roles: Whether folders called train, val or test are parts of a split.
        expected: Names of classes that tell one's folder from an outer one, where a set may have a single class.
    Raises:
        DataError: images in more or fewer folders, parts that are none, or parts where none are expected.
    """
    words = words_of(levels)
    parents = folders_above(listing)
    outer = _known_as_classes(parents.values(), words, outer_folders(parents.values(), words), expected)
    _check_depth(listing, levels, parents, outer)
    places = {parent: _place(dict(zip(words.names, parts[outer:], strict=False))) for parent, parts in parents.items()}
    tops = {parts[outer] for parts in parents.values()}
    parts = {place.part for place in places.values() if place.part}
    _check_parts(listing, levels, parts, tops if roles else ())
    if roles:
        _check_no_parts(listing, levels, [above[outer:] for above in parents.values()])
    at = outer + words.names.index("class") + 1
    filled = {"/".join(above[:at]) for above in parents.values()}
    wrapping = next(iter(parents.values()))[:outer]
    notes = [f"What folders mean was said: data.levels={levels}."]
    if outer:
        notes.append(
            f"The outer {'folders' if outer > 1 else 'folder'} {'/'.join(map(shown, wrapping))} means nothing."
        )
    said = {image: places[parent_of(image)] for image in listing.images}
    entries = in_class_order(said)
    subjects: Subjects | None = None
    cautions: tuple[str, ...] = ()
    if "subject" in words.names:
        rule = SubjectsRule(f"the names of folders (data.levels={levels})", "stated")
        subjects = said_subjects([one_class(said[entry.file].subject) for entry in entries], rule)
        cautions = _shared(words.names, [above[outer:] for above in parents.values()])
    return Tree(
        entries,
        left_out=empty_classes(listing, at, filled),
        shared=several_names(parts),
        subjects=subjects,
        notes=tuple(notes),
        cautions=cautions,
    )


def _known_as_classes(parents: Collection[Folders], words: Words, outer: int, expected: Sequence[str]) -> int:
    """How many folders are outer ones: fewer than could be, where the classes below these are those that are expected.

    Of a fixed depth there is no doubt.
    """
    if not words.any_depth or not expected:
        return outer
    at = words.names.index("class")
    depths: list[int] = [outer, *range(outer)]
    for taken in depths:  # an outer folder may be called as a class, with the classes below it
        found = sorted({one_class(one[taken + at]) for one in parents})
        if len(match_classes(found, expected)) == len(found):
            return taken
    return outer


def in_class_order(said: Mapping[str, Place]) -> list[FolderEntry]:
    """Image files in the order in which they would lie in folders of their classes: by part, class and file name.

    So the same images with the same names are divided and trained on alike, however they are stored.
    """

    def order(image: str) -> str:
        part, class_name, _ = said[image]
        return f"{part}\0{class_name}\0{file_name(image)}\0{image}"

    return [FolderEntry(image, said[image].class_name, _role(said[image].part)) for image in sorted(said, key=order)]


def _role(part: str) -> Role:
    role = role_of(part)
    return Role.UNASSIGNED if role is None else role


def _place(said: Mapping[str, str]) -> Place:
    return Place(said.get("part", ""), said["class"], said.get("subject", ""))


def _check_depth(listing: Listing, levels: str, parents: Mapping[str, Folders], outer: int) -> None:
    names, any_depth = words_of(levels)
    wrong = {
        parent
        for parent, parts in parents.items()
        if len(parts) - outer < len(names) or (len(parts) - outer > len(names) and not any_depth)
    }
    if not wrong:
        return
    first = next(image for image in listing.images if parent_of(image) in wrong)
    count = sum(parent_of(image) in wrong for image in listing.images)
    depth = len(parents[parent_of(first)]) - outer
    least = "at least " if any_depth else ""
    raise DataError(
        f"data.levels={levels} says that each image of {listing.root} lies {least}{_folders(len(names))} deep; "
        f"{count:,} of {len(listing.images):,} do not, such as {shown(first)} ({_folders(depth)}). Say it for all of "
        "them: * stands for a level that says nothing, and ** at the end for any depth."
    )


def _folders(count: int) -> str:
    return f"{count} folder{'' if count == 1 else 's'}"


def _check_parts(listing: Listing, levels: str, parts: Collection[str], tops: Collection[str]) -> None:
    """Folders for parts are called so, and nothing else is."""
    strange = sorted(part for part in parts if role_of(part) is None)
    if strange:
        raise DataError(
            f"{listing.root} has folders where data.levels={levels} says parts of a split, and they are called "
            f"{listed(strange)}. A part is called train, val or test."
        )
    named = [top for top in tops if role_of(top) is not None] if not parts else []
    if named:
        raise DataError(
            f"{listing.root} has folders for parts ({listed(sorted(named))}), and data.levels={levels} has no word for "
            f"them: part, as in part/{levels}. {are_classes(named)}"
        )


def _check_no_parts(listing: Listing, levels: str, folders: Sequence[Folders]) -> None:
    """A level whose folders are all called as parts is that of the parts, wherever it stands."""
    words = words_of(levels).names
    for at, one in enumerate(words):
        found = sorted({above[at] for above in folders})
        if one != "part" and all(role_of(name) is not None for name in found):
            better = "/".join("part" if here == at else other for here, other in enumerate(words))
            raise DataError(
                f"The folders of {listing.root} that data.levels={levels} calls '{one}' are parts of a split "
                f"({listed(found)}): data.levels={better} reads them so. {are_classes(found)}"
            )


def _shared(names: Sequence[str], folders: Collection[Folders]) -> tuple[str, ...]:
    """A word on subjects that have several folders.

    Args:
        names: The words for the levels.
        folders: The folders above the images, without outer ones.
    """
    at = names.index("subject")
    held = Counter(one_class(those[-1]) for those in {parts[: at + 1] for parts in map(tuple, folders)})
    count = sum(number > 1 for number in held.values())
    if not count:
        return ()
    anew = names[at - 1] if names[at - 1] != NOTHING else "folder"
    return (
        f"{count:,} of {len(held):,} subjects have several folders: one name is taken for one subject, whose images "
        f"stay together. If names were given anew below each {anew}, give the folders names of their own.",
    )
