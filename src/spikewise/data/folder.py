"""Folders of image files: which files there are, and what their places say."""

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from spikewise.data.decode import SUFFIXES
from spikewise.data.image_set import Role
from spikewise.data.levels import Folders, proposals
from spikewise.data.load_idx import is_idx
from spikewise.data.names import file_name, listed, parent_of, read_fingerprint, role_of, shown, stem_and_suffix
from spikewise.data.subjects import Subjects
from spikewise.errors import DataError, MissingDataError

__all__ = [
    "FolderEntry",
    "Listing",
    "Tree",
    "are_classes",
    "class_tree",
    "empty_classes",
    "folders_above",
    "is_fingerprints",
    "list_folder",
    "passed_over",
    "several_names",
]

_DEEPEST = 8
_JUNK_FILES = frozenset({"thumbs.db", "desktop.ini", "readme.md", "readme.txt", "license", "license.txt"})
"""What stands beside images everywhere; files only: a class may well be called License."""
_JUNK_FOLDERS = re.compile(
    r"__macosx|__pycache__|@eadir|\$recycle\.bin|system volume information|"
    r"\.(git|svn|hg|ipynb_checkpoints|thumbnails|cache|trash.*|trashes|spotlight-v100|fseventsd|temporaryitems|"
    r"appledouble|idea|vscode|dvc|venv|tox|snapshot)",
    re.IGNORECASE,
)
"""What systems and programs leave in folders, whatever is in it."""
_SYSTEM = "lost+found"


class Listing(NamedTuple):
    """Everything below a folder, as paths relative to it, sorted part by part."""

    root: Path
    images: list[str]
    """As text, with / between: a `PurePosixPath` of each takes five times as long, and there may be millions."""
    folders: list[PurePosixPath]
    others: list[PurePosixPath]
    """Files that are not images."""
    passed: list[PurePosixPath]
    """Folders that were not looked into."""
    hidden: list[PurePosixPath]
    """Image files whose names begin with a dot, which were left out."""


class FolderEntry(NamedTuple):
    """One image file and what its place says."""

    file: str
    class_name: str
    role: Role


class Tree(NamedTuple):
    """Images of a folder with their classes, as its tree or a table says them."""

    entries: list[FolderEntry]
    left_out: tuple[str, ...] = ()
    """What is to be said of class folders without images."""
    shared: tuple[str, ...] = ()
    """What is to be said of names that stand for one part."""
    subjects: Subjects | None = None
    """Of each image, where the tree or the table says them."""
    notes: tuple[str, ...] = ()
    """How it was read."""
    cautions: tuple[str, ...] = ()
    """What of that may not be meant."""
    tables: tuple[Path, ...] = ()
    """Those that were read."""


def list_folder(root: Path) -> Listing:
    """List a folder down to its image files; hidden files and what systems leave behind are passed over.

    A folder whose name begins with a dot counts where images lie directly in it: it may be a class.

    Raises:
        MissingDataError: no such folder.
        DataError: it cannot be read, or holds no images.
    """
    listing = Listing(root, [], [], [], [], [])
    _walk(root, PurePosixPath(), listing)
    if not listing.images:
        found = (
            f"{len(listing.others)} other files, such as {shown(listing.others[0])}" if listing.others else "nothing"
        )
        raise DataError(f"{root} holds no images ({', '.join(sorted(SUFFIXES))}); found {found}.{_hint(listing)}")
    images = sorted(listing.images, key=_in_parts)
    return Listing(root, images, *(sorted(paths) for paths in listing[2:]))


def _in_parts(path: str) -> str:
    """Sorts paths as their parts: what ends a part comes before any letter."""
    return path.replace("/", "\0")


