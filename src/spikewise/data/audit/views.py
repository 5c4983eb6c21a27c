"""Which images may be the same seen otherwise: mirrored, turned, inverted, in other tones, moved or cropped a little.

Each image gets four descriptors: 16 x 16 averages and the low frequencies of its spectrum, both of its grey levels and
of their ranks. Ranks do not change under a monotone change of grey levels. The magnitude of a spectrum does not change
when an image is moved, inverted or turned by 180 degrees. For each way of turning an image round, its nearest neighbour
by each descriptor is a candidate; what is no copy is left to `align` to rule out.
Source: B. Reddy and B. Chatterji, "An FFT-based technique for translation, rotation, and scale-invariant image
registration", IEEE Trans. Image Processing 1996 (spectra); J. Sivic and A. Zisserman, "Video Google", ICCV
2003 (cells).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int64, UInt8

from spikewise.data.audit.shrink import CHUNK, shrink, standard
from spikewise.data.audit.threads import spread
from spikewise.data.counter import permutation

__all__ = ["ORIENTATIONS", "Candidates", "candidates", "equalised", "turned", "work_images"]

WORK = 32
"""Side of the images that are compared, in pixels; a smaller side stays as it is."""
ORIENTATIONS = 8
"""Number k is a turn by k mod 4 quarters, after mirroring from 4 on."""
_COARSE, _FREQUENCIES, _AXES, _SAMPLE = 16, 7, 64, 2048
_CELL, _PROBED = 500, 4
_REACH = 0.9
"""Candidates lie within this share of the distance to the third nearest of 2048 sampled images."""


class Candidates(NamedTuple):
    """Pairs that may be one image twice; indices count within the images that were asked about."""

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    orientation: Int8[np.ndarray, " P"]
    """What to do to the first to see the second."""
    ranked: Bool[np.ndarray, " P"]
    """Whether they were found, and are to be compared, by the ranks of their grey levels."""
    half_turn: Bool[np.ndarray, " P"]
    """Whether another half turn is as likely: a spectrum cannot tell."""
    ratio: Float32[np.ndarray, " P"]
    """Distance as a share of that to the third nearest of a sample."""


class _Family(NamedTuple):
    """One kind of descriptor, of all images."""

    grid: Float32[np.ndarray, "N h w"]
    orientations: tuple[int, ...]
    signs: tuple[int, ...]
    ranked: bool
    half_turn: bool


def work_images(images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"]) -> UInt8[np.ndarray, "M h w"]:
    """Grey images of at most 32 pixels a side."""
    out = [
        np.rint(shrink(images, (WORK, WORK), positions[at : at + CHUNK])).astype(np.uint8)
        for at in range(0, len(positions), CHUNK)
    ]
    return np.concatenate(out)


def equalised(work: UInt8[np.ndarray, "N h w"]) -> UInt8[np.ndarray, "N h w"]:
    """Each grey level replaced by the share of the image's pixels that are darker, equal ones counted half; 0..255."""
    chunks = [work[at : at + CHUNK] for at in range(0, len(work), CHUNK)]
    return np.concatenate(spread(_equalised, chunks)) if chunks else work


def _equalised(work: UInt8[np.ndarray, "N h w"]) -> UInt8[np.ndarray, "N h w"]:
    count, pixels = len(work), work[0].size
    at = np.arange(count)[:, None] * 256 + work.reshape(count, -1)
    held = np.bincount(at.ravel(), minlength=256 * count).reshape(count, 256)
    middle = (np.cumsum(held, axis=1) - 0.5 * held) * (255 / pixels)
    return np.asarray(np.rint(middle).astype(np.uint8).ravel()[at].reshape(work.shape))


def turned(images: np.ndarray, orientation: int) -> np.ndarray:
    """Images (the last two axes) in one of the `ORIENTATIONS`."""
    seen = images[..., ::-1] if orientation >= 4 else images
    return np.asarray(np.rot90(seen, orientation % 4, (-2, -1)))


def candidates(work: UInt8[np.ndarray, "N h w"], most: int) -> Candidates:
    """The nearest neighbour of each image by each descriptor in each orientation, if it is near at all.

    Args:
        most: Candidates that are kept, the nearest first; this bounds what comparing them costs.
    """
    found = [np.zeros((0, 6), np.float32)]
    found += [rows for family in _families(work) for rows in _search(family)]
    table = np.concatenate(found)
    table = table[np.argsort(table[:, 5], kind="stable")]
    _, keep = np.unique(table[:, :5].astype(np.int64), axis=0, return_index=True)
    table = table[np.sort(keep)[:most]]
    whole = table[:, :5].astype(np.int64)
    return Candidates(
        whole[:, 0],
        whole[:, 1],
        whole[:, 2].astype(np.int8),
        whole[:, 3].astype(np.bool_),
        whole[:, 4].astype(np.bool_),
        table[:, 5],
    )


def _families(work: UInt8[np.ndarray, "N h w"]) -> Iterator[_Family]:
    square = work.shape[1] == work.shape[2]
    every = tuple(range(ORIENTATIONS)) if square else (0, 2, 4, 6)
    for ranked, levels in ((False, work), (True, equalised(work))):
        yield _Family(shrink(levels[:, None], (_COARSE, _COARSE)), every, (1, -1), ranked, half_turn=False)
        if min(work.shape[1:]) >= _COARSE:
            yield _Family(_spectra(levels), (0, 1, 4, 5) if square else (0, 4), (1,), ranked, half_turn=True)


