"""Encoders in ONNX: uint8 images become the spikes or currents that `predict` works with, to the bit."""

import numpy as np

from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.errors import ConfigError
from spikewise.interop.onnx.builder import Builder, Value
from spikewise.interop.onnx.frames import Frames
from spikewise.interop.tables import rate_table

__all__ = ["encode"]

_BRIGHT, _WHITE = 128, 255


def encode(b: Builder, encoder: Encoder, images: Value, shape: tuple[int, int, int], seed: int) -> Frames:
    """Nodes that make frames [T*B, C2, H, W] of uint8 images [B, C, H, W].

    Raises:
        ConfigError: the encoder is Python from outside the package.
    """
    match encoder:
        case Direct():
            return Frames(_currents(b, encoder, images), constant=True)
        case Rate():
            return _rate(b, encoder, images, shape, seed)
        case Latency():
            return _flat(b, _clock(b, encoder.steps).equals(_first(b, encoder, images)), shape)
        case Periodic():
            return _periodic(b, encoder, images, shape)
        case Delta():
            return _delta(b, encoder, images, shape)
    raise ConfigError(
        f"The encoder '{encoder.label}' is Python from outside the package, which ONNX cannot hold. "
        "Use rate, latency, periodic, direct or delta, or export to another format."
    )


def _rate(b: Builder, encoder: Rate, images: Value, shape: tuple[int, int, int], seed: int) -> Frames:
    table = b.constant(rate_table(encoder.steps, shape, seed)[:, None].numpy(), "random_bytes").cast("float32")
    pixels = images.cast("float32")
    level = pixels + b.op("GreaterOrEqual", pixels, b.constant(float(_BRIGHT))).cast("float32")
    return _flat(b, level > table, shape)


def _currents(b: Builder, encoder: Direct, images: Value) -> Value:
    x = images.cast("float32") / b.constant(float(_WHITE))
    if not encoder.mean:
        return x
    mean, deviation = (
        b.constant(np.array(values, np.float32).reshape(-1, 1, 1)) for values in (encoder.mean, encoder.deviation)
    )
    return (x - mean) / deviation


def _first(b: Builder, encoder: Latency | Periodic, images: Value) -> Value:
    kept = b.constant(encoder.spike_table().numpy().astype(np.int32), "first_spikes")
    return b.op("Gather", kept, images.cast("int32"))


def _periodic(b: Builder, encoder: Periodic, images: Value, shape: tuple[int, int, int]) -> Frames:
    clock = _clock(b, encoder.steps)
    due = b.op("Mod", clock, _first(b, encoder, images)).equals(b.whole(0))
    return _flat(b, due & (clock > b.whole(0)), shape)


def _clock(b: Builder, steps: int) -> Value:
    return b.constant(np.arange(steps, dtype=np.int32).reshape(-1, 1, 1, 1, 1), "clock")


def _flat(b: Builder, train: Value, shape: tuple[int, int, int]) -> Frames:
    """Whether there is a spike, [T, B, C, H, W], as numbers, with steps and images on one axis."""
    return Frames(b.reshape(train.cast("float32"), -1, *shape))


def _delta(b: Builder, encoder: Delta, images: Value, shape: tuple[int, int, int]) -> Frames:
    """Each move between two places of the path is looked at once; the steps pick theirs."""
    x = images.cast("float32") / b.constant(float(_WHITE))
    path = encoder.path()
    moves = list(zip([None, *path[:-1]], path, strict=True))
    different = list(dict.fromkeys(moves))
    events = [_events(b, encoder, x, move, shape) for move in different]
    stacked = b.op("Concat", *(b.op("Unsqueeze", event, b.integers(0)) for event in events), axis=0)
    picked = b.op("Gather", stacked, b.integers(*(different.index(move) for move in moves)), axis=0)
    return _flat(b, picked, (encoder.channels(shape[0]), *shape[1:]))


def _events(
    b: Builder,
    encoder: Delta,
    x: Value,
    move: tuple[tuple[int, int] | None, tuple[int, int]],
    shape: tuple[int, int, int],
) -> Value:
    before, after = move
    now = _shifted(b, x, after, shape)
    change = now if before is None else now - _shifted(b, x, before, shape)
    limit = b.constant(float(np.float32(encoder.threshold)))
    brighter, darker = change > limit, b.op("Less", change, b.op("Neg", limit))
    return b.op("Concat", brighter, darker, axis=1)


def _shifted(b: Builder, x: Value, by: tuple[int, int], shape: tuple[int, int, int]) -> Value:
    down, right = by
    if (down, right) == (0, 0):
        return x
    _, height, width = shape
    if down >= height or right >= width:
        return x * b.constant(0.0)
    seen = b.op("Slice", x, b.integers(0, 0), b.integers(height - down, width - right), b.integers(2, 3))
    return b.op("Pad", seen, b.integers(0, 0, down, right, 0, 0, 0, 0))
