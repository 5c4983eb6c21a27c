"""Images as small vectors that can be compared: area averages, without brightness and contrast."""

import numpy as np
from jaxtyping import Float32, Int64, UInt8

__all__ = ["CHUNK", "averaging", "flat_standard", "shrink"]

CHUNK = 1024
"""Images that are converted to floats at a time."""


def shrink(
    images: UInt8[np.ndarray, "N C H W"], size: tuple[int, int], positions: Int64[np.ndarray, " M"] | None = None
) -> Float32[np.ndarray, "M h w"]:
    """Grey area averages of `size` pixels (height, width), in 0..255; a side that is smaller stays as it is.

    Reads `CHUNK` images at a time, so that a memory map stays on disk.
    """
    positions = np.arange(len(images)) if positions is None else positions
    _, _, height, width = images.shape
    rows, columns = averaging(height, min(height, size[0])), averaging(width, min(width, size[1]))
    out = np.empty((len(positions), len(rows), len(columns)), np.float32)
    for start in range(0, len(positions), CHUNK):
        grey = images[positions[start : start + CHUNK]].mean(axis=1, dtype=np.float32)
        out[start : start + CHUNK] = rows @ grey @ columns.T
    return out


def flat_standard(
    images: UInt8[np.ndarray, "N C H W"], positions: Int64[np.ndarray, " M"], *, mirrored: bool = False
) -> Float32[np.ndarray, "M D"]:
    """All pixels of some images as vectors of mean 0 and length 1: their distance ignores brightness and contrast."""
    chosen = images[positions]
    if mirrored:
        chosen = chosen[..., ::-1]
    return standard(chosen.reshape(len(chosen), -1).astype(np.float32))


def standard(vectors: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Each vector shifted to mean 0 and scaled to length 1; a constant one becomes 0."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-6), np.float32)


def averaging(given: int, wanted: int) -> Float32[np.ndarray, "wanted given"]:
    """Weights of each given pixel in each wanted one: the share of their overlap."""
    edges = np.linspace(0, given, wanted + 1)
    pixel = np.arange(given)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(overlap, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
