"""Layers in ONNX: weights, pools and functions over the frames of all steps at once."""

from typing import Any, Final

import numpy as np

from spikewise.engine.parameters import qcfs_threshold
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    NamedLayer,
    SumPool,
)
from spikewise.interop.deployed import Deployed
from spikewise.interop.onnx.builder import Builder, Value
from spikewise.layers.base import both

__all__ = ["activated", "frame_layer"]

_FUNCTIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "gelu": ("Gelu", {}),
}
"""Operators of the functions, with the settings that PyTorch has for them."""


def activated(b: Builder, function: str, x: Value, name: str | None = None) -> Value:
    """A conventional activation function."""
    kind, settings = _FUNCTIONS[function]
    return b.op(kind, x, name=name, **settings)


def frame_layer(b: Builder, deployed: Deployed, at: NamedLayer, x: Value) -> Value:  # noqa: PLR0911  # one for each kind
    """A layer that does the same to every frame [*, *F], whatever came before."""
    name = at.name
    match at.layer:
        case Linear() as linear:
            return b.op("Gemm", x, *_weights(b, deployed, at, bias=linear.bias), name=name, transB=1)
        case Conv2d() as conv:
            held = _weights(b, deployed, at, bias=conv.bias)
            return b.op("Conv", x, *held, name=name, dilations=conv.dilations, group=conv.groups, **_sliding(conv))
        case BatchNorm(epsilon=epsilon):
            own = [_held(b, deployed, at, key) for key in ("weight", "bias", "running_mean", "running_var")]
            return b.op("BatchNormalization", x, *own, name=name, epsilon=epsilon)
        case Flatten():
            return b.op("Flatten", x, name=name)
        case Activation(function=function):
            return activated(b, function, x, name)
        case QCFS(levels=levels):
            return _quantised(b, deployed, at, x, levels)
        case MaxPool() as pool:
            return b.op("MaxPool", x, name=name, **_sliding(pool))
        case AvgPool() as pool:
            return b.op("AveragePool", x, name=name, count_include_pad=1, **_sliding(pool))
        case SumPool() as pool:
            # A mean times the window would round; ones as weights add.
            ones = b.constant(np.ones((at.input[0], 1, *pool.window), np.float32), "ones")
            return b.op("Conv", x, ones, name=name, group=at.input[0], **_sliding(pool))
        case GlobalAvgPool():
            return b.op("ReduceMean", x, b.integers(2, 3), name=name, keepdims=0)
    raise AssertionError(f"{at.layer.kind} has a state, or leaves before the export")


def _quantised(b: Builder, deployed: Deployed, at: NamedLayer, x: Value, levels: int) -> Value:
    """See `engine.reference.clip_floor_shift`."""
    threshold = b.constant(qcfs_threshold(at, deployed.weights).numpy(), "threshold")
    most = b.constant(float(levels))
    count = b.op("Ceil", x * most / threshold - b.constant(0.5))
    return b.op("Mul", b.op("Clip", count, b.constant(0.0), most) / most, threshold, name=at.name)


def _sliding(layer: Conv2d | MaxPool | AvgPool | SumPool) -> dict[str, Any]:
    """Window, steps and zeros around, as all operators name them."""
    down, right = layer.paddings if isinstance(layer, Conv2d) else both(layer.padding)
    return {"kernel_shape": layer.window, "strides": layer.strides, "pads": (down, right, down, right)}


def _weights(b: Builder, deployed: Deployed, at: NamedLayer, *, bias: bool) -> list[Value]:
    return [_held(b, deployed, at, key) for key in ("weight", *(["bias"] if bias else []))]


def _held(b: Builder, deployed: Deployed, at: NamedLayer, key: str) -> Value:
    return b.constant(deployed.weights[f"{at.name}.{key}"].numpy(), key)
