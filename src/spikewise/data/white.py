"""What white is: one rule for a whole set, the same for files, arrays, pictures in memory and the estimator.

Black is 0. White is the top of the type where the numbers of the set reach beyond a quarter of it: 255 for 8 bits,
65535 for 16, 1 for floats. Where they do not, or where the type has no top (floats beyond 1, wide integers), white is
the one usual value whose upper three quarters the brightest number reaches: 1, 255 (8 bits), 1023 (10), 4095 (12),
16383 (14) or 65535 (16), and 15 or 16 where that is exactly the brightest. A hair beyond, as resizing leaves it, is
clipped. Where none fits, or two do, nothing is guessed: `data.white` says it. Only 8 bits that are dark are taken as a
viewer shows them, with a caution.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from spikewise.errors import ConfigError, DataError

__all__ = [
    "Kind",
    "Range",
    "Whites",
    "kind_of",
    "merge",
    "range_of",
    "resolve_white",
    "to_bytes",
    "top_of",
    "white_of_more",
]

Kind = Literal["bool", "uint8", "uint16", "integer", "float"]
"""How pixels are stored; `integer` is any other width or sign."""

_FULL: dict[Kind, float] = {"bool": 1, "uint8": 255, "uint16": 65535, "float": 1}
_USUAL: dict[float, str] = {
    1: "0 to 1",
    255: "8 bits",
    1023: "10 bits",
    4095: "12 bits",
    16383: "14 bits",
    65535: "16 bits",
}
_EXACT: dict[float, str] = {15: "4 bits", 16: "0 to 16"}
_QUIET: dict[Kind, frozenset[float]] = {"integer": frozenset({255, 65535}), "float": frozenset({1, 255})}
_HAIR = 0.05
"""Share of white by which numbers may leave 0..white and are clipped: resampling overshoots by so much."""
_BLOCK = 1 << 22
"""Numbers that are looked at or converted at a time."""


class Range(NamedTuple):
    """Smallest and largest number of some pixels; nan where one of them is not a number."""

    low: float
    high: float


class Whites(NamedTuple):
    """What white is in a set."""

    of: dict[Kind, float]
    """For each way its pixels are stored."""
    cautions: tuple[str, ...]
    """What a reader must know where white is not simply the top of the type."""


def kind_of(array: NDArray[Any], what: str) -> Kind:
    """How an array stores pixels, whatever its byte order.

    Raises:
        DataError: it holds no real numbers.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {array.dtype}, not numbers. Save the pixels as uint8.")
    kinds: dict[str, Kind] = {"b1": "bool", "u1": "uint8", "u2": "uint16"}
    return kinds.get(array.dtype.str[1:], "float" if array.dtype.kind == "f" else "integer")


def range_of(array: NDArray[Any]) -> Range:
    """Smallest and largest number, found piecewise."""
    parts = [Range(float(part.min()), float(part.max())) for part in _blocks(array)]
    return merge(parts)


def merge(ranges: Iterable[Range]) -> Range:
    """The range of all together."""
    lows, highs = zip(*ranges, strict=True)
    return Range(float(np.min(lows)), float(np.max(highs)))


def resolve_white(found: Mapping[Kind, Range], white: float | None, what: str, *, dark: str = "") -> Whites:
    """What white is in a set.

    Args:
        found: The numbers of the whole set, by how they are stored.
        white: What the user says it is; None finds out.
        what: Names the set in errors.
        dark: Why the set may be dark, as a sentence, where that is known.
    Raises:
        DataError: numbers below 0, nan or infinity; all black; or several things that white could be.
    """
    of: dict[Kind, float] = {}
    cautions = []
    for kind, one in found.items():
        of[kind], caution = _said(kind, one, white) if white is not None else _inferred(kind, one, what, dark)
        _check_low(kind, one, of[kind], what)
        cautions += [caution] if caution else []
    odd = [kind for kind in of if of[kind] != _FULL.get(kind)]
    if len(of) > 1 and odd and white is None:
        listed = " and ".join(f"{_words(kind)} up to {one.high:g}" for kind, one in found.items())
        raise DataError(
            f"{what} holds {listed}, and white cannot be the top of each type. "
            "Save all images in one type, or say what white is: --set data.white=255."
        )
    return Whites(of, tuple(cautions))


def top_of(kind: Kind, found: Range, what: str) -> float:
    """What white is in a single image of which nothing else is known: the top of its type.

    Raises:
        DataError: its numbers do not lie between 0 and that.
    """
    white = _top(kind, found)
    if not _finite(found) or found.low < -_HAIR * white or found.high > (1 + _HAIR) * white:
        raise DataError(
            f"{what} has pixels from {found.low:g} to {found.high:g}, expected 0..{white:g} ({_words(kind)}). "
            "Save it with 8 or 16 bits, or say what white is."
        )
    return white


def white_of_more(
    kind: Kind, found: Range, known: Mapping[Kind, float], what: str, *, said: float | None = None
) -> float:
    """What white is in further images of a network, from what it was in the images that the network learned from.

    Args:
        known: `Whites.of` of those images.
        said: What the user says white is; whatever is beyond is clipped.
    Raises:
        DataError: these numbers do not lie in that range.
    """
    if not _finite(found):
        raise _not_finite(what, found)
    if said is not None and kind != "bool":
        if not (said > 0 and math.isfinite(said)):
            raise ConfigError(f"White is a number above 0; got {said:g}.")
        _check_low(kind, found, said, what)
        return said
    same = known.get(kind, _top(kind, found))
    if kind == "float" and same > 4 and found.high <= 1 + _HAIR:
        same = 1.0  # the same pictures, divided by white
    elif kind == "uint8" and found.high > (1 + _HAIR) * same:
        same = 255.0
    elif kind in ("float", "integer") and found.high > (1 + _HAIR) * same:
        others = [known[other] for other in ("uint8", "uint16", "integer", "float") if other in known]
        same = next((white for white in (*others, 255.0) if _fits(found.high, white)), same)
    if same == _FULL["uint16"] and kind not in known and found.low < found.high <= same / 4:
        raise DataError(
            f"{what} has pixels from {found.low:g} to {found.high:g} ({_words(kind)}), and the network learned from "
            f"images that were stored otherwise: these may be nearly black, or white may be less than {same:g}. Say "
            "which number is white with --white."
        )
    if found.low < -_HAIR * same or found.high > (1 + _HAIR) * same:
        raise DataError(
            f"{what} has pixels from {found.low:g} to {found.high:g} ({_words(kind)}), and for this network 0 is black "
            f"and {same:g} white. Scale them as its training images were, or say that {found.high:g} is white with "
            "--white."
        )
    return same


