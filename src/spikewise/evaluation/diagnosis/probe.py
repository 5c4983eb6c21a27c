"""What a linear classifier makes of the pixels: where even that is at chance, the labels may say nothing."""

from typing import Final

import numpy as np
from jaxtyping import Float, Int, UInt8

__all__ = ["linear_accuracy", "pixel_features"]

_MOST_IMAGES: Final = 4000
_MOST_PIXELS: Final = 1024
_RIDGE: Final = 1e-2


def linear_accuracy(
    train: UInt8[np.ndarray, "N C H W"],
    labels: Int[np.ndarray, " N"],
    validation: UInt8[np.ndarray, "M C H W"],
    truth: Int[np.ndarray, " M"],
) -> float:
    """Validation accuracy of ridge regression from pixels to one-hot labels.

    At most 4000 training images are used, evenly spread, and images are averaged down to about 1000 values.
    Source: Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2009, sec. 3.4.1 and 4.2.
    """
    every = max(1, -(-len(train) // _MOST_IMAGES))
    x, y = pixel_features(train[::every]), labels[::every]
    mean = x.mean(0)
    centred = x - mean
    targets = np.eye(int(max(labels.max(), truth.max())) + 1)[y]
    gram = centred.T @ centred
    gram[np.diag_indices_from(gram)] += _RIDGE * len(x) * max(float(centred.var()), 1e-12)
    weights = np.linalg.solve(gram, centred.T @ (targets - targets.mean(0)))
    scores = (pixel_features(validation) - mean) @ weights + targets.mean(0)
    return float((scores.argmax(1) == truth).mean())


def pixel_features(images: UInt8[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
    """Intensities from 0 to 1, neighbouring pixels averaged until there are about 1000."""
    n, channels, height, width = images.shape
    step = max(1, int(np.ceil((channels * height * width / _MOST_PIXELS) ** 0.5)))
    high, wide = max(1, height // step), max(1, width // step)
    cut = images[:, :, : high * (height // high), : wide * (width // wide)]
    blocks = cut.reshape(n, channels, high, height // high, wide, width // wide)
    return np.asarray(blocks.mean(axis=(3, 5), dtype=np.float64).reshape(n, -1) / 255)
