"""What is done with a run of image files: their headers, their ranges, or their pixels; here, or in another process.

Each kind of work is a value that is called with names; as JSON it travels to a process that does the same.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import UInt8

from spikewise.data.config import Background
from spikewise.data.decode import Frame, Header, decode, known_whites, numbers_of, read_header
from spikewise.data.image_set import Aspect
from spikewise.data.white import Kind, Range
from spikewise.errors import DataError

__all__ = ["FillPixels", "FindRanges", "Outcome", "ReadHeaders", "Work", "work_as_json", "work_from_json"]


class Outcome(NamedTuple):
    """What decoding some files gave besides pixels."""

    bad: dict[str, str]
    """File and reason, for those that could not be decoded."""
    animated: list[str]
    hidden: list[str]
    """Files of which one even colour is left without transparency."""


class ReadHeaders(NamedTuple):
    """The header of each file, or why it has none."""

    root: str
    max_pixels: int

    def __call__(self, start: int, names: Sequence[str]) -> list[Header | str]:
        """Of these files."""
        return [_try_header(Path(self.root, name), self.max_pixels) for name in names]

    def from_json(self, answer: Any) -> list[Header | str]:
        """What another process answered."""
        return [one if isinstance(one, str) else Header(*one) for one in answer]


class FindRanges(NamedTuple):
    """How each file stores its pixels, and the smallest and largest; nothing of those that cannot be decoded."""

    root: str
    max_pixels: int
    background: Background

    def __call__(self, start: int, names: Sequence[str]) -> list[tuple[Kind, Range]]:
        """Of these files."""
        found = []
        for name in names:
            with contextlib.suppress(DataError):  # decoding says what is wrong with it
                found.append(numbers_of(Path(self.root, name), max_pixels=self.max_pixels, background=self.background))
        return found

    def from_json(self, answer: Any) -> list[tuple[Kind, Range]]:
        """What another process answered."""
        return [(kind, Range(*span)) for kind, span in answer]


class FillPixels(NamedTuple):
    """Decode files into an array, from a place on."""

    root: str
    max_pixels: int
    background: Background
    aspect: Aspect
    grey: bool | None
    whites: dict[Kind, float]
    out: UInt8[np.ndarray, "N C H W"]
    """A memory map of a file."""

    def __call__(self, start: int, names: Sequence[str]) -> Outcome:
        """Of these files the first lies at `start`."""
        made = Outcome({}, [], [])
        height, width = self.out.shape[2:]
        frame, white_of = Frame((height, width), self.aspect, self.background), known_whites(self.whites)
        for position, name in enumerate(names, start):
            path = Path(self.root, name)
            try:
                picture = decode(path, frame=frame, grey=self.grey, max_pixels=self.max_pixels, white_of=white_of)
            except DataError as error:
                made.bad[name] = str(error)
                continue
            self.out[position] = picture.pixels
            made.animated.extend([name] * picture.header.animated)
            made.hidden.extend([name] * picture.hidden)
        return made

    def from_json(self, answer: Any) -> Outcome:
        """What another process answered."""
        return Outcome(*answer)


Work = ReadHeaders | FindRanges | FillPixels
_KINDS: Final[dict[str, Callable[..., Work]]] = {one.__name__: one for one in (ReadHeaders, FindRanges, FillPixels)}


def work_as_json(work: Work) -> list[Any]:
    """The name of its kind and its fields, an array by its file."""
    fields = [str(field.filename) if isinstance(field, np.memmap) else field for field in work]
    return [type(work).__name__, fields]


def work_from_json(name: str, fields: Sequence[Any]) -> Work:
    """The same work in another process; the array is mapped there, too.

    Args:
        name: of its kind.
        fields: as `work_as_json` has them.
    """
    if name == FillPixels.__name__:
        *rest, file = fields
        return FillPixels._make([*rest, np.lib.format.open_memmap(file, mode="r+")])
    return _KINDS[name](*fields)


def _try_header(path: Path, max_pixels: int) -> Header | str:
    try:
        return read_header(path, max_pixels=max_pixels)
    except DataError as error:
        return str(error)
