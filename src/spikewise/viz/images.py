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
    figure = new_figure(0.2 + 0.56 * max(len(shown), 1), width=1.6 + 0.56 * columns, margins=Margins(0, 0), theme=theme)
    for row, k in enumerate(shown):
        for column, image in enumerate(images[labels == k][:columns]):
            place = ((1.4 + 0.56 * column) / (1.6 + 0.56 * columns), 1 - (row + 1) / len(shown), 0, 0)
            ax = figure.add_axes((*place[:2], 0.5 / (1.6 + 0.56 * columns), 0.9 / len(shown)))
            ax.imshow(
                np.asarray(picture(image)), cmap="gray", vmin=0, vmax=255, interpolation="nearest", gid=f"sample-{k}"
            )
            ax.set_axis_off()
        x, y = 1.3 / (1.6 + 0.56 * columns), 1 - (row + 0.5) / len(shown)
        figure.text(x, y, label(classes[k], 18), ha="right", va="center", size=TEXT, color=theme.ink, parse_math=False)
    return figure