def _hint(listing: Listing) -> str:
    """Where what was looked for may be instead: arrays in a folder below."""
    arrays = [file.parent for file in listing.others if is_idx(file.name) or file.suffix.lower() == ".npz"]
    there = [listing.root / folder for folder in dict.fromkeys(arrays)]
    if len(there) == 1:
        return f" Did you mean {there[0]}? It holds arrays."
    if there:
        return f" Arrays lie in {', '.join(map(str, there[:4]))}: give the path of one, or put them into one folder."
    return f" Passed over: {listed(listing.passed)}." if listing.passed else ""


def _walk(folder: Path, relative: PurePosixPath, listing: Listing) -> None:
    above = f"{relative}/" if relative.parts else ""
    for child in _children(folder):
        if child.is_dir():
            place = relative / child.name
            if _is_passed_over(child):
                listing.passed.append(place)
            elif len(relative.parts) >= _DEEPEST:
                raise DataError(f"{folder} lies more than {_DEEPEST} folders deep (a link that leads back up?).")
            else:
                listing.folders.append(place)
                _walk(Path(child.path), place, listing)
        elif child.name.startswith(".") or child.name.lower() in _JUNK_FILES:
            if _is_image(child) and not child.name.startswith("._"):  # what macOS writes beside each file
                listing.hidden.append(relative / child.name)
        elif _is_image(child):
            listing.images.append(above + child.name)
        else:
            listing.others.append(relative / child.name)


def _is_passed_over(child: os.DirEntry[str]) -> bool:
    if _JUNK_FOLDERS.fullmatch(child.name):
        return True
    hidden, system = child.name.startswith("."), child.name.lower() == _SYSTEM
    if not hidden and not system:
        return False
    try:
        below = _children(Path(child.path))
    except DataError:  # the file system's own lost+found
        return True
    return not any(_is_image(one) and not one.name.startswith(".") for one in below) if hidden else not below


def _is_image(child: os.DirEntry[str]) -> bool:
    _, suffix = stem_and_suffix(child.name)
    return suffix.lower() in SUFFIXES


def _children(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        raise MissingDataError(f"{folder} does not exist.") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}. Check its permissions.") from error


def is_fingerprints(listing: Listing) -> bool:
    """Whether every image is named as SOCOFing names them."""
    return all(read_fingerprint(stem_and_suffix(file_name(image))[0]) for image in listing.images)


def class_tree(listing: Listing, *, roles: bool = True) -> Tree:
    """The images of a folder tree: class/file, or {train,val,test}/class/file; single outer folders are passed over.

    Class folders without images are left out, with a word.

    Args:
        roles: Whether folders called train, val or test are parts of a split; if not, they are classes.
    Raises:
        DataError: images at other depths, roles mixed with classes, or a single class that is not empty.
    """
    parents = folders_above(listing)
    depth = outer = _wrappers(parents.values(), roles)
    tops = {parts[depth] for parts in parents.values() if len(parts) > depth}
    role_by_top = {top: role_of(top) if roles else None for top in tops}
    named = [top for top, role in role_by_top.items() if role is not None]
    if named and len(named) < len(role_by_top):
        others = sorted(set(role_by_top) - set(named))
        raise DataError(
            f"{listing.root} has folders for parts ({listed(sorted(named))}) beside others ({listed(others)}). "
            f"Expected train, val, test with class folders inside, or class folders alone. {are_classes(named)}"
        )
    by_role = bool(named)
    depth += by_role
    _check_depth(listing, depth + 1, named, [parts[outer:] for parts in parents.values()], roles)
    empty = empty_classes(listing, depth + 1, parents)

    def said(parts: Sequence[str]) -> tuple[str, Role]:
        role = role_by_top[parts[depth - 1]] if by_role else None
        return parts[depth], Role.UNASSIGNED if role is None else role

    by_parent = {parent: said(parts) for parent, parts in parents.items()}
    entries = [FolderEntry(image, *by_parent[parent_of(image)]) for image in listing.images]
    return Tree(entries, empty, several_names(named))