def to_bytes(array: NDArray[Any], kind: Kind, white: float) -> UInt8[np.ndarray, "..."]:
    """Numbers from 0 to white as 0..255, rounded; what lies beyond is clipped."""
    if kind == "bool":
        return np.where(array, np.uint8(255), np.uint8(0))
    if kind == "uint8" and white == 255:
        return np.asarray(array, np.uint8)
    out = np.empty(array.shape, np.uint8)
    narrow = array.dtype.kind == "f" and array.dtype.itemsize < 4  # half precision ends at 65504
    with np.errstate(over="ignore"):  # what overflows is beyond white, and clipped
        for part, target in zip(_blocks(array), _blocks(out), strict=True):
            numbers = part.astype(np.float32) if narrow else part
            target[...] = np.rint((numbers * (255.0 / white)).clip(0, 255))
    return out


def _top(kind: Kind, found: Range) -> float:
    """The top of the type; of wide integers 8 bits where those hold the numbers, else 16."""
    return _FULL.get(kind, 255.0 if found.high <= 255 else 65535.0)


def _inferred(kind: Kind, found: Range, what: str, dark: str) -> tuple[float, str]:
    low, high = found
    if not _finite(found):
        raise _not_finite(what, found)
    if low < 0 and high <= 0:
        raise _below(what, found)
    if high == 0:
        raise DataError(f"{what} is black throughout: every pixel is 0. {dark or 'There is nothing to see.'}")
    full = _FULL.get(kind)
    if full is not None and _fits(high, full):
        return full, ""
    fitting = [high] if high in _EXACT else [white for white in _USUAL if _fits(high, white)]
    if not fitting and kind == "uint8":
        return 255, (
            f"The images are nearly black: pixels reach {high:g} of 255. {dark}{' ' if dark else ''}They were taken as "
            f"they are; if the brightest is white, say so: --set data.white={high:g}."
        )
    if len(fitting) != 1:
        raise _ambiguous(kind, found, fitting, what, dark)
    white = fitting[0]
    if white in _QUIET.get(kind, ()):
        return white, ""
    taken = f"Pixels are {_words(kind)} and reach {high:g}: {white:g} was taken for white"
    return white, f"{taken} ({(_USUAL | _EXACT)[white]}). If it is another number, say so: data.white={full or 255:g}."


def _said(kind: Kind, found: Range, white: float) -> tuple[float, str]:
    if not _finite(found):
        raise _not_finite("The set", found)
    if kind == "bool":
        return 1, ""
    if found.high > (1 + _HAIR) * white:
        return white, f"Pixels reach {found.high:g}: what is above data.white={white:g} was clipped."
    if not _fits(found.high, white):
        share = f"{100 * max(found.high, 0) / white:.1f} %"
        return white, f"Pixels reach {found.high:g}, {share} of data.white={white:g}: the images are nearly black."
    return white, ""


def _ambiguous(kind: Kind, found: Range, fitting: list[float], what: str, dark: str) -> DataError:
    low, high = found
    choices = fitting or [high, _FULL.get(kind, 255)]
    offer = " or ".join(f"--set data.white={white:.6g}" for white in dict.fromkeys(choices))
    fill = "" if fitting or high > choices[-1] else f", {100 * (high / choices[-1]):.1f} % of the range: nearly black"
    return DataError(
        f"{what} has pixels from {low:g} to {high:g} ({_words(kind)}){fill}. {dark}{' ' if dark else ''}"
        f"What white is cannot be told from that; say it: {offer}."
    )


def _check_low(kind: Kind, found: Range, white: float, what: str) -> None:
    if found.low < (-_HAIR * white if kind == "float" else 0):
        raise _below(what, found)


def _below(what: str, found: Range) -> DataError:
    return DataError(
        f"{what} has pixels from {found.low:g} to {found.high:g}; black is 0, and nothing is darker. "
        "Shift the numbers first: for -1..1, (x + 1) / 2."
    )


def _not_finite(what: str, found: Range) -> DataError:
    return DataError(f"{what} has pixels from {found.low:g} to {found.high:g}: some are no finite numbers. Mend them.")


def _finite(found: Range) -> bool:
    return math.isfinite(found.low) and math.isfinite(found.high)


def _fits(high: float, white: float) -> bool:
    """Whether the brightest number lies above a quarter of white and no more than a hair beyond it."""
    return white < 4 * high and high <= (1 + _HAIR) * white


def _words(kind: Kind) -> str:
    return {"bool": "booleans", "integer": "integers", "float": "floats"}.get(kind, kind)


def _blocks(array: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Pieces along the first axis, none much larger than `_BLOCK` numbers unless one item is."""
    if array.ndim < 2:
        return [array]
    step = max(1, _BLOCK // max(1, math.prod(array.shape[1:])))
    return (array[start : start + step] for start in range(0, len(array), step))
