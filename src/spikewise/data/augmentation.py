"""Random changes to training images, the same for every network that is compared.

Each image's changes follow from (seed, epoch, index) alone, so they do not depend on the batch it is in. They are
drawn first (`draw_changes`), for as many images as are wanted, and made then (`make_changes`): a training on a GPU
draws those of a whole epoch at once. CPU and GPU agree to the bit: what is not an integer is a sum or product in
float64, rounded alike everywhere, and what is not (sine, cosine, the Beta distribution) is computed on the CPU.
"""

import math
from typing import Annotated, NamedTuple

import scipy  # its parts load when they are first used
import torch
from jaxtyping import Float32, Float64, Int32, Int64, UInt8
from pydantic import Field
from torch import Tensor

from spikewise.config import Config
from spikewise.data.counter import uniform_at
from spikewise.errors import ShapeError
from spikewise.types import Draw

__all__ = ["AugmentConfig", "Augmented", "Changes", "augment", "draw_changes", "make_changes"]

_SHIFT_Y, _SHIFT_X, _TURN, _FLIP, _ZOOM, _CROP_Y, _CROP_X, _ERASE, _ERASE_Y, _ERASE_X, _MIX = range(100, 111)
_ONE = 256  # positions are in 1/256 pixel
_Share = Annotated[float, Field(ge=0, le=1)]


class AugmentConfig(Config):
    """How far training images are changed; the default changes nothing."""

    shift: Annotated[int, Field(ge=0, le=1024)] = 0
    """Move by up to this many whole pixels, up or down and left or right; black moves in."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to this many degrees either way."""
    flip: _Share = 0.0
    """Probability of exchanging left and right."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Enlarge a random window whose sides are this share of the image's, or more."""
    erase: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Blacken a random rectangle whose sides are up to this share of the image's."""
    mixup: Annotated[float, Field(ge=0, le=16)] = 0.0
    """Parameter of the Beta distribution by which each image is blended with the next in its batch; 0: no blending.

    Source: H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
    """

    @property
    def changes(self) -> bool:
        """Whether anything is switched on."""
        return self != AugmentConfig()


class Augmented(NamedTuple):
    """A changed batch."""

    images: UInt8[Tensor, "B C H W"]
    targets: Float32[Tensor, "B K"] | None
    """Share of each class in each image; None unless images were blended."""


class Changes(NamedTuple):
    """What will happen to each image; None where nothing of that kind does."""

    movement: Float64[Tensor, "B 5"] | None
    """Sine and cosine of its turn (times its zoom), 1 or -1 (mirrored), and pixels down and right."""
    hidden: Float64[Tensor, "B 4"] | None
    """First row and the row after the last, first column and the column after the last, of its black rectangle."""
    own: Int32[Tensor, " B"] | None
    """Its share in its blend with the next image, in 1/2^15."""

    def at(self, rows: Int64[Tensor, " b"]) -> "Changes":
        """Those of some of the images."""
        return Changes(*(None if part is None else part.index_select(0, rows) for part in self))


def augment(
    images: UInt8[Tensor, "B C H W"], labels: Int64[Tensor, " B"], draw: Draw, config: AugmentConfig, *, classes: int
) -> Augmented:
    """Change a batch at random: first one movement (crop, flip, rotation, shift), then erasing, then blending.

    Blending takes the next image of the batch as partner, and so is the one change that depends on the batch.

    Args:
        draw: Seed, epoch, and the position of each image in its set.
    Raises:
        ShapeError: labels or positions that are not one an image.
    """
    if len(labels) != len(images) or len(draw.index) != len(images):
        raise ShapeError(f"augment got {len(images)} images, {len(labels)} labels and {len(draw.index)} positions.")
    draw = draw._replace(index=draw.index.to(images.device))
    return make_changes(images, labels, draw_changes(draw, config, images.shape[2], images.shape[3]), config, classes)


def draw_changes(draw: Draw, config: AugmentConfig, height: int, width: int) -> Changes:
    """The changes of each image of `draw`, on the device of its positions.

    Args:
        height: of the images, in pixels, as `width`.
    """
    dice = _Dice(draw)
    moves = config.shift or config.rotation or config.flip or config.crop < 1
    return Changes(
        _movement(dice, config, height, width) if moves else None,
        _rectangle(dice, config.erase, height, width) if config.erase else None,
        _share(dice, config.mixup) if config.mixup else None,
    )


def make_changes(
    images: UInt8[Tensor, "B C H W"],
    labels: Int64[Tensor, " B"],
    changes: Changes,
    config: AugmentConfig,
    classes: int,
) -> Augmented:
    """Change a batch as drawn; nothing here waits for the device or is drawn anew."""
    if changes.movement is not None:
        blend = bool(config.rotation) or config.crop < 1  # otherwise pixels move by whole pixels
        images = _move(images, *_sources(changes.movement, images.shape[2], images.shape[3]), blend=blend)
    if changes.hidden is not None:
        images = _erase(images, changes.hidden)
    if changes.own is not None:
        return _blend(images, labels, changes.own, classes)
    return Augmented(images, None)


