"""Animations of what happens over time, as the content of GIF files that run for ever."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, ImageColor, ImageDraw, ImageFont

from spikewise.errors import ShapeError
from spikewise.viz.canvas import label
from spikewise.viz.images import picture, png_bytes
from spikewise.viz.theme import DARK, LIGHT, Theme

__all__ = [
    "accumulated",
    "condensed",
    "count_animation",
    "count_frames",
    "encoded_animation",
    "encoded_frames",
    "encoding_animation",
    "gif_bytes",
    "still",
]

_FRAME = 120
"""Milliseconds a frame stays; the last stays eight times as long."""
_GAP, _LINE, _CAPTION = 10, 20, 150
"""Pixels between pictures, of a caption's height, and of the longest caption."""
_ON, _OFF = (92, 184, 240), (255, 157, 77)


def encoded_frames(encoded: Num[np.ndarray, "T C2 H W"], *, scale: int = 1) -> list[Image.Image]:
    """What enters the network at each step, white on black; signed or paired events in two colours.

    Args:
        encoded: Spikes (0, 1), signed events, or currents in [0, 1].
        scale: Pixels of the frame for each pixel of the image.
    """
    if encoded.ndim != 4:
        raise ShapeError(f"An encoded image is [T, C, H, W]; got {encoded.shape}.")
    pixels = [_colours(step.astype(np.float32)) for step in encoded]
    return [Image.fromarray(step.repeat(scale, 0).repeat(scale, 1)) for step in pixels]


