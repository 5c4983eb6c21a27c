"""Where image sets are looked for on this machine."""

import os
from pathlib import Path

import pooch

from spikewise.data.catalog import CATALOG, KnownSet
from spikewise.errors import DataError, MissingDataError, StorageError

__all__ = ["cache_folder", "data_folders", "default_data_folder", "find_files", "find_folder", "find_npz"]


def data_folders(data_dir: Path | None) -> list[Path]:
    """Folders to search, in order: the one given, $SPIKEWISE_DATA, the user's cache folder."""
    named = os.environ.get("SPIKEWISE_DATA")
    given = [data_dir] if data_dir is not None else []
    return [*given, *([_at_home(named)] if named else []), Path(pooch.os_cache("spikewise"))]


def default_data_folder(data_dir: Path | None) -> Path:
    """Where downloads go: the first of `data_folders`."""
    return data_folders(data_dir)[0]


def cache_folder(cache_dir: Path | None) -> Path:
    """Where decoded images are kept: the folder given, $SPIKEWISE_CACHE, or below the user's cache folder."""
    if cache_dir is not None:
        return cache_dir
    named = os.environ.get("SPIKEWISE_CACHE")
    return _at_home(named) if named else Path(pooch.os_cache("spikewise")) / "decoded"


def _at_home(named: str) -> Path:
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise StorageError(
            f"'{named}' is below a home that this user does not have. Give SPIKEWISE_CACHE and SPIKEWISE_DATA whole "
            "paths."
        ) from None


def candidates(known: KnownSet, data_dir: Path | None) -> list[Path]:
    """Folders in which a known set may lie, existing ones only, in the order of the search."""
    places = [folder / below for folder in data_folders(data_dir) for below in known.folders]
    return [place for place in places if place.is_dir()]


def find_files(known: KnownSet, names: tuple[str, ...], data_dir: Path | None) -> list[Path]:
    """The files of a set that are all in one folder, each as named or without `.gz`.

    Raises:
        MissingDataError: no folder holds them all; the message says where they were looked for and how to get them.
    """
    partial = ""
    for folder in candidates(known, data_dir):
        found = [_either(folder, name) for name in names]
        present = [path for path in found if path is not None]
        if len(present) == len(names):
            return present
        if present and not partial:
            absent = [name for name, path in zip(names, found, strict=True) if path is None]
            partial = f" {folder} holds a part of it; missing: {', '.join(absent)}."
    raise missing(known, data_dir, partial)


def find_npz(known: KnownSet, data_dir: Path | None) -> tuple[Path, bool]:
    """The file of a MedMNIST set, and whether it has the published name.

    A file of another name counts only in the set's own folder, and only if it is the single one, or the single one
    called "full".

    Raises:
        MissingDataError: there is none.
        DataError: there are several, and none has the published name.
    """
    for folder in candidates(known, data_dir):
        official = folder / known.files[0].name
        if official.is_file():
            return official, True
        if folder.name != known.name:
            continue
        others = sorted(folder.glob("*.npz"))
        full = [path for path in others if "full" in path.stem.lower()]
        if len(others) > 1 and len(full) != 1:
            names = ", ".join(path.name for path in others)
            raise DataError(f"{folder} holds {names}, none called {official.name}. Give the path of the one you mean.")
        if others:
            return (full or others)[0], False
    raise missing(known, data_dir)


def find_folder(known: KnownSet, data_dir: Path | None) -> Path:
    """The folder of a set of image files.

    Raises:
        MissingDataError: there is none; the message says how to get it.
        DataError: it cannot be read.
    """
    for folder in candidates(known, data_dir):
        try:
            filled = any(child.is_dir() for child in folder.iterdir())
        except OSError as error:
            raise DataError(f"{folder} cannot be read: {error.strerror}. Check its permissions.") from error
        if filled:
            return folder
    raise missing(known, data_dir)


def missing(known: KnownSet, data_dir: Path | None, detail: str = "") -> MissingDataError:
    """The error for a set that is nowhere, with the way to get it."""
    looked = ", ".join(str(folder / known.folders[0]) for folder in data_folders(data_dir))
    if known.manual is None:
        advice = f"Get it with: spikewise data download {known.name}"
    else:
        advice = f"It needs an account:\n{known.manual.format(data_dir=default_data_folder(data_dir))}"
    return MissingDataError(f"{known.title} was not found (looked in {looked}).{detail} {advice}")


def known_names() -> list[str]:
    """Every name that `load_data` knows."""
    return sorted(CATALOG)


def _either(folder: Path, name: str) -> Path | None:
    plain = folder / name.removesuffix(".gz")
    dotted = plain.with_name(plain.name.replace("-idx", ".idx"))
    paths = (folder / name, plain, dotted, dotted.with_name(f"{dotted.name}.gz"))
    return next((path for path in paths if path.is_file()), None)
