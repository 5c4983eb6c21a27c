"""A split in a file: which images of one very set are for training, validation and test."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError

from spikewise.config import Config
from spikewise.data.image_set import ImageSet, Split
from spikewise.errors import DataError, MissingDataError
from spikewise.files import write_text
from spikewise.shell import word

__all__ = ["SplitFile", "read_split"]

_Positions = tuple[Annotated[int, Field(ge=0)], ...]


class SplitFile(Config):
    """The content of a split file (JSON); positions count the images of the set from 0."""

    format: Literal[1] = 1
    name: str
    """Of the set; for people."""
    fingerprint: str
    """Of the set: the file fits no other, nor the same images in another size, order or labelling."""
    images: Annotated[int, Field(ge=1)]
    """How many images the set has."""
    train: _Positions
    validation: _Positions
    test: _Positions
    left_out: dict[str, _Positions] = {}  # noqa: RUF012  (pydantic copies defaults)
    """Images in no part, by the reason why."""
    made_by: str = ""
    """Program and version; for people."""

    @property
    def split(self) -> Split:
        """The three parts, sorted."""
        return Split(*(np.sort(np.array(part, np.int64)) for part in (self.train, self.validation, self.test)))

    def describe(self) -> str:
        """How many images are in each part, and why the others are in none."""
        parts = ", ".join(f"{name} {len(part):,}" for name, part in self.split._asdict().items())
        out = "; ".join(f"{len(which):,} left out ({why})" for why, which in self.left_out.items())
        return f"{parts}; {out}" if out else parts

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        write_text(path, self.model_dump_json() + "\n")


def read_split(path: Path, image_set: ImageSet) -> Split:
    """The split of a file, if it is one of this set.

    Raises:
        MissingDataError: no such file.
        DataError: no split file, one of another set, positions that are not in the set or in two parts, an empty part.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingDataError(
            f"The split file {path} does not exist. `spikewise audit DATA --fix {word(path)}` writes one."
        ) from None
    except OSError as error:
        raise DataError(f"The split file {path} cannot be read: {error.strerror}.") from error
    try:
        found = SplitFile.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ").rstrip(".")
        raise DataError(
            f"{path} is not a split file of this version: {problem}. Expected what --fix of "
            "`spikewise audit` writes: JSON with name, fingerprint, images, train, validation and test."
        ) from error
    _check_set(path, found, image_set)
    _check_parts(path, found)
    return found.split


def _check_set(path: Path, found: SplitFile, image_set: ImageSet) -> None:
    if found.fingerprint != image_set.fingerprint or found.images != len(image_set):
        raise DataError(
            f"{path} divides {found.name} with fingerprint {found.fingerprint[:12]} ({found.images:,} images); "
            f"this is {image_set.name} with fingerprint {image_set.fingerprint[:12]} ({len(image_set):,} images). "
            "Use the data options it was made with (size, grey, target, part, subjects), or make it again with --fix."
        )


def _check_parts(path: Path, found: SplitFile) -> None:
    empty = [name for name, part in found.split._asdict().items() if not len(part)]
    if empty:
        raise DataError(f"{path}: the part {empty[0]} is empty. Each part needs images.")
    chosen = np.concatenate(found.split)
    if chosen.max() >= found.images:
        raise DataError(f"{path} names image {chosen.max()}, and the set has {found.images:,} (0..{found.images - 1}).")
    twice = np.flatnonzero(np.bincount(chosen) > 1)
    if len(twice):
        raise DataError(
            f"{path} names {len(twice):,} images more than once, such as {twice[0]}. An image belongs to one part."
        )
