"""One image of any common kind as uint8 [C, H, W]: the picture that a viewer shows; what is wrong is said in words.

The stored numbers count, as in every viewer without colour management: colour profiles and gamma are not applied. The
orientation is obeyed, whatever else the metadata say. The result is the same from a path, from bytes and from a picture
in memory, in every format that keeps its pixels.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from spikewise.data.config import MAX_PIXELS, Background
from spikewise.data.image_set import Aspect
from spikewise.data.opened import Header, Source, name_of, opened, orientation_of, read_header
from spikewise.data.resize import resized
from spikewise.data.white import Kind, Range, range_of, to_bytes, top_of, white_of_more
from spikewise.errors import DataError

__all__ = [
    "SUFFIXES",
    "Frame",
    "Header",
    "Picture",
    "Source",
    "WhiteOf",
    "decode",
    "decode_image",
    "known_whites",
    "numbers_of",
    "read_header",
]

SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp"}
    | {".pgm", ".ppm", ".pbm", ".pnm"}
)
"""What counts as an image file in a folder (upper or lower case)."""

WhiteOf = Callable[[Kind, Range], float]
"""Says what white is in an image, from how it is stored and its smallest and largest number."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


class Picture(NamedTuple):
    """One decoded image."""

    pixels: UInt8[np.ndarray, "C H W"]
    header: Header
    hidden: bool
    """Whether transparency holds a drawing that the background swallows: one even colour is left."""


class Frame(NamedTuple):
    """What an image is laid into."""

    size: tuple[int, int] | None
    """Height and width; None: its own."""
    aspect: Aspect
    background: Background


class _Numbers(NamedTuple):
    """Pixels as stored, transparency laid on the background."""

    values: NDArray[Any]
    """[H, W], or [H, W, 3]."""
    hidden: bool


def decode_image(  # noqa: PLR0913  # one argument per thing a person may ask for
    source: Source,
    *,
    size: tuple[int, int] | None = None,
    grey: bool | None = None,
    max_pixels: int = MAX_PIXELS,
    white: float | None = None,
    background: Background = "black",
    aspect: Aspect = "stretch",
) -> UInt8[np.ndarray, "C H W"]:
    """Decode a PNG, JPEG, BMP, TIFF, GIF, WebP or PNM image, or a picture in memory.

    EXIF and TIFF orientation is obeyed. Of an animation the first frame counts. Transparent pixels are composited on
    the background (black: nothing there, so no spikes); an alpha channel that is zero everywhere is unused (32-bit BMP)
    and ignored. Numbers are scaled to 0..255 by what is white, never stretched. Resizing is bilinear, averaging when it
    shrinks.

    Args:
        size: Height and width in pixels; None keeps the image's own.
        grey: True: one channel; false: three; None: as stored.
        max_pixels: Refuse more pixels than this.
        white: The stored number that is white; None: the top of the type (255, 65535, or 1 for floats).
        aspect: "stretch" to another size, or "keep" the proportions and fill the rest with the background.
    Raises:
        MissingDataError: no such file.
        DataError: empty, truncated, not an image, too many pixels, floats beyond 0..1 without `white`.
    """

    def white_of(kind: Kind, found: Range) -> float:
        name = name_of(source)
        return top_of(kind, found, name) if white is None else white_of_more(kind, found, {}, name, said=white)

    return decode(
        source,
        frame=Frame(size, aspect, background),
        grey=grey,
        max_pixels=max_pixels,
        white_of=white_of,
    ).pixels


def decode(
    source: Source,
    *,
    frame: Frame,
    grey: bool | None,
    max_pixels: int,
    white_of: WhiteOf,
) -> Picture:
    """As `decode_image`, with the file's header, and with a white that depends on what is found."""
    with opened(source, max_pixels) as (image, header):
        mode = "L" if (header.grey if grey is None else grey) else "RGB"
        numbers, kind = _numbers(image, header, frame.background), header.kind
        white = white_of(kind, Range(0, 255) if kind == "uint8" else range_of(numbers.values))
        if kind == "uint16" and numbers.values.ndim == 3 and white != 65535:
            raise DataError(
                f"{name_of(source)} holds 16 bits a colour, of which 8 are read, so white={white:g} would leave few "
                "levels. Save it with 8 bits a colour."
            )
        stored = to_bytes(numbers.values, kind, white)
        turn = _UPRIGHT.get(1 if _turned_already(image) else orientation_of(image))
        own, planes = (header.height, header.width), () if mode == "L" else (3,)
        if turn is None and stored.shape == (*own, *planes) and frame.size in (None, own):
            pixels = stored
        else:
            pixels = _brought(stored, mode, turn, header, frame, name_of(source))
    return Picture(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), header, numbers.hidden)


