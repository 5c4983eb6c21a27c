"""Folders of image files: which files there are, and what their places say."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from spikewise.data.decode import SUFFIXES
from spikewise.data.image_set import Role
from spikewise.data.names import read_fingerprint, role_of
from spikewise.errors import DataError, MissingDataError

__all__ = ["Entry", "Listing", "class_tree", "is_fingerprints", "list_folder", "other_files"]

_DEEPEST = 8
_JUNK = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "lost+found", "readme.md", "readme.txt", "license", "license.txt"}
)


class Listing(NamedTuple):
    """Everything below a folder, as paths relative to it, sorted."""

    root: Path
    images: list[PurePosixPath]
    folders: list[PurePosixPath]
    others: list[PurePosixPath]
    """Files that are not images."""


class Entry(NamedTuple):
    """One image file and what its place says."""

    file: str
    class_name: str
    role: Role


def list_folder(root: Path) -> Listing:
    """List a folder down to its image files; hidden files and operating-system clutter are passed over.

    Raises:
        MissingDataError: no such folder.
        DataError: it cannot be read, or holds no images.
    """
    listing = Listing(root, [], [], [])
    _walk(root, PurePosixPath(), listing)
    if not listing.images:
        found = f"{len(listing.others)} other files, such as {listing.others[0]}" if listing.others else "nothing"
        raise DataError(f"{root} holds no images ({', '.join(sorted(SUFFIXES))}); found {found}.")
    return Listing(root, *(sorted(paths) for paths in listing[1:]))


def _walk(folder: Path, relative: PurePosixPath, listing: Listing) -> None:
    try:
        children = list(folder.iterdir())
    except FileNotFoundError:
        raise MissingDataError(f"{folder} does not exist.") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}. Check its permissions.") from error
    for child in children:
        if child.name.startswith(".") or child.name.lower() in _JUNK:
            continue
        if child.suffix.lower() in SUFFIXES:
            listing.images.append(relative / child.name)
        elif child.is_dir():
            if len(relative.parts) >= _DEEPEST:
                raise DataError(f"{folder} lies more than {_DEEPEST} folders deep (a link that leads back up?).")
            listing.folders.append(relative / child.name)
            _walk(child, relative / child.name, listing)
        else:
            listing.others.append(relative / child.name)


def is_fingerprints(listing: Listing) -> bool:
    """Whether every image is named as SOCOFing names them."""
    return all(read_fingerprint(image.stem) for image in listing.images)


def class_tree(listing: Listing) -> list[Entry]:
    """The images of a folder tree: class/file, or {train,val,test}/class/file; single outer folders are passed over.

    Raises:
        DataError: images at other depths, an empty class folder, roles mixed with classes.
    """
    depth = _wrappers(listing)
    tops = {image.parts[depth] for image in listing.images if len(image.parts) > depth + 1}
    roles = {top: role_of(top) for top in tops}
    named = [top for top, role in roles.items() if role is not None]
    if named and len(named) < len(roles):
        others = sorted(set(roles) - set(named))
        raise DataError(
            f"{listing.root} has folders for parts ({', '.join(sorted(named))}) beside others "
            f"({', '.join(others[:5])}). Expected train, val, test with class folders inside, or class folders alone."
        )
    by_role = bool(named)
    depth += by_role
    _check_depth(listing, depth + 2, by_role)
    _check_empty(listing, depth + 1)

    def entry(image: PurePosixPath) -> Entry:
        role = roles[image.parts[depth - 1]] if by_role else None
        return Entry(str(image), image.parts[depth], Role.UNASSIGNED if role is None else role)

    return [entry(image) for image in listing.images]


def _wrappers(listing: Listing) -> int:
    """How many outer folders hold nothing but one folder of folders (an archive unpacked into itself)."""
    depth = 0
    while True:
        tops = {image.parts[depth] for image in listing.images if len(image.parts) > depth + 2}
        if (
            len(tops) != 1
            or any(len(image.parts) <= depth + 2 for image in listing.images)
            or role_of(*tops) is not None
        ):
            return depth
        depth += 1


def _check_depth(listing: Listing, wanted: int, by_role: bool) -> None:
    wrong = [image for image in listing.images if len(image.parts) != wanted]
    if wrong:
        expected = "train|val|test/class/file" if by_role else "class/file"
        depths = Counter(len(image.parts) - 1 for image in listing.images)
        found = ", ".join(f"{count} images {depth} folders deep" for depth, count in sorted(depths.items()))
        raise DataError(
            f"{listing.root} is not a tree of {expected}: {found}; for example {wrong[0]}. "
            "Put each image directly into the folder of its class."
        )


def _check_empty(listing: Listing, depth: int) -> None:
    filled = {image.parent for image in listing.images}
    empty = [str(folder) for folder in listing.folders if len(folder.parts) == depth and folder not in filled]
    if empty:
        raise DataError(
            f"{listing.root} has class folders without images: {', '.join(empty[:5])}. Fill or remove them."
        )


def other_files(listing: Listing) -> Sequence[str]:
    """A note on files that are not images, if there are any."""
    if not listing.others:
        return ()
    return (f"{len(listing.others)} files that are not images were passed over, such as {listing.others[0]}.",)
