"""Images as people see them: [C, H, W] arrays to pictures, strips of samples, and their files."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.figure import Figure
from PIL import Image

from spikewise.errors import ShapeError
from spikewise.viz.canvas import TEXT, Margins, label, new_figure
from spikewise.viz.theme import LIGHT, Theme

__all__ = ["picture", "png_bytes", "sample_grid"]

_CELL, _SIDE = 0.56, 0.5
"""Inches from one image to the next, and of the longer side of one."""


def picture(image: UInt8[np.ndarray, "C H W"], *, limit: int = 96) -> Image.Image:
    """A picture of an image with 1 (grey), 3 (colour) or another number of channels (their mean, grey).

    Args:
        limit: Larger images are shrunk until neither side is longer.
    """
    if image.ndim != 3 or image.dtype != np.uint8:
        raise ShapeError(f"An image is uint8 [C, H, W]; got {image.dtype} {image.shape}.")
    pixels = image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0).round().astype(np.uint8)
    drawn = Image.fromarray(np.ascontiguousarray(pixels))
    if max(drawn.size) > limit:
        drawn.thumbnail((limit, limit), Image.Resampling.LANCZOS)
    return drawn


def png_bytes(drawn: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    file = io.BytesIO()
    drawn.save(file, format="PNG", optimize=True)
    return file.getvalue()


def sample_grid(
    images: UInt8[np.ndarray, "M C H W"],
    labels: Int[np.ndarray, " M"],
    classes: Sequence[str],
    *,
    columns: int = 8,
    theme: Theme = LIGHT,
) -> Figure:
    """A row for each class that occurs, with its name and its first `columns` images."""
    shown = [k for k in range(len(classes)) if (labels == k).any()]
    width, height = 1.6 + _CELL * columns, 0.2 + _CELL * max(len(shown), 1)
    figure = new_figure(height, width=width, margins=Margins(0, 0), theme=theme)
    ax = figure.add_axes((0, 0, 1, 1))  # one for all, in inches: an axes for each image takes most of the time
    ax.set_axis_off()
    for row, k in enumerate(shown):
        middle = height * (1 - (row + 0.5) / len(shown))
        for column, image in enumerate(images[labels == k][:columns]):
            pixels = np.asarray(picture(image))
            across, down = (_SIDE * side / max(pixels.shape[:2]) / 2 for side in pixels.shape[1::-1])
            x = 1.4 + _CELL * column + _SIDE / 2
            ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", gid=f"sample-{k}",
                      extent=(x - across, x + across, middle - down, middle + down), aspect="auto")  # fmt: skip
        figure.text(1.3 / width, middle / height, label(classes[k], 18), ha="right", va="center", size=TEXT,
                    color=theme.ink, parse_math=False)  # fmt: skip
    ax.set(xlim=(0, width), ylim=(0, height))
    return figure
