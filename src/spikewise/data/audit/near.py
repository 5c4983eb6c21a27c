"""Near-duplicates: one image twice, saved again, resized, brightened, recoloured or mirrored.

1. Each distinct image becomes 16 x 16 area averages without brightness and contrast; the distance of two such vectors
   bounds nothing above, but copies are always close.
2. Candidates: pairs closer than a share of the distance to the nearest of 2048 sampled images. A k-d tree over the
   first principal axes finds them without a miss, as a projection never lengthens a distance.
   Source: S. Maneewongvatana and D. Mount, "Analysis of approximate nearest neighbor searching with clustered point
   sets", 1999 (the tree); C. Faloutsos et al., "Fast subsequence matching", SIGMOD 1994 (the bound).
3. Pixel check: the distance of all pixels, against that of the images' own 4th to 10th neighbours. Two shirts that are
   merely alike have other shirts about as close; a copy has not. Source of the ratio test: D. Lowe, "Distinctive image
   features from scale-invariant keypoints", IJCV 2004, section 7.1.
"""

from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from scipy.spatial import cKDTree

from spikewise.data.audit.shrink import CHUNK, flat_standard, shrink, standard
from spikewise.data.audit.threads import spread
from spikewise.data.counter import permutation

__all__ = ["NO_PAIRS", "RATIO", "NearPairs", "crowd", "near_pairs"]

RATIO = 0.35
"""Calibrated on MNIST and Fashion-MNIST; see docs/audit.md."""

_SIDE, _AXES, _SAMPLE = 16, 8, 2048
_REACH = 0.3
"""Candidates lie within this share of the distance to a sampled neighbour."""
_FIRST, _LAST = 4, 10
_FEWEST = 40
"""Distinct images below which the neighbours say nothing."""
_FLAT = 2.0
"""Standard deviation in grey levels below which an image holds nothing to compare."""
_TWIN = 0.02
"""Distance below which even images in a crowd of copies are the same: the correlation is above 0.9998."""
_MOST = 500_000
"""Candidates at a time."""
_NUMBERS = 2**23
"""Pixels that are compared at a time."""


class NearPairs(NamedTuple):
    """Pairs of positions, the smaller first."""

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    mirrored: Bool[np.ndarray, " P"]
    """Whether the second is the first seen in a mirror."""
    candidates: int
    neighbour: float | None
    """Median distance of the candidates' neighbours."""


NO_PAIRS: Final = NearPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_), 0, None)


class _Space(NamedTuple):
    """The images' descriptors on their principal axes."""

    positions: Int64[np.ndarray, " N"]
    points: Float32[np.ndarray, "N D"]
    mirrored: Float32[np.ndarray, "N D"]
    scale: Float32[np.ndarray, " N"]
    """Distance to the third nearest of a sample."""


