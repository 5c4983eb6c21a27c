"""Layers that make maps smaller."""

from typing import ClassVar, Literal

from spikewise.errors import ConfigError, ShapeError
from spikewise.layers.base import LayerConfig, Padding, Pair, Shape, both, slide, words
from spikewise.types import Signal

__all__ = ["AvgPool", "GlobalAvgPool", "MaxPool", "SumPool"]


class _Pool(LayerConfig):
    later: ClassVar[frozenset[str]] = frozenset({"padding"})
    size: Pair = 2
    """Height and width of the window; one number for both."""
    stride: Pair | None = None
    """Defaults to `size`."""
    padding: Padding = 0
    """Zeros on each side of height and width (for the largest value, nothing); at most half the window."""

    def model_post_init(self, context: object) -> None:
        """Check that every window has something in it."""
        del context
        if any(2 * more > size for more, size in zip(both(self.padding), both(self.size), strict=True)):
            raise ConfigError(f"A pool's padding is at most half its window of {words(both(self.size))}; "
                              f"got {words(both(self.padding))}.")  # fmt: skip

    @property
    def window(self) -> tuple[int, int]:
        """Height and width."""
        return both(self.size)

    @property
    def strides(self) -> tuple[int, int]:
        """Steps down and to the right."""
        return self.window if self.stride is None else both(self.stride)

    @property
    def plain(self) -> bool:
        """Whether windows and steps are square, without padding."""
        return len(set(self.window)) == len(set(self.strides)) == 1 and both(self.padding) == (0, 0)

    def output_shape(self, shape: Shape) -> Shape:
        """The same channels, fewer pixels."""
        return (shape[0], *slide(shape, self.window, self.strides, padding=self.padding, what="window"))


class MaxPool(_Pool):
    """Largest value of each window."""

    kind: Literal["max_pool"] = "max_pool"

    def emits(self, arriving: Signal) -> Signal:
        """One of the inputs: what arrives."""
        return arriving


class AvgPool(_Pool):
    """Mean of each window; zeros of the padding count."""

    kind: Literal["avg_pool"] = "avg_pool"

    def emits(self, arriving: Signal) -> Signal:
        """Means: real numbers, also of spikes; of pixels still pixels."""
        return Signal("values", constant=arriving.constant, pixels=arriving.pixels)


class SumPool(_Pool):
    """Sum of each window, as neuromorphic chips pool spikes."""

    kind: Literal["sum_pool"] = "sum_pool"

    def emits(self, arriving: Signal) -> Signal:
        """Several spikes where spikes arrive, else real numbers."""
        if arriving.carrier == "values":
            return Signal("values", constant=arriving.constant)
        return Signal("multispikes", quantum=arriving.quantum)


class GlobalAvgPool(LayerConfig):
    """Mean of each channel over height and width.  Source: Lin, Chen and Yan, ICLR 2014 (arXiv 1312.4400), sec. 3.2."""

    kind: Literal["global_avg_pool"] = "global_avg_pool"

    def output_shape(self, shape: Shape) -> Shape:
        """(channels,)."""
        if len(shape) != 3:
            raise ShapeError("needs channels, height and width; it cannot follow a flatten or linear layer")
        return shape[:1]

    def emits(self, arriving: Signal) -> Signal:
        """Means: real numbers, also of spikes; of pixels still pixels."""
        return Signal("values", constant=arriving.constant, pixels=arriving.pixels)
