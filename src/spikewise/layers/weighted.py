"""Layers that are linear maps; their weights are a network's synapses."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from spikewise.errors import ConfigError, ShapeError
from spikewise.initial import Init, Uniform
from spikewise.layers.base import LayerConfig, Padding, Pair, Shape, Size, both, slide, words
from spikewise.types import Signal

__all__ = ["Conv2d", "Linear"]


class _Weighted(LayerConfig):
    """A linear map of what arrives; its `weight` is the synapses."""

    weighted: ClassVar[bool] = True

    def emits(self, arriving: Signal) -> Signal:
        """Sums of weights: real numbers, whatever arrives."""
        return Signal("values", constant=arriving.constant)


class Linear(_Weighted):
    """y = W x + b over the features of a flat layer."""

    kind: Literal["linear"] = "linear"
    features: Size
    bias: bool = True
    init: Init = Uniform()

    def output_shape(self, shape: Shape) -> Shape:
        """(features,)."""
        if len(shape) != 1:
            raise ShapeError(f"needs a flat input, got {words(shape)}; put a flatten layer before it")
        return (self.features,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Matrix and bias."""
        return _with_bias((self.features, shape[0]), bias=self.bias)

    def fan_out(self, shape: Shape) -> Float[Tensor, "*F"]:
        """All of them."""
        return torch.full(shape, float(self.features))

    @property
    def summary(self) -> str:
        """With its size."""
        return f"linear {self.features}"


class Conv2d(_Weighted):
    """Two-dimensional convolution."""

    kind: Literal["conv2d"] = "conv2d"
    later: ClassVar[frozenset[str]] = frozenset({"dilation", "groups"})
    channels: Size
    kernel: Pair
    """Height and width; one number for both."""
    stride: Pair = 1
    padding: Padding = 0
    """Zeros on each side of height and width."""
    bias: bool = True
    init: Init = Uniform()
    dilation: Pair = 1
    """Distance between the kernel's rows and columns."""
    groups: Size = 1
    """Input and output channels fall into so many groups that do not see each other; one per channel is depthwise."""

    def model_post_init(self, context: object) -> None:
        """Check that the groups are of one size."""
        del context
        if self.channels % self.groups:
            raise ConfigError(f"{self.channels} channels do not fall into {self.groups} equal groups; "
                              "make channels a multiple of groups.")  # fmt: skip

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return both(self.kernel)

    @property
    def strides(self) -> tuple[int, int]:
        """Steps of the kernel down and to the right."""
        return both(self.stride)

    @property
    def paddings(self) -> tuple[int, int]:
        """Zeros above and below, left and right."""
        return both(self.padding)

    @property
    def dilations(self) -> tuple[int, int]:
        """Distance between the kernel's rows, and between its columns."""
        return both(self.dilation)

    @property
    def plain(self) -> bool:
        """Whether kernel, stride and padding are square, without dilation or groups."""
        square = all(len(set(value)) == 1 for value in (self.window, self.strides, self.paddings))
        return square and self.dilations == (1, 1) and self.groups == 1

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, height, width) after the kernel has slid over the padded map."""
        tall, wide = slide(shape, self.kernel, self.stride, padding=self.padding, dilation=self.dilation, what="kernel")
        if shape[0] % self.groups:
            raise ShapeError(f"its input's {shape[0]} channels do not fall into {self.groups} equal groups")
        return (self.channels, tall, wide)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Kernels and bias."""
        return _with_bias((self.channels, shape[0] // self.groups, *self.window), bias=self.bias)

    def fan_out(self, shape: Shape) -> Float[Tensor, "*F"]:
        """As many as the positions of the kernel that cover the input, in each channel of its group."""
        out = self.output_shape(shape)
        ones, kernel = torch.ones(1, 1, *out[1:]), torch.ones(1, 1, *self.window)
        # Rows and columns that the stride never reaches have no outputs.
        extra = [
            (side + 2 * padding - gap * (size - 1) - 1) % stride
            for side, size, stride, padding, gap in zip(
                shape[1:], self.window, self.strides, self.paddings, self.dilations, strict=True
            )
        ]
        reached = F.conv_transpose2d(ones, kernel, None, self.strides, self.paddings, extra, 1, self.dilations)
        return (reached[0] * (self.channels // self.groups)).expand(shape)

    @property
    def summary(self) -> str:
        """With its channels and kernel."""
        grouped = f" in {self.groups} groups" if self.groups > 1 else ""
        return f"conv {self.channels} {words(self.window)}{grouped}"


def _with_bias(weight: Shape, *, bias: bool) -> dict[str, Shape]:
    return {"weight": weight, "bias": weight[:1]} if bias else {"weight": weight}