def near_pairs(images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"]) -> NearPairs:
    """Pairs among `positions` (distinct images) that show the same thing.

    Returns:
        No pair where there are fewer than 40 images that are not flat.
    """
    space = _space(images, positions)
    if space is None:
        return NO_PAIRS
    plain = _candidates(space, mirrored=False)
    turned = _candidates(space, mirrored=True)
    a, b = (np.concatenate([plain[side], turned[side]]) for side in (0, 1))
    mirrored = np.repeat([False, True], [len(plain[0]), len(turned[0])])
    scale = _neighbour_distance(images, space, np.unique(np.concatenate([a, b])))
    distance = _pixel_distance(images, space.positions[a], space.positions[b], mirrored)
    near = (distance <= RATIO * np.minimum(scale[a], scale[b])) | (distance <= _TWIN)
    one, other = space.positions[a[near]], space.positions[b[near]]
    kept = scale[~np.isnan(scale)]
    median = float(np.median(kept)) if len(kept) else None
    return NearPairs(np.minimum(one, other), np.maximum(one, other), mirrored[near], len(a), median)


def crowd(images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"]) -> float:
    """About how many candidates `near_pairs` would compare: few among most images, half of all pairs among noise."""
    some = np.sort(positions[permutation(len(positions), 1)[:_SAMPLE]])
    space = _space(images, some)
    if space is None:
        return 0.0
    tree = cKDTree(space.points[:, :_AXES])
    asked = (space.points[:, :_AXES], space.mirrored[:, :_AXES])
    close = sum(int(tree.query_ball_point(one, r=_REACH * space.scale, return_length=True).sum()) for one in asked)
    return float(close - len(space.points)) * (len(positions) / len(some)) ** 2


def _space(images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"]) -> _Space | None:
    if len(positions) < _FEWEST:
        return None
    small = shrink(images, (_SIDE, _SIDE), positions)
    held = small.reshape(len(small), -1).std(axis=1) >= _FLAT
    if held.sum() < _FEWEST:
        return None
    small, positions = small[held], positions[held]
    plain, mirrored = (standard(one.reshape(len(one), -1)) for one in (small, small[..., ::-1]))
    order = permutation(len(positions), 0)
    some = plain[order[: 5 * _SAMPLE]]
    mean = some.mean(axis=0)
    _, axes = np.linalg.eigh(np.atleast_2d(np.cov(some.T)))
    turn = axes[:, ::-1].astype(np.float32)
    points = (plain - mean) @ turn
    return _Space(positions, points, (mirrored - mean) @ turn, _sampled_scale(points, points[order[:_SAMPLE]]))


def _sampled_scale(points: Float32[np.ndarray, "N D"], sample: Float32[np.ndarray, "S D"]) -> Float32[np.ndarray, " N"]:
    """Distance of each point to the third nearest of the sample, itself and a copy passed over."""
    third = min(3, len(sample) - 1)
    chunks = [points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
    nearest = spread(lambda chunk: np.partition(_squares(chunk, sample), third, axis=1)[:, third], chunks)
    return np.asarray(np.sqrt(np.maximum(np.concatenate(nearest), 0)))


def _squares(a: Float32[np.ndarray, "A D"], b: Float32[np.ndarray, "B D"]) -> Float32[np.ndarray, "A B"]:
    """Squared distances between two sets of points."""
    lengths = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)
    return np.asarray(lengths - 2 * (a @ b.T), np.float32)


def _candidates(space: _Space, *, mirrored: bool) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """Pairs of close points, each once."""
    tree = cKDTree(space.points[:, :_AXES])
    asked = space.mirrored if mirrored else space.points
    reach = _REACH * space.scale

    def within(start: int) -> list[tuple[np.ndarray, np.ndarray]]:
        some = slice(start, start + CHUNK)
        lists = tree.query_ball_point(asked[some, :_AXES], r=reach[some], return_sorted=False)
        a = np.repeat(np.arange(len(asked))[some], [len(one) for one in lists])
        b = np.fromiter(chain.from_iterable(lists), np.int64, len(a))
        return [_close(space, a[at : at + _MOST], b[at : at + _MOST], asked) for at in range(0, len(a), _MOST)]

    none = np.zeros(0, np.int64)
    found = [(none, none), *chain.from_iterable(spread(within, range(0, len(asked), CHUNK)))]
    a, b = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
    pairs = np.unique(np.sort(np.stack([a, b]), axis=0), axis=1)
    return pairs[0], pairs[1]


def _close(
    space: _Space, a: Int64[np.ndarray, " P"], b: Int64[np.ndarray, " P"], asked: Float32[np.ndarray, "N D"]
) -> tuple[Int64[np.ndarray, " Q"], Int64[np.ndarray, " Q"]]:
    """Those pairs of two different images that are close on all axes, too."""
    a, b = a[a != b], b[a != b]
    square = np.zeros(len(a), np.float32)
    reach = (_REACH * space.scale[a]) ** 2
    for axes in (slice(_AXES, 4 * _AXES), slice(0, None)):  # a few more axes rule out most of them
        gap = asked[a, axes] - space.points[b, axes]
        square = (gap * gap).sum(axis=1)
        a, b, reach = (column[square <= reach] for column in (a, b, reach))
    return a, b


def _neighbour_distance(
    images: UInt8[np.ndarray, "N C H W"], space: _Space, wanted: Int64[np.ndarray, " M"]
) -> Float32[np.ndarray, " K"]:
    """Median pixel distance of the wanted images to their 4th to 10th neighbours; nan for the others in the space."""

    def median_of(some: Int64[np.ndarray, " _"]) -> np.ndarray:
        squares = _squares(space.points[some], space.points)
        nearest = np.argpartition(squares, _LAST, axis=1)[:, : _LAST + 1]
        order = np.argsort(np.take_along_axis(squares, nearest, axis=1), axis=1)
        others = np.take_along_axis(nearest, order, axis=1)[:, _FIRST:]
        ours = np.repeat(space.positions[some], others.shape[1])
        distance = _pixel_distance(images, ours, space.positions[others.ravel()], np.zeros(len(ours), np.bool_))
        return np.asarray(np.median(distance.reshape(others.shape), axis=1))

    out = np.full(len(space.points), np.nan, np.float32)
    chunks = [wanted[start : start + CHUNK // 4] for start in range(0, len(wanted), CHUNK // 4)]
    for some, medians in zip(chunks, spread(median_of, chunks), strict=True):
        out[some] = medians
    return out


def _pixel_distance(
    images: UInt8[np.ndarray, "N C H W"],
    a: Int64[np.ndarray, " P"],
    b: Int64[np.ndarray, " P"],
    mirrored: Bool[np.ndarray, " P"],
) -> Float32[np.ndarray, " P"]:
    """Distance of standardised pixels, 0..2; equal to sqrt(2 - 2 correlation)."""
    out = np.empty(len(a), np.float32)
    step = max(1, _NUMBERS // int(np.prod(images.shape[1:])))
    for turned in (False, True):
        which = np.flatnonzero(mirrored == turned)
        for start in range(0, len(which), step):
            some = which[start : start + step]
            ours = flat_standard(images, a[some], mirrored=turned)
            out[some] = np.linalg.norm(ours - flat_standard(images, b[some]), axis=1)
    return out
