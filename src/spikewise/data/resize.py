"""How images come to one size: stretched, or in proportion on a ground; and to which, where nobody says it."""

from collections import Counter
from collections.abc import Collection
from typing import Final

import numpy as np
from PIL import Image

from spikewise.data.config import Size
from spikewise.data.image_set import Aspect
from spikewise.data.opened import Header

__all__ = ["LARGEST_SIDE", "common_size", "mixed_in_words", "resized"]

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


def common_size(headers: Collection[Header]) -> Size:
    """The square for images of several sizes: the median of their longer sides, at most `LARGEST_SIDE`."""
    side = round(float(np.median([max(header.height, header.width) for header in headers])))
    return (min(side, LARGEST_SIDE),) * 2


def mixed_in_words(headers: Collection[Header]) -> str:
    """How many sizes there are, and the commonest of them."""
    sizes = Counter((header.height, header.width) for header in headers)
    first = sorted(sizes, key=lambda size: (-sizes[size], size))[:3]
    listed = ", ".join(f"{height}x{width}" for height, width in first)
    return f"{len(sizes):,} sizes (height x width: {listed}{', ...' if len(sizes) > len(first) else ''})"