def folders_above(listing: Listing) -> dict[str, Folders]:
    """The folders above the images, by the path that they make; there are few of them, whatever many images."""
    return {parent: tuple(filter(None, parent.split("/"))) for parent in dict.fromkeys(map(parent_of, listing.images))}


def several_names(parts: Collection[str], what: str = "folders") -> tuple[str, ...]:
    """A word on names that stand for one part, such as val and validation: both count."""
    names: dict[Role, set[str]] = {}
    for part in parts:
        role = role_of(part)
        if role is not None:
            names.setdefault(role, set()).add(part)
    return tuple(
        f"Several {what} are taken for the {role.name.lower()} part: {listed(sorted(those))}."
        for role, those in names.items()
        if len(those) > 1
    )


def are_classes(named: Collection[str]) -> str:
    """How to say that a folder called as a part is none."""
    one = f"{listed(sorted(named))} {'are classes' if len(named) > 1 else 'is a class'} like any other"
    return f"If {one}, say so: --set data.roles=false."


def _wrappers(parents: Collection[Sequence[str]], roles: bool) -> int:
    """How many outer folders hold nothing but one folder of folders (an archive unpacked into itself)."""
    depth = 0
    while True:
        tops = {parts[depth] for parts in parents if len(parts) > depth + 1}
        if (
            len(tops) != 1
            or any(len(parts) <= depth + 1 for parts in parents)
            or (roles and role_of(*tops) is not None)
        ):
            return depth
        depth += 1


def _check_depth(listing: Listing, wanted: int, named: Sequence[str], parents: Sequence[Folders], roles: bool) -> None:
    """Refuse images that lie in more or fewer than `wanted` folders, and say which levels would read them."""
    wrong = [image for image in listing.images if image.count("/") != wanted]
    if wrong:
        expected = "train|val|test/class/file" if named else "class/file"
        depths = Counter(image.count("/") for image in listing.images)
        found = ", ".join(f"{count} images {depth} folders deep" for depth, count in sorted(depths.items()))
        classes = f" {are_classes(named)}" if named and all(image.count("/") == wanted - 1 for image in wrong) else ""
        ways = [f"\n  {way}" for way in proposals(parents, roles=roles)]
        advice = "Put each image directly into the folder of its class." if not ways else (
            f"Say what each level of folders means, for example with one of these:{''.join(ways)}\n"
            "Only you know whether a level is a subject, whose images must stay on one side, and which."
        )  # fmt: skip
        raise DataError(
            f"{listing.root} is not a tree of {expected}: {found}; for example {shown(wrong[0])}.{classes} {advice}"
        )


def empty_classes(listing: Listing, depth: int, filled: Collection[str]) -> tuple[str, ...]:
    """A word on class folders that are left out, and on what is in them instead of images.

    Args:
        depth: How deep class folders lie; 1 is directly in the folder.
        filled: Those that hold images.
    """
    empty = [folder for folder in listing.folders if len(folder.parts) == depth and str(folder) not in filled]
    if not empty:
        return ()
    inside = [file for file in listing.others if any(file.is_relative_to(folder) for folder in empty)]
    found = f" They hold {len(inside):,} files that are not images, such as {shown(inside[0])}." if inside else ""
    kinds = f" Images are {', '.join(sorted(SUFFIXES))}." if inside else ""
    return (f"Class folders without images were left out: {listed(empty)}.{found}{kinds}",)


def passed_over(listing: Listing, tables: Collection[Path] = ()) -> Sequence[str]:
    """Notes on what was not read: folders, hidden images, files that are not images, save the tables that were read."""
    notes = []
    others = [file for file in listing.others if listing.root / file not in tables] if tables else listing.others
    if listing.passed:
        notes.append(f"Folders passed over: {listed(listing.passed)}.")
    for files, what in (
        (listing.hidden, "image files hidden by a dot in front"),
        (others, "files that are not images"),
    ):
        if files:
            notes.append(f"{len(files)} {what} were passed over, such as {shown(files[0])}.")
    return notes
