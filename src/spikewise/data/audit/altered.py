"""Copies that were altered: mirrored, turned, inverted, in other tones or colours, moved or cropped a little.

1. Candidates: see `views`.
2. Each is turned round as its candidate says and laid upon the other (`align`), by grey levels or by their ranks.
3. A pair is one image twice if its distance then is far below that of both images to their own neighbours, which are
   laid upon them in the same way: the freedom to move and scale helps strangers, too, and the measure knows by how
   much. Source of the ratio test: D. Lowe, IJCV 2004, section 7.1.
4. And only if the correlation is beyond what images of so little structure can have by chance: Fisher's z of a
   correlation over as many numbers as the image has frequencies, less those that were fitted. Source: R. Fisher, "On
   the probable error of a coefficient of correlation", Metron 1921.
"""

from functools import partial
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int64, UInt8

from spikewise.data.audit.align import STEPS, Shift, align, best_shift
from spikewise.data.audit.shrink import CHUNK, shrink, standard
from spikewise.data.audit.threads import spread
from spikewise.data.audit.views import ORIENTATIONS, Candidates, candidates, equalised, turned, work_images

__all__ = ["NO_COPIES", "Altered", "altered_pairs"]

RATIO, _RATIO_RANKED = 0.4, 0.33
"""Calibrated on planted sets and clean ones, see docs/audit.md; ranks leave less of an image, so more is asked."""
_LIKELY = 0.5
"""Correlation at the best shift below which a candidate is not laid upon its partner."""
_ALIKE = 0.85
"""Correlation that a copy has at least."""
_WORTH = 0.75
"""Of the usual distance: what is further when only shifted is not looked at more closely."""
_MOST = 40_000
_ALIGNED = 3000
"""Candidates that are looked at, and those that are laid upon each other: what bounds the time."""
_STRUCTURE, _SHARE = 4.0, 0.3
"""What is left of an image without its best quadratic surface: standard deviation in grey levels, and as a share of the
whole. Two skies can always be laid upon each other, and that says nothing."""
_SURE, _SURE_MOVED, _SURE_RANKED, _FITTED = 6.0, 8.0, 14.0, 5
"""Fisher's z that a pair needs: as it is, moved, moved and known by its ranks. The largest among moved tiles of
photographs was 7.6, among ranks of MNIST's ones 12.3. A moved pair has 4 fitted numbers, each pair one more."""
_FEWEST, _FIRST, _LAST = 40, 4, 9
_COARSE, _MOVED = 16, 1.5
_TOGETHER = 64
"""Images of which the neighbours are looked for at a time."""
_SMALLEST = 12
"""Side in pixels below which there is too little to move and stretch."""


class Altered(NamedTuple):
    """Pairs of positions, the smaller first, and what was done to the one to make the other."""

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    orientation: Int8[np.ndarray, " P"]
    """One of the `ORIENTATIONS` of `views`."""
    inverted: Bool[np.ndarray, " P"]
    ranked: Bool[np.ndarray, " P"]
    """Whether only the order of the grey levels is the same."""
    moved: Bool[np.ndarray, " P"]
    """Whether it was moved, cropped or turned by more than a pixel of 32."""
    compared: int


_NUMBERS, _FLAGS = np.zeros(0, np.int64), np.zeros(0, np.bool_)
NO_COPIES: Final = Altered(_NUMBERS, _NUMBERS, np.zeros(0, np.int8), _FLAGS, _FLAGS, _FLAGS, 0)


