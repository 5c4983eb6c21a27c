"""Encoders: uint8 images to spikes, with the reference's bits; and the mask of dropout, of the same numbers."""

import triton
import triton.language as tl
from torch import Tensor

from spikewise.engine.triton.kernels.launch import lanes, step_and_lanes
from spikewise.engine.triton.kernels.philox import philox, random_byte

__all__ = ["delta", "kept", "periodic", "rate"]

_KEYS = ["key0", "key1"]
"""Whole numbers that may be of any size: specialising on them would compile anew for a seed of 1."""


@triton.jit(do_not_specialize=_KEYS)
def _rate(images, index, epoch, out, key0, key1, batch, pixels, blocks, total, SIZE: tl.constexpr):
    """Sixteen pixels share one Philox block, so a row of the tile is one block."""
    q = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    frame, block = q // blocks, q % blocks
    step, image = frame // batch, frame % batch
    inside = q < total
    number = tl.load(index + image, mask=inside, other=0).to(tl.uint32)
    zero = tl.zeros([SIZE], tl.uint32)
    now = zero + tl.load(epoch).to(tl.uint32)
    k0, k1 = zero + key0.to(tl.uint32), zero + key1.to(tl.uint32)
    c0, c1, c2, c3 = philox(block.to(tl.uint32), step.to(tl.uint32), number, now, k0, k1)
    place = tl.arange(0, 16)[None, :]
    byte = random_byte(c0[:, None], c1[:, None], c2[:, None], c3[:, None], place)
    pixel = block[:, None] * 16 + place
    mask = inside[:, None] & (pixel < pixels)
    level = tl.load(images + image[:, None].to(tl.int64) * pixels + pixel, mask=mask, other=0).to(tl.int32)
    spike = (byte < level) | ((level >= 128) & (byte == level))
    at = frame[:, None].to(tl.int64) * pixels + pixel
    tl.store(out + at, spike.to(tl.float32).to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_KEYS)
def _kept(index, epoch, out, key0, key1, share, features, total, SIZE: tl.constexpr):
    """A number of 24 bits is three bytes, which lie in one Philox block or in two."""
    j = lanes(total, SIZE)
    inside = j < total
    image, feature = j // features, j % features
    number = tl.load(index + image, mask=inside, other=0).to(tl.uint32)
    zero = tl.zeros([SIZE], tl.uint32)
    now = zero + tl.load(epoch).to(tl.uint32)
    k0, k1 = zero + key0.to(tl.uint32), zero + key1.to(tl.uint32)
    first, last = (3 * feature) // 16, (3 * feature + 2) // 16
    a0, a1, a2, a3 = philox(first.to(tl.uint32), zero, number, now, k0, k1)
    b0, b1, b2, b3 = philox(last.to(tl.uint32), zero, number, now, k0, k1)
    value = tl.zeros([SIZE], tl.int32)
    for i in tl.static_range(3):
        byte = 3 * feature + i
        here = byte // 16 == first
        w0, w1 = tl.where(here, a0, b0), tl.where(here, a1, b1)
        w2, w3 = tl.where(here, a2, b2), tl.where(here, a3, b3)
        value = value * 256 + random_byte(w0, w1, w2, w3, byte % 16)
    keep = value.to(tl.float32) * (1.0 / 16777216.0) >= share
    tl.store(out + j, keep.to(tl.float32).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _periodic(images, table, out, total, ONCE: tl.constexpr, SIZE: tl.constexpr):
    """One spike at the step that the table names for a level, or at all its multiples but 0."""
    step, j = step_and_lanes(total, SIZE)
    inside = j < total
    level = tl.load(images + j, mask=inside, other=0).to(tl.int32)
    first = tl.load(table + level, mask=inside, other=1)
    spike = (first == step) if ONCE else ((step > 0) & (step % first == 0))
    tl.store(out + step.to(tl.int64) * total + j, spike.to(tl.float32).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _delta(images, path, levels, out, threshold, height, width, plane, total, SIZE: tl.constexpr):
    """Brightenings, then darkenings, of the shifted image since the step before; `plane` is channels x pixels."""
    step, j = step_and_lanes(total, SIZE)
    inside = j < total
    x, y = j % width, (j // width) % height
    base = (j // (width * height)) * (width * height)
    down, right = tl.load(path + 2 * step), tl.load(path + 2 * step + 1)
    now = tl.load(images + base + (y - down) * width + x - right, mask=inside & (y >= down) & (x >= right), other=0)
    was = inside & (tl.zeros([SIZE], tl.int32) + step > 0)
    earlier = tl.maximum(step - 1, 0)
    down, right = tl.load(path + 2 * earlier), tl.load(path + 2 * earlier + 1)
    before = tl.load(images + base + (y - down) * width + x - right, mask=was & (y >= down) & (x >= right), other=0)
    # The reference's difference of two rounded quotients.
    change = tl.load(levels + now.to(tl.int32)) - tl.load(levels + before.to(tl.int32))
    image, feature = j // plane, j % plane
    to = out + (step.to(tl.int64) * total + image * plane) * 2 + feature
    tl.store(to, (change > threshold).to(tl.float32).to(out.dtype.element_ty), mask=inside)
    tl.store(to + plane, (change < -threshold).to(tl.float32).to(out.dtype.element_ty), mask=inside)


def rate(images: Tensor, index: Tensor, epoch: Tensor, key: tuple[int, int], out: Tensor) -> None:
    """Bernoulli spikes `out` [T, B, pixels] of uint8 `images` [B, pixels]."""
    steps, batch, pixels = out.shape
    blocks = triton.cdiv(pixels, 16)
    total = steps * batch * blocks
    grid = (triton.cdiv(total, 128),)
    _rate[grid](images, index, epoch, out, *key, batch, pixels, blocks, total, SIZE=128)


def kept(index: Tensor, epoch: Tensor, key: tuple[int, int], share: float, out: Tensor) -> None:
    """1 where dropout of `share` lets a feature through, else 0, in `out` [B, features]."""
    total = out.numel()
    _kept[(triton.cdiv(total, 256),)](index, epoch, out, *key, share, out.shape[1], total, SIZE=256)


def periodic(images: Tensor, table: Tensor, out: Tensor, *, once: bool) -> None:
    """Spikes `out` [T, B, pixels] at the steps that the table names for each level."""
    total = images.numel()
    grid = (triton.cdiv(total, 1024) * len(out),)
    _periodic[grid](images, table, out, total, ONCE=once, SIZE=1024)


def delta(images: Tensor, path: Tensor, levels: Tensor, threshold: float, out: Tensor) -> None:
    """Events `out` [T, B, 2, C, H, W] of uint8 `images` [B, C, H, W], whose intensities are in `levels` [256]."""
    height, width = images.shape[-2:]
    total = images.numel()
    grid = (triton.cdiv(total, 1024) * len(out),)
    _delta[grid](images, path, levels, out, threshold, height, width, images[0].numel(), total, SIZE=1024)
