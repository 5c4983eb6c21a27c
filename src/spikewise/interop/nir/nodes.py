"""Nodes of a NIR graph without time as layers with their weights."""

from typing import Any, Final

import numpy as np
from jaxtyping import Float

from spikewise.errors import ConfigError, DataError, ShapeError, quoted
from spikewise.graph import AvgPool, Conv2d, Flatten, Linear, MaxPool, Residual, Shape, SumPool
from spikewise.interop.pieces import Piece

__all__ = ["BLOCK", "KNOWN", "add_current", "after", "map_pieces", "numbers", "shape_of"]

Array = Float[np.ndarray, "..."]
_MOST: Final = 2**31
BLOCK: Final = Residual(main=(Flatten(),))
"""In whose place the paths of a block stand."""


def map_pieces(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    """The layers of one node, for an input shape; what can be said by the layer before changes that.

    Raises:
        ConfigError: there is no such layer here; the message names the node.
    """
    made: list[Piece] = _MAPS[type(node).__name__](name, node, shape, before)
    return made


def _linear(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    del before
    weight = numbers(name, node.weight)
    if weight.ndim != 2 or not weight.size:
        raise ConfigError(
            f"Node '{name}' has weights of the shape {weight.shape}; those of a linear layer have 2 axes."
        )
    values = {"weight": weight, **({"bias": numbers(name, node.bias)} if hasattr(node, "bias") else {})}
    made = Piece(name, Linear(features=len(weight), bias="bias" in values), values)
    return [made] if len(shape) == 1 else [Piece(f"{name}, flattened", Flatten()), made]


def after(pieces: list[Piece], shape: Shape) -> Shape:
    """The shape behind some layers; raises ShapeError where one does not fit."""
    for piece in pieces:
        if isinstance(piece.layer, Residual):
            shape = after(piece.main, shape)
            continue
        try:
            shape = piece.layer.output_shape(shape)
        except ShapeError as error:
            raise ShapeError(f"Node '{piece.name}', with input {'x'.join(map(str, shape))}: {error}.") from None
    return shape


def _convolution(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    del shape, before
    weight = numbers(name, node.weight)
    if weight.ndim != 4:
        raise ConfigError(f"Node '{name}' has kernels with {weight.ndim} axes; a convolution here has 4.")
    dilation, window = _pair(node.dilation, name), (weight.shape[2], weight.shape[3])
    layer = Conv2d(
        channels=len(weight),
        kernel=_short(window),
        stride=_short(_pair(node.stride, name)),
        padding=_short(_padding(name, node.padding, window, dilation)),
        dilation=_short(dilation),
        groups=int(node.groups),
    )
    return [Piece(name, layer, {"weight": weight, "bias": numbers(name, node.bias)})]


def _padding(name: str, value: Any, window: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value == "valid" if isinstance(value, str) else False:
        return 0, 0
    if value == "same" if isinstance(value, str) else False:
        reach = [d * (n - 1) for n, d in zip(window, dilation, strict=True)]
        if any(one % 2 for one in reach):
            raise ConfigError(f"Node '{name}' pads 'same' around an even kernel, which is not the same on both sides.")
        return reach[0] // 2, reach[1] // 2
    return _pair(value, name)


def _pool(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    del shape, before
    make = AvgPool if type(node).__name__ == "AvgPool2d" else SumPool
    window, stride, padding = (_pair(one, name) for one in (node.kernel_size, node.stride, node.padding))
    return [Piece(name, make(size=_short(window), stride=_short(stride), padding=_short(padding)))]


def _flatten(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    del before
    if len(shape) == 1:
        return []
    first, last = int(node.start_dim), int(node.end_dim)
    end = last % len(shape)
    if end != len(shape) - 1 or int(np.prod(shape[:first])) != 1:
        raise ConfigError(
            f"Node '{name}' flattens axes {first} to {last} of {'x'.join(map(str, shape))}; a layer here flattens all."
        )
    return [Piece(name, Flatten())]


def _largest(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    """A threshold below 1 behind a sum of spikes: whether there was one."""
    del shape
    last = before[-1] if before else None
    limits = numbers(name, node.threshold)
    if last is None or not isinstance(last.layer, SumPool) or not ((limits > 0) & (limits < 1)).all():
        raise ConfigError(f"Node '{name}' is a threshold; one between 0 and 1 behind a sum pool of spikes is read.")
    pool = last.layer
    before[-1] = Piece(last.name, MaxPool(size=pool.size, stride=pool.stride, padding=pool.padding))
    return []


def _scale(name: str, node: Any, shape: Shape, before: list[Piece]) -> list[Piece]:
    del shape
    by = numbers(name, node.scale)
    if (by == 1).all():
        return []
    last = before[-1] if before else None
    if last is None or not isinstance(last.layer, Linear | Conv2d) or by.size not in (1, len(last.weights["weight"])):
        raise ConfigError(f"Node '{name}' scales what no linear layer or convolution has made; that is not read.")
    for key, value in last.weights.items():
        last.weights[key] = value * by.reshape(-1, *[1] * (value.ndim - 1))
    return []


def add_current(name: str, before: list[Piece], current: Array) -> None:
    """A constant input goes into the bias of the weights before."""
    if not np.any(current):
        return
    last = before[-1] if before else None
    if last is None or not isinstance(last.layer, Linear | Conv2d):
        raise ConfigError(f"The neurons '{name}' get a constant current, and no weights stand before them to carry it.")
    outputs = len(last.weights["weight"])
    flat = np.asarray(current, np.float64)
    if flat.ndim == 3 and np.ptp(flat.reshape(len(flat), -1), axis=1).any():
        raise ConfigError(f"The neurons '{name}' get a current of its own for each pixel, which no bias can be.")
    per = flat.reshape(outputs, -1)[:, 0] if flat.size > 1 else np.full(outputs, float(flat))
    had = last.weights.get("bias", np.zeros(outputs, np.float32))
    last.weights["bias"] = (had + per).astype(np.float32)
    last.layer = last.layer.replace(bias=True)


def numbers(name: str, value: Any) -> Array:
    """An array in float32; raises DataError where it is none."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise DataError(f"Node '{name}' holds {quoted(value)}, where numbers belong.")
    return array.astype(np.float32)


def _pair(value: Any, name: str) -> tuple[int, int]:
    both = np.atleast_1d(np.asarray(value))
    if both.dtype.kind not in "iu" or both.ndim != 1 or both.size not in (1, 2) or (np.abs(both) > _MOST).any():
        raise DataError(f"Node '{name}' has {quoted(value)}, where one or two whole numbers belong.")
    return int(both[0]), int(both[-1])


def _short(pair: tuple[int, int]) -> int | tuple[int, int]:
    """One number for both where they are equal, as people write it."""
    return pair[0] if pair[0] == pair[1] else pair


def shape_of(value: Any) -> Shape:
    """The shape that an input node has; raises DataError where it is none."""
    sizes = np.atleast_1d(np.asarray(value))
    if (
        sizes.dtype.kind not in "iu"
        or not sizes.size
        or (sizes < 1).any()
        or float(np.prod(sizes.astype(float))) > _MOST
    ):
        raise DataError(f"The input of this NIR graph has the shape {quoted(value)}.")
    while len(sizes) > 3 and sizes[0] == 1:
        sizes = sizes[1:]
    return tuple(int(size) for size in sizes)


_MAPS: Final[dict[str, Any]] = {
    "Linear": _linear,
    "Affine": _linear,
    "Conv2d": _convolution,
    "AvgPool2d": _pool,
    "SumPool2d": _pool,
    "Flatten": _flatten,
    "Threshold": _largest,
    "Scale": _scale,
}
KNOWN: Final = frozenset({*_MAPS, "Input", "Output", "LIF", "IF", "LI", "I", "CubaLIF"})
"""Nodes that are read."""