def _brought(  # all that decides
    stored: UInt8[np.ndarray, "..."],
    mode: str,
    turn: Image.Transpose | None,
    header: Header,
    frame: Frame,
    name: str,
) -> UInt8[np.ndarray, "..."]:
    """Stored bytes in the colours of a mode, upright, and in the size of the frame.

    Raises:
        DataError: they are not as many as the header says.
    """
    plain = Image.fromarray(stored).convert(mode)
    if turn is not None:
        plain = plain.transpose(turn)
    if plain.size != (header.width, header.height):
        raise DataError(
            f"{name} is {plain.size[1]} x {plain.size[0]} pixels, and says {header.height} x {header.width}. "
            "It is damaged."
        )
    target = frame.size or (header.height, header.width)
    return np.asarray(resized(plain, target, frame.aspect, _level(frame.background)))


def numbers_of(source: Source, *, max_pixels: int, background: Background) -> tuple[Kind, Range]:
    """How a file stores its pixels, and the smallest and largest of them.

    Raises:
        MissingDataError, DataError: as `decode_image`.
    """
    with opened(source, max_pixels) as (image, header):
        return header.kind, range_of(_numbers(image, header, background).values)


def known_whites(whites: Mapping[Kind, float]) -> WhiteOf:
    """What white is where it was settled for the whole set; a kind of which nothing could be read has none."""
    return lambda kind, _: whites.get(kind, 1.0)


def _numbers(image: Image.Image, header: Header, background: Background) -> _Numbers:
    ground = _level(background)
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_numbers(image, header, ground)
    deep = header.kind == "uint16"
    if header.see_through:
        flat, hidden = _on_ground(image.convert("RGBA"), ground)
    else:
        flat, hidden = image if image.mode in ("1", "L", "RGB") else image.convert("RGB"), False
    values = np.asarray(flat)
    if header.kind == "bool" and values.ndim == 3:  # one bit a pixel, and one of the two is transparent
        values = values[..., 0] > 0
    return _Numbers(values.astype(np.uint16) * 257 if deep else values, hidden)


def _level(background: Background) -> int:
    return 255 if background == "white" else 0


def _deep_numbers(image: Image.Image, header: Header, ground: int) -> _Numbers:
    """Grey of more than 8 bits, as the file means it."""
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    if header.kind == "integer" and tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED and len(tags):
        values = values.view(np.uint32)
    if header.kind == "uint16":
        values = values.astype(np.uint16)
        if tags.get(_BITS_PER_SAMPLE) == (12,):  # the file says so: no need to find it out
            values = (values << 4) | (values >> 8)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            values = 65535 - values
    clear = image.info.get("transparency")
    if isinstance(clear, int) and header.kind == "uint16":
        values = np.where(values == clear, np.uint16(257 * ground), values)
    return _Numbers(values, False)


def _on_ground(image: Image.Image, ground: int) -> tuple[Image.Image, bool]:
    """The picture without transparency, and whether the ground swallows what transparency draws."""
    alpha = image.getchannel("A")
    if alpha.getextrema() in ((0, 0), (255, 255)):
        return image.convert("RGB"), False
    flat = Image.new("RGB", image.size, (ground, ground, ground))
    flat.paste(image.convert("RGB"), mask=alpha)
    values = np.asarray(flat)
    return flat, bool((values == values[0, 0]).all())


def _turned_already(image: Image.Image) -> bool:
    """Pillow turns TIFFs upright itself while it reads them, and no other format."""
    return hasattr(image, "tag_v2")
