"""How images come to one size: stretched, or in proportion on a ground; and to which, where nobody says it."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from spikewise.data.config import Background, Size, Sizing
from spikewise.data.image_set import Aspect
from spikewise.errors import DataError

__all__ = ["LARGEST_SIDE", "OneSize", "one_size", "resized", "tells_sizes"]

LARGEST_SIDE: Final = 64
"""Of images that are brought to one size by themselves: enough for most objects, and a few minutes of training."""


def resized(image: Image.Image, size: Size, aspect: Aspect, ground: int = 0) -> Image.Image:
    """The image in another size; bilinear, averaging when it shrinks.

    Args:
        size: Height and width.
        aspect: "keep" fits the whole image into the middle in proportion.
        ground: Grey level beside it then, 0 or 255.
    """
    height, width = size
    if image.size == (width, height):
        return image
    if aspect == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.BILINEAR)
    out = Image.new(image.mode, (width, height), (ground,) * len(image.getbands()))
    out.paste(image, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return out


class OneSize(NamedTuple):
    """The size that all images of a set are brought to."""

    size: Size
    aspect: Aspect
    said: tuple[str, ...] = ()
    """What a reader must know, where nobody asked for it."""


def one_size(
    name: str,
    sizes: Sequence[Size],
    training: Sequence[Size],
    asked: Sizing,
    aspect: Aspect | None,
    background: Background,
) -> OneSize:
    """The size asked for, that of all images, or where they have several the one that suits the training images.

    Args:
        name: of the set, in errors.
        sizes: height and width of each image.
        training: the same of those that decide; none: all of them.
        aspect: how they are brought to it; None: kept where nobody gives a size, else stretched.
        background: fills the rest.
    Raises:
        DataError: several sizes, to be kept as they are.
    """
    if not isinstance(asked, str):
        return OneSize(asked, aspect or "stretch")
    if len(set(sizes)) == 1:
        return OneSize(sizes[0], aspect or "stretch")
    if asked == "none":
        raise DataError(
            f"{name} mixes images of {_mixed_in_words(sizes)}, and data.size=none keeps them as stored. "
            "Say which size to bring them to (--set data.size=64), or leave it to auto."
        )
    common, aspect = _common_size(training or sizes), aspect or "keep"
    how = f"in proportion, the rest {background}" if aspect == "keep" else "stretched"
    said = (
        f"Images of {_mixed_in_words(sizes)} are brought to {common[0]}x{common[1]}, {how}. Another size: "
        "data.size=N or HEIGHTxWIDTH."
    )
    return OneSize(common, aspect, (said,))


def tells_sizes(caution: str) -> bool:
    """Whether a word on a set is the one on images of several sizes."""
    return " sizes (height x width: " in caution


def _common_size(sizes: Collection[Size]) -> Size:
    """The square for images of several sizes: the median of their longer sides, at most `LARGEST_SIDE`."""
    side = round(float(np.median([max(size) for size in sizes])))
    return (min(side, LARGEST_SIDE),) * 2


def _mixed_in_words(sizes: Collection[Size]) -> str:
    """How many sizes there are, and the commonest of them."""
    counts = Counter(sizes)
    first = sorted(counts, key=lambda size: (-counts[size], size))[:3]
    listed = ", ".join(f"{height}x{width}" for height, width in first)
    return f"{len(counts):,} sizes (height x width: {listed}{', ...' if len(counts) > len(first) else ''})"
