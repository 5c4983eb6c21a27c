"""Whether two images show the same thing, moved, scaled or turned a little: they are laid upon each other.

First by the peak of their cross-correlation, then by Gauss-Newton steps on a similarity (shift, scale, angle), a gain
and an offset. What counts is the correlation where they overlap. A map with more freedom, and larger angles, would let
any edge be laid upon any other. Source: B. Lucas and T. Kanade, "An iterative image registration
technique", IJCAI 1981; S. Baker and I. Matthews, "Lucas-Kanade 20 years on", IJCV 2004, section 3.1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64
from scipy import fft

__all__ = ["STEPS", "Aligned", "Shift", "align", "best_shift"]

STEPS = 7
"""Gauss-Newton steps."""
_BATCH = 256
"""Pairs at a time."""
_FURTHEST = 0.22
"""Of a side: how far an image may have moved."""
_OVERLAP, _SCALES, _ANGLE = 0.5, (0.8, 1.25), 0.13
"""What an alignment may have: overlap as a share of the image, scale, sine of the angle."""


class Shift(NamedTuple):
    """How far the second images are moved against the first."""

    down: Int64[np.ndarray, " P"]
    right: Int64[np.ndarray, " P"]
    peak: Float32[np.ndarray, " P"]
    """Correlation there, as if what does not overlap were grey; negative for an inverted image."""


class Aligned(NamedTuple):
    """Pairs laid upon each other."""

    correlation: Float32[np.ndarray, " P"]
    """Where they overlap; 0 where they could not be brought together."""
    moved: Float32[np.ndarray, " P"]
    """How far the corners moved at most, in pixels."""


def best_shift(first: Float32[np.ndarray, "P h w"], second: Float32[np.ndarray, "P h w"]) -> Shift:
    """The shift of each pair with the largest correlation, in magnitude."""
    found = [_shift(first[at : at + _BATCH], second[at : at + _BATCH]) for at in range(0, len(first), _BATCH)]
    if not found:
        none = np.zeros(0, np.int64)
        return Shift(none, none, np.zeros(0, np.float32))
    return Shift(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _shift(first: Float32[np.ndarray, "P h w"], second: Float32[np.ndarray, "P h w"]) -> Shift:
    _, height, width = first.shape
    room = (2 * height, 2 * width)
    a, b = (fft.rfft2(_unit(images), s=room) for images in (first, second))
    product = fft.irfft2(np.conj(a) * b, s=room)
    tall, wide = (max(1, int(_FURTHEST * side)) for side in (height, width))
    rows, columns = np.arange(-tall, tall + 1), np.arange(-wide, wide + 1)
    near = product[:, rows][:, :, columns].reshape(len(first), -1)
    at = np.abs(near).argmax(axis=1)
    peak = near[np.arange(len(near)), at].astype(np.float32)
    return Shift(rows[at // len(columns)], columns[at % len(columns)], peak)


def _unit(images: Float32[np.ndarray, "P h w"]) -> Float32[np.ndarray, "P h w"]:
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred * centred).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-6), np.float32)


def align(
    first: Float32[np.ndarray, "P h w"], second: Float32[np.ndarray, "P h w"], shift: Shift, *, steps: int = STEPS
) -> Aligned:
    """Lay the second image of each pair upon the first, from a shift onwards; without steps, by the shift alone."""
    out = [
        _align(
            first[at : at + _BATCH], second[at : at + _BATCH], Shift(*(one[at : at + _BATCH] for one in shift)), steps
        )
        for at in range(0, len(first), _BATCH)
    ]
    if not out:
        return Aligned(np.zeros(0, np.float32), np.zeros(0, np.float32))
    return Aligned(*(np.concatenate(column) for column in zip(*out, strict=True)))


def _align(
    first: Float32[np.ndarray, "P h w"], second: Float32[np.ndarray, "P h w"], shift: Shift, steps: int
) -> Aligned:
    pairs, height, width = first.shape
    template, image = _unit(first).reshape(pairs, -1), _unit(second)
    y, x = (axis.ravel().astype(np.float32) for axis in np.mgrid[:height, :width])
    y, x = y - np.float32((height - 1) / 2), x - np.float32((width - 1) / 2)
    size = np.float32(max(height, width))
    basis = np.stack([y / size, x / size, np.ones_like(y)])  # alike in size, so that the equations are well scaled
    pose = np.zeros((pairs, 4), np.float32)  # scale, sine of the angle, down, right
    pose[:, 0], pose[:, 2], pose[:, 3] = size, shift.down, shift.right
    best, moved = np.zeros(pairs, np.float32), np.zeros(pairs, np.float32)
    for step in range(steps + 1):
        map_y, map_x = pose[:, [0, 1, 2]], np.stack([-pose[:, 1], pose[:, 0], pose[:, 3]], axis=1)
        seen, inside = _warp(image, map_y @ basis, map_x @ basis)
        correlation = _correlation(template, seen, inside)
        better = _allowed(pose / size, inside) & (np.abs(correlation) > np.abs(best))
        best[better], moved[better] = correlation[better], _distance_moved(pose, size)[better]
        if step < steps:
            pose = pose + _gauss_newton(template, seen, inside, basis, (height, width))[:, :4]
    return Aligned(best, moved)


def _warp(
    images: Float32[np.ndarray, "P h w"], y: Float32[np.ndarray, "P D"], x: Float32[np.ndarray, "P D"]
) -> tuple[Float32[np.ndarray, "P D"], Bool[np.ndarray, "P D"]]:
    """The images at places counted from the middle, between pixels; and whether the places lie inside."""
    pairs, height, width = images.shape
    y, x = y + np.float32((height - 1) / 2), x + np.float32((width - 1) / 2)
    inside = (y > -0.01) & (y < height - 0.99) & (x > -0.01) & (x < width - 0.99)
    y, x = (np.clip(np.nan_to_num(one), 0, side - 1.001) for one, side in ((y, height), (x, width)))
    row, column = y.astype(np.int32), x.astype(np.int32)
    down, right = y - row, x - column
    flat = images.ravel()
    at = row * width + column + (np.arange(pairs, dtype=np.int32) * (height * width))[:, None]
    upper_left, lower_left = flat.take(at), flat.take(at + width)
    upper = upper_left + (flat.take(at + 1) - upper_left) * right
    lower = lower_left + (flat.take(at + width + 1) - lower_left) * right
    return np.asarray(upper + (lower - upper) * down, np.float32), inside


def _gauss_newton(
    template: Float32[np.ndarray, "P D"],
    seen: Float32[np.ndarray, "P D"],
    inside: Bool[np.ndarray, "P D"],
    basis: Float32[np.ndarray, "3 D"],
    shape: tuple[int, int],
) -> Float32[np.ndarray, "P 6"]:
    """The next change of the pose's four numbers (and of gain and offset, which start anew in each step).

    Slopes are those of the image as it is seen, so scale and angle of the pose are taken for 1 and 0.
    """
    weight = inside.astype(np.float32)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    ours, theirs = (one - (one * weight).sum(axis=1, keepdims=True) / count for one in (template, seen))
    theirs_weighted = theirs * weight
    spread = (theirs_weighted * theirs).sum(axis=1, keepdims=True)
    gain = (theirs_weighted * ours).sum(axis=1, keepdims=True) / np.maximum(spread, 1e-9)
    slope_y, slope_x = (
        (gain * one.reshape(len(seen), -1)) for one in np.gradient(seen.reshape(-1, *shape), axis=(1, 2))
    )
    columns = [slope_y * basis[0] + slope_x * basis[1], slope_y * basis[1] - slope_x * basis[0], slope_y, slope_x]
    design = np.stack([*columns, theirs, np.ones_like(seen)], axis=1) * weight[:, None]
    normal = np.matmul(design, design.transpose(0, 2, 1))
    right_side = np.matmul(design, (ours - gain * theirs)[..., None])
    scale = np.einsum("pii->p", normal)[:, None, None] / 6
    damped = normal + (1e-4 * scale + 1e-9) * np.eye(6, dtype=np.float32)
    return np.asarray(np.linalg.solve(damped, right_side)[..., 0], np.float32)


def _correlation(
    a: Float32[np.ndarray, "P D"], b: Float32[np.ndarray, "P D"], inside: Bool[np.ndarray, "P D"]
) -> Float32[np.ndarray, " P"]:
    count = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    a, b = (np.where(inside, one, 0) for one in (a, b))
    a, b = (np.where(inside, one - one.sum(axis=1, keepdims=True) / count, 0) for one in (a, b))
    lengths = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.maximum(lengths, 1e-9), np.float32)


def _allowed(pose: Float32[np.ndarray, "P 4"], inside: Bool[np.ndarray, "P D"]) -> Bool[np.ndarray, " P"]:
    """Whether enough overlaps and nothing was scaled or turned out of likeness; the pose in sides of the image."""
    scale = pose[:, 0]
    known = (scale >= _SCALES[0]) & (scale <= _SCALES[1]) & (np.abs(pose[:, 1]) <= _ANGLE)
    return np.asarray(known & (inside.mean(axis=1) >= _OVERLAP))


def _distance_moved(pose: Float32[np.ndarray, "P 4"], size: np.float32) -> Float32[np.ndarray, " P"]:
    """How far the corners of the image moved at most, in pixels."""
    middle = np.hypot(pose[:, 2], pose[:, 3])
    return np.asarray(middle + np.hypot(pose[:, 0] - size, pose[:, 1]) * np.float32(np.sqrt(0.5)), np.float32)