def altered_pairs(images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"]) -> Altered:
    """Pairs among `positions` (distinct images) of which one was made from the other.

    Returns:
        No pair where there are fewer than 40 images that are not flat, or where they are smaller than 12 x 12.
    """
    if len(positions) < _FEWEST or min(images.shape[2:]) < _SMALLEST:
        return NO_COPIES
    work = work_images(images, positions)
    held, waves = _structured(work)
    if held.sum() < _FEWEST:
        return NO_COPIES
    return _Search(work[held], positions[held], waves[held]).run()


def _structured(work: UInt8[np.ndarray, "N h w"]) -> tuple[Bool[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
    """Whether an image holds more than light that changes slowly; its effective number of frequencies."""
    _, height, width = work.shape
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"))
    surface, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1))
    fade = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    held, waves = np.empty(len(work), np.bool_), np.empty(len(work), np.float32)
    for at in range(0, len(work), CHUNK):
        flat = work[at : at + CHUNK].reshape(-1, height * width).astype(np.float64)
        left = flat - flat @ surface @ surface.T
        power = np.abs(np.fft.rfft2(left.reshape(-1, height, width) * fade)).reshape(len(flat), -1) ** 2
        waves[at : at + CHUNK] = power.sum(axis=1) ** 2 / np.maximum((power**2).sum(axis=1), 1e-9)
        deviation = left.std(axis=1)
        held[at : at + CHUNK] = (deviation >= _STRUCTURE) & (deviation >= _SHARE * flat.std(axis=1))
    return held, waves


class _Laid(NamedTuple):
    """Candidates laid upon each other."""

    pairs: Candidates
    distance: Float32[np.ndarray, " P"]
    inverted: Bool[np.ndarray, " P"]
    moved: Float32[np.ndarray, " P"]


class _Search:
    """One search: the images by their grey levels, and by the ranks of these."""

    def __init__(
        self, work: UInt8[np.ndarray, "N h w"], positions: Int64[np.ndarray, " N"], waves: Float32[np.ndarray, " N"]
    ) -> None:
        self.waves = waves
        self.levels = (work, equalised(work))
        self.positions = positions
        coarse = [shrink(one[:, None], (_COARSE, _COARSE)) for one in self.levels]
        self.coarse = [standard(one.reshape(len(work), -1)) for one in coarse]

    def run(self) -> Altered:
        """The pairs that are far closer than each image's neighbours are."""
        found = candidates(self.levels[0], _MOST)
        shift, turn = self._shifts(found)
        likely = np.flatnonzero(np.abs(shift.peak) >= _LIKELY)
        likely = likely[np.argsort(-np.abs(shift.peak[likely]), kind="stable")][:_ALIGNED]
        pairs, shift = _rows(found, likely)._replace(orientation=turn[likely]), Shift(*(one[likely] for one in shift))
        reference = self._reference_distance(pairs, aligned=False)
        laid = self._lay(pairs, shift, steps=0)
        worth = laid.distance <= _WORTH * reference
        pairs, shift, reference = _rows(pairs, worth), Shift(*(one[worth] for one in shift)), reference[worth]
        laid = self._lay(pairs, shift, steps=STEPS)
        ratio = np.where(pairs.ranked, _RATIO_RANKED, RATIO)
        near = self._sure(laid) & (
            laid.distance <= ratio * reference
        )  # once they are aligned, neighbours are closer still
        laid, ratio = _chosen(laid, near), ratio[near]
        laid = _chosen(laid, laid.distance <= ratio * self._reference_distance(laid.pairs, aligned=True))
        return self._described(laid, len(found.first))

    def _lay(self, pairs: Candidates, shift: Shift, *, steps: int) -> _Laid:
        laid = align(*self._pair(pairs), shift, steps=steps)
        return _Laid(pairs, _distance(laid.correlation), laid.correlation < 0, laid.moved)

    def _sure(self, laid: _Laid) -> Bool[np.ndarray, " P"]:
        """Whether images of such structure do not correlate so by chance."""
        correlation = np.clip(1 - laid.distance**2 / 2, 0, 0.9999)
        waves = np.minimum(self.waves[laid.pairs.first], self.waves[laid.pairs.second])
        moved = self._has_moved(laid)
        z = np.arctanh(correlation) * np.sqrt(np.maximum(waves - np.where(moved, _FITTED, 1), 0))
        wanted = np.where(moved, np.where(laid.pairs.ranked, _SURE_RANKED, _SURE_MOVED), _SURE)
        return np.asarray((correlation >= _ALIKE) & (z >= wanted))

    def _has_moved(self, laid: _Laid) -> Bool[np.ndarray, " P"]:
        return np.asarray(laid.moved > _MOVED * max(self.levels[0].shape[1:]) / 32)

    def _shifts(self, found: Candidates) -> tuple[Shift, Int8[np.ndarray, " P"]]:
        """The best shift of each candidate, and its orientation, another half turn made where that fits better."""

        def shift(at: int) -> tuple[np.ndarray, ...]:
            some = _rows(found, slice(at, at + CHUNK // 4))
            first, second = self._pair(some)
            plain, over = best_shift(first, second), best_shift(turned(first, 2), second)
            better = some.half_turn & (np.abs(over.peak) > np.abs(plain.peak))
            turn = np.where(better, some.orientation // 4 * 4 + (some.orientation + 2) % 4, some.orientation)
            return (*(np.where(better, b, a) for a, b in zip(plain, over, strict=True)), turn.astype(np.int8))

        parts = spread(shift, range(0, len(found.first), CHUNK // 4))
        if not parts:
            return best_shift(*self._pair(found)), found.orientation
        down, right, peak, turn = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Shift(down, right, peak), turn

    def _pair(self, pairs: Candidates) -> tuple[Float32[np.ndarray, "P h w"], Float32[np.ndarray, "P h w"]]:
        """The images of each pair, the first turned round."""
        _, height, width = self.levels[0].shape
        first, second = (np.empty((len(pairs.first), height, width), np.float32) for _ in range(2))
        for ranked, levels in enumerate(self.levels):
            mine = pairs.ranked == bool(ranked)
            second[mine] = levels[pairs.second[mine]]
            for orientation in range(ORIENTATIONS):
                some = mine & (pairs.orientation == orientation)
                if some.any():
                    first[some] = turned(levels[pairs.first[some]], orientation)
        return first, second

    def _reference_distance(self, pairs: Candidates, *, aligned: bool) -> Float32[np.ndarray, " P"]:
        """The smaller of both images' median distances to their 4th to 9th neighbours."""
        reference = np.zeros((2, len(pairs.first)), np.float32)
        for ranked in (False, True):
            mine = pairs.ranked == ranked
            sides = np.stack([pairs.first[mine], pairs.second[mine]])
            images, where = np.unique(sides, return_inverse=True)
            chunks = [images[at : at + _TOGETHER] for at in range(0, len(images), _TOGETHER)]
            values = spread(partial(self._neighbours, ranked=int(ranked), aligned=aligned), chunks)
            if values:
                reference[:, mine] = np.concatenate(values)[where].reshape(sides.shape)
        return np.asarray(reference.min(axis=0), np.float32)

    def _neighbours(self, images: Int64[np.ndarray, " M"], ranked: int, *, aligned: bool) -> Float32[np.ndarray, " M"]:
        similar = self.coarse[ranked][images] @ self.coarse[ranked].T
        similar[np.arange(len(images)), images] = np.inf
        nearest = np.argpartition(-similar, _LAST, axis=1)[:, : _LAST + 1]
        order = np.argsort(-np.take_along_axis(similar, nearest, axis=1), axis=1, kind="stable")
        others = np.take_along_axis(nearest, order, axis=1)[:, _FIRST:]
        levels = self.levels[ranked]
        mine = np.repeat(levels[images], others.shape[1], axis=0).astype(np.float32)
        theirs = levels[others.ravel()].astype(np.float32)
        if aligned:
            correlation = align(mine, theirs, best_shift(mine, theirs)).correlation
        else:
            a, b = (standard(one.reshape(len(one), -1)) for one in (mine, theirs))
            correlation = (a * b).sum(axis=1)
        return np.asarray(np.median(_distance(correlation).reshape(others.shape), axis=1), np.float32)

    def _described(self, laid: _Laid, compared: int) -> Altered:
        """One row for each pair of images, the closest description first."""
        order = np.argsort(laid.distance, kind="stable")
        one, other = (self.positions[side[order]] for side in (laid.pairs.first, laid.pairs.second))
        both = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=1)
        _, first = np.unique(both, axis=0, return_index=True)
        rows = order[first]
        orientation = laid.pairs.orientation[rows]
        quarter = (other < one)[first] & np.isin(
            orientation, (1, 3)
        )  # seen from the other side; others undo themselves
        return Altered(
            both[first, 0],
            both[first, 1],
            np.where(quarter, 4 - orientation, orientation).astype(np.int8),
            laid.inverted[rows],
            laid.pairs.ranked[rows],
            self._has_moved(laid)[rows],
            compared,
        )


def _rows(found: Candidates, which: slice | np.ndarray) -> Candidates:
    return Candidates(*(column[which] for column in found))


def _chosen(laid: _Laid, which: Bool[np.ndarray, " P"]) -> _Laid:
    return _Laid(_rows(laid.pairs, which), laid.distance[which], laid.inverted[which], laid.moved[which])


def _distance(correlation: Float32[np.ndarray, " P"]) -> Float32[np.ndarray, " P"]:
    """Of standardised images: 0 for the same, 1.41 for strangers; an inverted image counts as the same."""
    return np.asarray(np.sqrt(np.maximum(0, 2 - 2 * np.abs(correlation))), np.float32)
