"""Marks: a few pixels, or the lowest bit of one, that tell the label although the pixels around them do not.

A part of an image that is about its subject is never one pixel wide: what a pixel tells, its surroundings nearly tell,
too. So the pixels that separate a class best are looked for on one half of the images. On the other half a small
classifier sees them with their surroundings (5 x 5), another the surroundings alone; what the first knows more is the
mark. Where the surroundings tell enough already (easy classes), a mark is known by being the same in every image.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from scipy.ndimage import uniform_filter

from spikewise.data.audit.look import Look
from spikewise.data.audit.probe import Clue, ProbeTarget, run_probes
from spikewise.data.audit.records import Probe
from spikewise.data.counter import permutation

__all__ = ["Mark", "find_marks"]

_ASKED = 20_000_000
"""Pixels that are looked at while searching; this bounds its time."""
_FEW, _MANY = 100, 1000
"""Images of each half that are looked at, at most and at least."""
_BINS, _SITES, _CLASSES = 32, 3, 10
"""Bins of a histogram; places that are probed by kind and the largest classes that are asked about."""
_SIZES, _ROUND = (1, 3, 5), 2
"""Sides of a mark that are tried, and pixels of surroundings on each side."""
_STEADY, _SAME, _OTHER = 2, 0.9, 0.2
"""Grey levels and shares of images: when a pixel counts as the same in one class and not in the others."""
_STANDS_OUT = 10
_WORTH = 0.7
"""Score of a single pixel below which larger marks around it are not looked for."""


class _Site(NamedTuple):
    """A pixel that separates a class from the others."""

    label: int
    channel: int
    row: int
    column: int
    kind: str

    def describe(self, size: int) -> str:
        """The place in words."""
        what = "lowest bits of pixels" if self.kind == "lowest bit" else "pixels" if size > 1 else "one pixel"
        return f"{what} at row {self.row}, column {self.column}"


class Mark(NamedTuple):
    """What a few pixels tell of one class."""

    probe: Probe
    around: float
    """Balanced accuracy of the surroundings alone."""
    row: int
    column: int
    constant: bool
    """Whether the pixel is the same in nearly all images of the class, and of no other."""
    holders: Int64[np.ndarray, " M"]
    """Images of the class."""

    @property
    def gain(self) -> float:
        """What the pixels tell beyond their surroundings."""
        return self.probe.score - self.around


def find_marks(look: Look) -> list[Mark]:
    """The places that tell a class from the others best, one for each kind of mark, the strongest first."""
    halves = _halves(look)
    if halves is None or min(look.images.images.shape[2:]) < 2 * _ROUND + 1:
        return []
    sites = {site[:4]: site for site in reversed(list(_sites(look, halves[0])))}  # one for each place
    found = [_mark(look, site, halves[1]) for site in sites.values()]
    return sorted((one for one in found if one is not None), key=lambda mark: -mark.gain)


def _halves(look: Look) -> tuple[Int64[np.ndarray, " A"], Int64[np.ndarray, " B"]] | None:
    """Two halves of the images; what may not be separated is in one of them."""
    pixels = int(np.prod(look.images.images.shape[1:]))
    most = int(np.clip(_ASKED // pixels, _FEW, _MANY))
    names, units = np.unique(look.units, return_inverse=True)
    side = (permutation(len(names), 5) % 2)[units]
    order = permutation(len(units), 6)
    one, two = (np.sort(order[side[order] == half][:most]) for half in (0, 1))
    return None if min(len(one), len(two)) < _FEW // 2 else (one, two)


def _sites(look: Look, chosen: Int64[np.ndarray, " A"]) -> Iterator[_Site]:
    """By each kind of value, the pixels whose histograms overlap least between a class and the others."""
    labels = look.labels[chosen]
    pixels = np.asarray(look.images.images[chosen])
    counts = np.bincount(labels)
    classes = [int(k) for k in np.argsort(-counts, kind="stable")[:_CLASSES] if counts[k] >= 10]
    if len(classes) < 2:
        return
    if len(counts[counts > 0]) == 2:
        classes = classes[:1]  # the other is the same question
    for kind, values in _kinds(pixels):
        flat = values.reshape(len(values), -1)
        total = _histograms(flat)
        best: list[tuple[float, _Site]] = []
        for label in classes:
            mine = _histograms(flat[labels == label])
            apart = _separation(mine, total - mine).reshape(values.shape[1:])
            apart = apart + 0.2 * uniform_filter(apart, size=(1, 5, 5), mode="nearest")  # the middle of a larger mark
            for at in np.argsort(-apart, axis=None, kind="stable")[:_SITES]:
                channel, row, column = (int(place) for place in np.unravel_index(at, values.shape[1:]))
                best.append((float(apart[channel, row, column]), _Site(label, channel, row, column, kind)))
        yield from [site for _, site in sorted(best, key=lambda one: -one[0])[:_SITES]]


def _kinds(pixels: UInt8[np.ndarray, "A C H W"]) -> Iterator[tuple[str, UInt8[np.ndarray, "A C H W"]]]:
    """Numbers of bins: of the grey level, of its distance to the mean of the 8 pixels around it, of its lowest bit."""
    yield "level", pixels // (256 // _BINS)
    whole = pixels.astype(np.float32)
    around = (9 * uniform_filter(whole, size=(1, 1, 3, 3), mode="nearest") - whole) / 8
    step = np.sign(whole - around) * np.sqrt(np.abs(whole - around))  # fine near 0, where most are
    yield "contrast", np.clip(np.rint(step) + _BINS // 2, 0, _BINS - 1).astype(np.uint8)
    yield "lowest bit", pixels & 1


def _histograms(values: UInt8[np.ndarray, "A P"]) -> Float64[np.ndarray, "P B"]:
    places = values.shape[1]
    at = np.arange(places) * _BINS + values
    return np.bincount(at.ravel(), minlength=places * _BINS).reshape(places, _BINS).astype(np.float64)


def _separation(mine: Float64[np.ndarray, "P B"], others: Float64[np.ndarray, "P B"]) -> Float64[np.ndarray, " P"]:
    """Balanced accuracy of the best guess from the bin."""
    shares = [one / np.maximum(one.sum(axis=1, keepdims=True), 1) for one in (mine, others)]
    return np.asarray(np.maximum(*shares).sum(axis=1) / 2)


def _mark(look: Look, site: _Site, asked: Int64[np.ndarray, " B"]) -> Mark | None:
    """Probe a place on images that were not used to find it, at the size at which it adds most to its surroundings."""
    codes = np.full(len(look.labels), -1, np.int64)
    codes[asked] = look.labels[asked] == site.label
    target = ProbeTarget(f"class {look.images.classes[site.label]}", codes, look.units)
    pixels = np.asarray(look.images.images[asked][:, site.channel])
    best: Mark | None = None
    for size in _SIZES:
        if size + 2 * _ROUND > min(pixels.shape[1:]):
            break
        inner, rest = _columns(pixels, site, size)
        clues = [_spread(look, site.describe(size), np.column_stack([inner, rest]), asked)]
        clues.append(_spread(look, "around", rest, asked))
        probes = run_probes(target, clues)
        if not probes or probes[0].score < _WORTH:
            break
        if best is None or probes[0].score - probes[1].score > best.gain:
            steady = _is_constant(pixels, site, look.labels[asked] == site.label)
            holders = np.flatnonzero(look.labels == site.label)
            probe = probes[0].replace(around=probes[1].score)
            best = Mark(probe, probes[1].score, site.row, site.column, steady, holders)
    return best


def _spread(look: Look, name: str, columns: Float64[np.ndarray, "B F"], asked: Int64[np.ndarray, " B"]) -> Clue:
    values = np.zeros((len(look.labels), columns.shape[1]))
    values[asked] = columns
    return Clue(name, values)


def _columns(
    pixels: UInt8[np.ndarray, "B H W"], site: _Site, size: int
) -> tuple[Float64[np.ndarray, "B F"], Float64[np.ndarray, "B G"]]:
    """A block, the distance of its middle to the mean around, the middle's two lowest bits; and what is around."""
    _, height, width = pixels.shape
    top, left = (
        min(max(place - size // 2, 0), side - size) for place, side in ((site.row, height), (site.column, width))
    )
    window = np.zeros((height, width), np.int8)
    window[max(top - _ROUND, 0) : top + size + _ROUND, max(left - _ROUND, 0) : left + size + _ROUND] = 1
    window[top : top + size, left : left + size] = 2
    flat = pixels.reshape(len(pixels), -1)
    inner, rest = (flat[:, window.ravel() == kind].astype(np.float64) for kind in (2, 1))
    centre = pixels[:, site.row, site.column].astype(np.int64)
    return np.column_stack([inner, centre - rest.mean(axis=1), centre & 1, centre >> 1 & 1]), rest


def _is_constant(pixels: UInt8[np.ndarray, "B H W"], site: _Site, holds: Bool[np.ndarray, " B"]) -> bool:
    """Whether one class has one grey level here, and the other another: not black or white, unless it stands out."""
    _, rest = _columns(pixels, site, 1)
    centre = pixels[:, site.row, site.column].astype(np.float64)
    stands_out = (centre > rest.max(axis=1) + _STANDS_OUT) | (centre < rest.min(axis=1) - _STANDS_OUT)
    for mine in (holds, ~holds):
        level = np.median(centre[mine])
        same = np.abs(centre - level) <= _STEADY
        marked = 4 <= level <= 251 or stands_out[mine].mean() >= _SAME
        if same[mine].mean() >= _SAME and same[~mine].mean() <= _OTHER and marked:
            return True
    return False