class _Dice:
    """Uniform numbers by image and purpose."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._index = draw.index.to(torch.int64)

    def __call__(self, purpose: int) -> Float64[Tensor, " B"]:
        return uniform_at(self._index, self._draw.seed, int(self._draw.epoch), purpose)

    def around_zero(self, purpose: int, limit: float) -> Float64[Tensor, " B"]:
        return (self(purpose) * 2 - 1) * limit

    def whole(self, purpose: int, limit: int) -> Float64[Tensor, " B"]:
        return torch.floor(self(purpose) * (2 * limit + 1)) - limit


def _movement(dice: _Dice, config: AugmentConfig, height: int, width: int) -> Float64[Tensor, "B 5"]:
    angle = dice.around_zero(_TURN, math.radians(config.rotation))
    if config.rotation:
        angle = angle.cpu()
    mirror = torch.where(dice(_FLIP) < config.flip, -1.0, 1.0).double()
    zoom = 1 - dice(_ZOOM) * (1 - config.crop)
    down = dice.whole(_SHIFT_Y, config.shift) - dice.around_zero(_CROP_Y, 0.5) * (1 - zoom) * height
    right = dice.whole(_SHIFT_X, config.shift) - dice.around_zero(_CROP_X, 0.5) * (1 - zoom) * width
    sine, cosine = torch.sin(angle).to(zoom.device) * zoom, torch.cos(angle).to(zoom.device) * zoom
    return torch.stack([sine, cosine, mirror, down, right], dim=1)


def _sources(
    movement: Float64[Tensor, "B 5"], height: int, width: int
) -> tuple[Int64[Tensor, "B H W"], Int64[Tensor, "B H W"]]:
    """Where each pixel of the result comes from, in 1/256 pixel."""
    sine, cosine, mirror, down, right = movement[:, :, None, None].unbind(1)
    y = torch.arange(height, dtype=torch.float64, device=movement.device)[None, :, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64, device=movement.device)[None, None, :] - (width - 1) / 2
    from_y = cosine * y + sine * x - down + (height - 1) / 2
    from_x = (cosine * x - sine * y - right) * mirror + (width - 1) / 2
    return torch.round(from_y * _ONE).long(), torch.round(from_x * _ONE).long()


def _move(
    images: UInt8[Tensor, "B C H W"], from_y: Int64[Tensor, "B H W"], from_x: Int64[Tensor, "B H W"], *, blend: bool
) -> UInt8[Tensor, "B C H W"]:
    """Sampling in integers, bilinear if asked to blend; black outside."""
    batch, channels, height, width = images.shape
    stride = width + 4  # two black pixels on each side: whatever lies outside is moved there
    flat = torch.nn.functional.pad(images, (2, 2, 2, 2)).reshape(batch, channels, -1)
    place = ((from_y >> 8).clamp(-2, height) + 2) * stride + (from_x >> 8).clamp(-2, width) + 2
    place = place.reshape(batch, 1, -1).expand(-1, channels, -1)
    if not blend:
        return flat.gather(2, place).reshape(images.shape)
    part_y = (from_y & 255).to(torch.int32).reshape(batch, 1, -1)
    part_x = (from_x & 255).to(torch.int32).reshape(batch, 1, -1)
    rows = [
        flat.gather(2, place + step).to(torch.int32) * (_ONE - part_x)
        + flat.gather(2, place + (step + 1)).to(torch.int32) * part_x
        for step in (0, stride)
    ]
    total = rows[0] * (_ONE - part_y) + rows[1] * part_y + (1 << 15)
    return (total >> 16).to(torch.uint8).reshape(images.shape)


def _rectangle(dice: _Dice, share: float, height: int, width: int) -> Float64[Tensor, "B 4"]:
    side = dice(_ERASE) * share
    return torch.stack([*_run(dice(_ERASE_Y), side, height), *_run(dice(_ERASE_X), side, width)], dim=1)


def _run(where: Float64[Tensor, " B"], side: Float64[Tensor, " B"], length: int) -> tuple[Tensor, Tensor]:
    """Per image, begin and end of a run over about `side` of one axis, at a random place."""
    run = torch.round(side * length)
    start = torch.floor(where * (length - run + 1))
    return start, start + run


def _erase(images: UInt8[Tensor, "B C H W"], rectangle: Float64[Tensor, "B 4"]) -> UInt8[Tensor, "B C H W"]:
    top, bottom, left, right = rectangle[:, :, None].unbind(1)
    y = torch.arange(images.shape[2], dtype=torch.float64, device=images.device)[None]
    x = torch.arange(images.shape[3], dtype=torch.float64, device=images.device)[None]
    hidden = ((y >= top) & (y < bottom))[:, :, None] & ((x >= left) & (x < right))[:, None, :]
    return images.masked_fill(hidden[:, None], 0)


def _share(dice: _Dice, alpha: float) -> Int32[Tensor, " B"]:
    drawn = dice(_MIX)
    share = torch.from_numpy(scipy.special.betaincinv(alpha, alpha, drawn.cpu().numpy()))
    return torch.round(share * (1 << 15)).to(drawn.device, torch.int32)


def _blend(
    images: UInt8[Tensor, "B C H W"], labels: Int64[Tensor, " B"], own: Int32[Tensor, " B"], classes: int
) -> Augmented:
    other = (1 << 15) - own
    weight, rest = own[:, None, None, None], other[:, None, None, None]
    mixed = (images.to(torch.int32) * weight + images.roll(-1, 0).to(torch.int32) * rest + (1 << 14)) >> 15
    one_hot = torch.nn.functional.one_hot(labels, classes)
    targets = (one_hot * own[:, None] + one_hot.roll(-1, 0) * other[:, None]).to(torch.float32) / (1 << 15)
    return Augmented(mixed.to(torch.uint8), targets)
