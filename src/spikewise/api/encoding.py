"""`encode`: an image as an encoder turns it into spikes, and that as a picture or an animation."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Num, UInt8

from spikewise.data import Aspect, decode_image
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError, ShapeError
from spikewise.files import write_bytes
from spikewise.types import Draw
from spikewise.viz import encoded_animation, encoded_frames, encoding_animation, is_spikes, raster, save_figure, still

__all__ = ["encode", "save_encoded"]

_WIDTH = 320
"""Pixels that the longer side of an animation has at least, if its image is smaller."""
_MOST_VALUES = 2**27
"""Of one encoded image; encoding takes several times as many bytes."""
_MOST_FRAMES = 1000


def encode(
    image: str | Path | bytes,
    encoder: Encoder,
    *,
    size: tuple[int, int] | None = None,
    grey: bool | None = None,
    aspect: Aspect = "stretch",
    seed: int = 0,
) -> Num[np.ndarray, "T C2 H W"]:
    """What enters a network at each step: spikes, events or currents.

    Args:
        size: Height and width in pixels; None keeps the image's own.
        grey: True: one channel; False: three; None: as stored.
        aspect: "stretch" to that size, or "keep" the proportions on black.
    Raises:
        DataError: the file is missing, damaged or no image.
        ShapeError: more steps and pixels than can be held.
    """
    pixels = decode_image(Path(image) if isinstance(image, str) else image, size=size, grey=grey, aspect=aspect)
    if pixels.size * encoder.steps > _MOST_VALUES:
        raise ShapeError(
            f"{encoder.steps:,} steps of {'x'.join(map(str, pixels.shape))} are more than {_MOST_VALUES:,} values: "
            "take fewer steps, or a smaller size."
        )
    encoded = encoder(torch.from_numpy(np.array(pixels[None])), Draw.first(1, seed=seed))
    return np.asarray(encoded[:, 0].numpy())


def save_encoded(
    encoded: Num[np.ndarray, "T C2 H W"],
    path: Path,
    *,
    title: str = "encoded",
    image: UInt8[np.ndarray, "C H W"] | None = None,
) -> None:
    """Draw an encoded image: `.gif` is an animation, `.png`, `.svg` or `.pdf` a raster (of currents a still picture).

    Args:
        image: What was encoded; an animation then shows it beside the spikes and their mean so far.
    Raises:
        ConfigError: another kind of file.
    """
    scale = max(1, -(-_WIDTH // max(encoded.shape[2:])))
    match path.suffix.lower():
        case ".gif" if len(encoded) > _MOST_FRAMES:
            raise ConfigError(
                f"An animation has at most {_MOST_FRAMES:,} frames; {len(encoded):,} steps are drawn as .png."
            )
        case ".gif":
            scale = scale if image is None else max(1, scale // 2)
            write_bytes(
                path,
                encoded_animation(encoded, scale=scale)
                if image is None
                else encoding_animation(image, encoded, scale=scale),
            )
        case ".png" | ".svg" | ".pdf" if is_spikes(encoded):
            save_figure(raster({title: encoded.reshape(len(encoded), -1)}), path)
        case ".png":
            write_bytes(path, still(encoded_frames(encoded, scale=scale)))
        case ".svg" | ".pdf":
            raise ConfigError(f"Currents are drawn as pixels: write {path.with_suffix('.png')} or .gif instead.")
        case other:
            raise ConfigError(f"Cannot write '{other or path}': an animation is .gif, a raster is .png, .svg or .pdf.")
