"""`DataConfig`: which images to read, and in what shape."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from spikewise.config import Config
from spikewise.data.columns import ColumnRole, read_columns
from spikewise.data.image_set import Aspect
from spikewise.data.label_file import SUFFIXES
from spikewise.data.levels import check_levels
from spikewise.data.names import shown
from spikewise.data.patterns import check_pattern

__all__ = ["MAX_PIXELS", "MAX_SIDE", "Background", "DataConfig", "Layout", "Size", "Sizing"]

MAX_PIXELS = 89_478_485
"""Pillow's own limit for one image: 3 bytes a pixel stay below 256 MiB."""

MAX_SIDE = 4096
"""Longest side an image can be resized to, in pixels."""


def _read_size(value: object) -> object:
    if value is None:
        return "auto"
    if isinstance(value, str):
        if (word := value.strip().casefold()) in ("auto", "none"):
            return word
        sides = re.fullmatch(r"\s*(\d+)(?:\s*[x,]\s*(\d+))?\s*", value.strip("[]()"))
        if sides is None:
            raise ValueError("a size is one number (square) or HEIGHTxWIDTH, for example 28 or 103x96, or auto or none")
        value = (int(sides[1]), int(sides[2] or sides[1]))
    if type(value) is int:
        value = (value, value)
    if isinstance(value, tuple | list) and any(type(side) is int and not 1 <= side <= MAX_SIDE for side in value):
        raise ValueError(f"a side is 1 to {MAX_SIDE:,} pixels")
    return value


def _as_text(source: object) -> object:
    """A path may hold bytes that are no text; they are kept as they are shown, and found again by it."""
    return shown(source) if isinstance(source, str | Path) else source


def _read_tables(value: object) -> object:
    """One name, or several; a comma in a name that is no table's end is part of the name."""
    if isinstance(value, str) and "," in value:
        pieces = [piece.strip() for piece in value.split(",")]
        value = pieces if all(piece.lower().endswith(SUFFIXES) for piece in pieces) else value
    if not isinstance(value, list | tuple):
        return None if value is None else _as_text(value)
    names = [_as_text(name) for name in value]
    if len(set(map(str, names))) < len(names):
        raise ValueError("a table is named twice")
    if not names:
        raise ValueError("no table is named")
    return names[0] if len(names) == 1 else tuple(names)


_Table = Annotated[str, Field(min_length=1)]
_Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Size = tuple[_Side, _Side]
"""Height and width in pixels."""

Sizing = Annotated[Size | Literal["auto", "none"], BeforeValidator(_read_size)]
"""A size (one number means a square), or what to do where none is given."""


Layout = Literal["NCHW", "NHWC"]
"""Order of the axes of an array of images: channels first, or channels last."""

Background = Literal["black", "white"]
"""What shows through where an image is transparent."""


class DataConfig(Config):
    """Which images to read, and in what shape.

    Raises:
        ConfigError: an unknown key, or a value out of range; the message names the key.
    """

    source: Annotated[str, Field(min_length=1), BeforeValidator(_as_text)]
    """Name of a known set (`mnist`, `pneumoniamnist`, ...) or path of an .npz, IDX file or folder."""
    size: Sizing = "auto"
    """Resize to HEIGHTxWIDTH pixels, or to a square; none: as stored, and an error where sizes are mixed. Default
    (auto): as stored, and a set of mixed sizes is brought to a square of the median longer side of its training
    images, at most 64."""
    aspect: Aspect | None = None
    """Resizing keeps proportions and fills the rest with the background (keep), or stretches (stretch). Default: keep
    where a set of mixed sizes is resized by itself, stretch where a size is given."""
    grey: bool | None = None
    """True: one channel; false: three; default: grey when every image is grey."""
    white: Literal["auto"] | Annotated[float, Field(gt=0, allow_inf_nan=False)] = "auto"
    """Number that means white, such as 4095 for 12 bits; black is 0. Default: the top of the type where the whole set
    reaches beyond a quarter of it, else the usual number that fits, with a note; where none does, it is asked for."""
    layout: Layout | None = None
    """Arrays of four axes: NCHW (channels first) or NHWC (channels last). Default: the order in which there are 1 or 3
    channels; where both have, it is asked for."""
    background: Background | None = None
    """Image files: what shows through transparency, black (default: no light, no spikes) or white."""
    target: Literal["finger", "hand", "gender", "altered"] | None = None
    """Fingerprints only, what the label is: which of ten fingers (default), hand, gender, or real against altered."""
    part: Literal["real", "altered", "all"] | None = None
    """Fingerprints only: real prints (default), altered copies, or both (default when the target is `altered`)."""
    subjects: Annotated[int, Field(ge=1)] | None = None
    """Keep only this many subjects, those with the lowest numbers."""
    levels: Annotated[str, AfterValidator(check_levels)] | None = None
    """Folders: what each level of folders says, outermost first, such as class/subject, subject/class or
    part/class/subject. part is train, val or test; * says nothing, ** at the end stands for any depth. Default: class,
    or part/class."""
    labels: Annotated[_Table | tuple[_Table, ...] | None, BeforeValidator(_read_tables)] = None
    """Folders: path of a table (CSV, TSV, JSON lines, Parquet) that says the class of each image, looked for in the
    folder first; or several, such as train.csv,val.csv,test.csv, whose names then say the part. Default: the one table
    there whose columns are unmistakable, or those of several parts, where there are no class folders."""
    columns: Annotated[dict[ColumnRole, str], BeforeValidator(read_columns)] = {}  # noqa: RUF012  # pydantic copies it
    """Columns of that table: file=image_id,class=dx,subject=patient,part=split; class=MEL|NV|BCC where each class has a
    column of 0 and 1. Default: those of a usual name."""
    group_pattern: Annotated[str, AfterValidator(check_pattern)] | None = None
    """Folders: regular expression whose one group, found in a file name, names the subject: `(person[0-9]+)_`."""
    read_subjects: bool = True
    """Folders: read subjects from file names that say `patient12`, `person3`, `sub-01` or the like, or that are known,
    and from a table of labels; false: nothing is said about subjects."""
    roles: bool = True
    """Folders: take train, val and test for parts of a published split, as names of folders and of several tables of
    labels; false: for classes like any other, and tables say no parts."""
    positive: Annotated[str, Field(min_length=1)] | None = None
    """Two classes: name of the one that sensitivity, specificity, precision and F1 are about. Default: what is known of
    the set, else what the names say (abnormal against normal), else the second class."""
    skip_bad: bool = False
    """Leave out files that cannot be decoded, or that a table names and are missing, and list them; otherwise they are
    an error."""
    max_pixels: Annotated[int, Field(ge=1, le=MAX_PIXELS)] = MAX_PIXELS
    """Refuse an image file with more pixels than this (a decompression bomb)."""

    @property
    def given_size(self) -> Size | None:
        """Height and width that were asked for; None where none were."""
        return self.size if isinstance(self.size, tuple) else None

    @property
    def white_number(self) -> float | None:
        """What white is said to be; None where it is found out."""
        return None if self.white == "auto" else self.white