def condensed(
    encoded: Num[np.ndarray, "T C2 H W"], *, steps: int = 32, side: int = 32
) -> Num[np.ndarray, "T2 C2 H2 W2"]:
    """Means over neighbouring steps and pixels: at most `steps` frames of at most `side` pixels a side."""
    for axis, limit in ((0, steps), (2, side), (3, side)):
        size = encoded.shape[axis]
        group = -(-size // limit)
        if group > 1:
            starts = np.arange(0, size, group)
            lengths = np.diff([*starts, size]).reshape([-1 if at == axis else 1 for at in range(4)])
            encoded = np.add.reduceat(encoded.astype(np.float32), starts, axis=axis) / lengths
    return encoded


def encoded_animation(encoded: Num[np.ndarray, "T C2 H W"], *, scale: int = 1) -> bytes:
    """`encoded_frames` as a GIF."""
    return gif_bytes(encoded_frames(encoded, scale=scale))


def encoding_animation(
    image: UInt8[np.ndarray, "C H W"], encoded: Num[np.ndarray, "T C2 H W"], *, scale: int = 1, theme: Theme = LIGHT
) -> bytes:
    """A GIF of the image, what enters the network at each step, and the mean of that so far, side by side.

    Args:
        scale: Pixels of a frame for each pixel of the image.
    """
    pixels = Image.fromarray(np.asarray(picture(image, limit=10_000).convert("RGB")).repeat(scale, 0).repeat(scale, 1))
    steps, means = encoded_frames(encoded, scale=scale), encoded_frames(accumulated(encoded), scale=scale)
    what = "spikes" if encoded.dtype == np.uint8 or np.isin(encoded, (-1, 0, 1)).all() else "input"
    frames = []
    for at, (step, mean) in enumerate(zip(steps, means, strict=True), 1):
        frames.append(
            _beside({"image": pixels, f"{what}, step {at} of {len(steps)}": step, "mean so far": mean}, theme)
        )
    return gif_bytes(frames, colours=64)


def _beside(pictures: Mapping[str, Image.Image], theme: Theme) -> Image.Image:
    """Pictures of one size in a row, each under its caption."""
    width, height = next(iter(pictures.values())).size
    column = max(width, _CAPTION)
    drawn = Image.new("RGB", ((column + _GAP) * len(pictures) + _GAP, height + 2 * _GAP + _LINE), theme.surface)
    draw = ImageDraw.Draw(drawn)
    for at, (caption, one) in enumerate(pictures.items()):
        left = _GAP + at * (column + _GAP)
        draw.text((left, _GAP), caption, fill=theme.muted, font=_font(12))
        drawn.paste(one, (left, _GAP + _LINE))
    return drawn


def accumulated(encoded: Num[np.ndarray, "T C2 H W"]) -> Num[np.ndarray, "T C2 H W"]:
    """Mean of the encoded input up to each step: the image as the network has seen it so far."""
    steps = np.arange(1, len(encoded) + 1).reshape(-1, 1, 1, 1)
    return np.asarray(encoded.astype(np.float32).cumsum(0) / steps)


def count_frames(
    spikes: Num[np.ndarray, "T K"], classes: Sequence[str], *, every: int = 1, theme: Theme = LIGHT, scale: int = 2
) -> list[Image.Image]:
    """Bars of each output's spikes so far, one frame for each step; the leader is in colour.

    Args:
        every: Draw only one step in so many; the last step always.
    """
    counts = np.cumsum(spikes.astype(np.float64), 0)
    top = max(float(counts[-1].max()), 1.0) if len(counts) else 1.0
    names = [label(name, 12) for name in classes]
    shown = range(len(counts), 0, -every)[::-1]
    return [_bars(counts[t - 1], top, names, f"step {t} of {len(counts)}", theme, scale) for t in shown]


def count_animation(
    spikes: Num[np.ndarray, "T K"], classes: Sequence[str], *, every: int = 1, theme: Theme = LIGHT
) -> bytes:
    """`count_frames` as a GIF; few tones are enough for bars and make the file half as large."""
    return gif_bytes(count_frames(spikes, classes, every=every, theme=theme), colours=10)


def still(frames: Sequence[Image.Image]) -> bytes:
    """The last frame as a PNG, for readers who want no motion, and for paper."""
    last, few = frames[-1], 256
    if last.getcolors(few) is not None:  # a palette then loses nothing, and the file is a third
        last = last.quantize(few, dither=Image.Dither.NONE)
    return png_bytes(last)


def _colours(step: Num[np.ndarray, "C H W"]) -> UInt8[np.ndarray, "H W 3"]:
    channels = len(step)
    if channels == 2 or (step < 0).any():  # events up and down
        up, down = (step[0], step[1]) if channels == 2 else (step.clip(0).max(0), (-step).clip(0).max(0))
        mixed = np.maximum(up[..., None] * np.array(_ON), down[..., None] * np.array(_OFF))
        return np.asarray(mixed.clip(0, 255), dtype=np.uint8)
    whole = (step.clip(0, 1) * 255).round().astype(np.uint8)
    return np.asarray(picture(whole, limit=10_000).convert("RGB"))


def _bars(counts: np.ndarray, top: float, names: Sequence[str], title: str, theme: Theme, scale: int) -> Image.Image:
    row, left, width = 17 * scale, 84 * scale, 300 * scale
    drawn = Image.new("RGB", (width, row * (len(names) + 1) + 6 * scale), theme.surface)
    draw, font = ImageDraw.Draw(drawn), _font(10 * scale)
    draw.text((width - 4, 2 * scale), title, fill=theme.muted, font=font, anchor="ra")
    leader = counts.max()
    for k, (name, count) in enumerate(zip(names, counts, strict=True)):
        y = row * (k + 1) + 2 * scale
        colour = theme.series[0] if count == leader and leader > 0 else theme.muted
        draw.text((left - 6 * scale, y + row // 2), name, fill=theme.ink, font=font, anchor="rm")
        length = round((width - left - 34 * scale) * float(count) / top)
        draw.rectangle((left, y + 3 * scale, left + max(length, 1), y + row - 3 * scale), fill=colour)
        draw.text((left + length + 5 * scale, y + row // 2), f"{count:g}", fill=theme.muted, font=font, anchor="lm")
    return drawn


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib ships: it knows more letters than Pillow's own."""
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def gif_bytes(frames: Sequence[Image.Image], *, colours: int = 32) -> bytes:
    """Frames as a GIF of few colours that runs for ever."""
    palette = _with_ends(frames[-1].quantize(colours, dither=Image.Dither.NONE), colours)
    plain = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [_FRAME] * (len(frames) - 1) + [8 * _FRAME]
    file = io.BytesIO()
    plain[0].save(file, format="GIF", save_all=True, append_images=plain[1:], duration=times, loop=0, optimize=True)
    return file.getvalue()


def _with_ends(last: Image.Image, colours: int) -> Image.Image:
    """A palette of the last frame's colours, and surely of black, white, both event colours and both backgrounds."""
    found = (last.getpalette() or [])[: colours * 3]
    sure = [0, 0, 0, 255, 255, 255, *_ON, *_OFF, *ImageColor.getrgb(LIGHT.surface), *ImageColor.getrgb(DARK.surface)]
    palette = Image.new("P", (1, 1))
    palette.putpalette((sure + found + [0] * 768)[:768])
    return palette