def _spectra(levels: UInt8[np.ndarray, "N h w"]) -> Float32[np.ndarray, "N k k"]:
    """Square root of the magnitude of the low frequencies, both signs, of the images faded towards the edges."""
    _, height, width = levels.shape
    fade = np.sqrt(np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])).astype(np.float32)
    wanted = np.arange(-_FREQUENCIES, _FREQUENCIES + 1)
    rows, columns = (
        np.exp(-1j * np.pi * np.outer(wanted, np.arange(side)) / side).astype(np.complex64) for side in (height, width)
    )
    out = np.empty((len(levels), len(wanted), len(wanted)), np.float32)
    for at in range(0, len(levels), CHUNK):
        some = levels[at : at + CHUNK].astype(np.float32)
        mean = (some * fade).sum(axis=(1, 2), keepdims=True) / fade.sum()
        out[at : at + CHUNK] = np.sqrt(np.abs(rows @ ((some - mean) * fade) @ columns.T))
    return out


def _search(family: _Family) -> list[Float32[np.ndarray, "P 6"]]:
    """Rows of (first, second, orientation, ranked, half turn, ratio), each image's nearest neighbour in each view."""
    count = len(family.grid)
    vectors = standard(family.grid.reshape(count, -1))
    order = permutation(count, 0)
    mean = vectors[order[: 5 * _SAMPLE]].mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((vectors[order[: 5 * _SAMPLE]] - mean).T))
    turn = axes[:, ::-1][:, :_AXES].astype(np.float32)
    points = (vectors - mean) @ turn
    cells = _Cells.of(points, order)
    third = _sampled(points, points[order[:_SAMPLE]])

    def view(asked: tuple[int, int]) -> Float32[np.ndarray, "P 6"]:
        orientation, sign = asked
        seen = standard(turned(family.grid, orientation).reshape(count, -1))
        other = cells.nearest((sign * seen - mean) @ turn)
        has = np.flatnonzero(other >= 0)
        gap = np.linalg.norm(sign * seen[has] - vectors[other[has]], axis=1)
        ratio = gap / np.maximum(third[has], 1e-6)
        near = ratio <= _REACH
        fixed = np.broadcast_to([orientation, family.ranked, family.half_turn], (int(near.sum()), 3))
        return np.column_stack([has[near], other[has[near]], fixed, ratio[near]]).astype(np.float32)

    return spread(view, [(orientation, sign) for orientation in family.orientations for sign in family.signs])


def _sampled(points: Float32[np.ndarray, "N D"], sample: Float32[np.ndarray, "S D"]) -> Float32[np.ndarray, " N"]:
    """Distance of each point to the third nearest of a sample, itself or a copy passed over."""
    third = min(3, len(sample) - 1)
    chunks = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
    nearest = spread(lambda chunk: np.partition(_squares(chunk, sample), third, axis=1)[:, third], chunks)
    return np.asarray(np.sqrt(np.maximum(np.concatenate(nearest), 0)), np.float32)


def _squares(a: Float32[np.ndarray, "A D"], b: Float32[np.ndarray, "B D"]) -> Float32[np.ndarray, "A B"]:
    return np.asarray((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T), np.float32)


class _Cells(NamedTuple):
    """Points by the nearest of some centres: a point's neighbour is looked for in the cells around it."""

    points: Float32[np.ndarray, "N D"]
    centres: Float32[np.ndarray, "K D"]
    members: list[Int64[np.ndarray, " _"]]

    @classmethod
    def of(cls, points: Float32[np.ndarray, "N D"], order: Int64[np.ndarray, " N"]) -> "_Cells":
        """About 500 points a cell; a few points have one cell, so that nothing is missed."""
        count = len(points) // _CELL if len(points) >= _PROBED * _CELL else 1
        centres = points[order[:count]]
        home = np.concatenate(
            [_squares(points[at : at + CHUNK], centres).argmin(axis=1) for at in range(0, len(points), CHUNK)]
        )
        return cls(points, centres, [np.flatnonzero(home == cell) for cell in range(count)])

    def nearest(self, asked: Float32[np.ndarray, "N D"]) -> Int64[np.ndarray, " N"]:
        """The nearest point to each one asked (number k is not its own neighbour); -1 where the cells hold none."""
        probed = min(_PROBED, len(self.centres))
        best, other = np.full(len(asked), np.inf, np.float32), np.full(len(asked), -1, np.int64)
        around = np.concatenate(
            [
                np.argpartition(_squares(asked[at : at + CHUNK], self.centres), probed - 1, axis=1)[:, :probed]
                for at in range(0, len(asked), CHUNK)
            ]
        )
        for cell, members in enumerate(self.members):
            who = np.flatnonzero((around == cell).any(axis=1))
            for at in range(0, len(who), CHUNK):
                some = who[at : at + CHUNK]
                squares = _squares(asked[some], self.points[members])
                squares[some[:, None] == members] = np.inf
                if squares.shape[1]:
                    nearest = squares.argmin(axis=1)
                    gap = squares[np.arange(len(some)), nearest]
                    closer = gap < best[some]
                    best[some[closer]], other[some[closer]] = gap[closer], members[nearest[closer]]
        return other
