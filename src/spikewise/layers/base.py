"""What every layer answers of itself, so that its readers need not guess."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import GrowingConfig
from spikewise.errors import ShapeError
from spikewise.types import Signal

if TYPE_CHECKING:
    from spikewise.layers import Layer

__all__ = ["LayerConfig", "Padding", "Pair", "Shape", "ShapeKept", "Size", "both", "slide", "words"]

Shape = tuple[int, ...]
"""Features of one image at one step: (channels, height, width) or (features,)."""
Size = Annotated[int, Field(ge=1)]
Pair = Size | tuple[Size, Size]
"""Of height and width: one number for both, or two."""
Padding = Annotated[int, Field(ge=0)] | tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
"""Zeros on each side of height and width."""


class LayerConfig(GrowingConfig):
    """What every layer answers; one that leaves out an abstract answer cannot be made."""

    kind: str
    weighted: ClassVar[bool] = False
    """Whether it is a linear map with a `weight`; its operations are what a network costs."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input shape.

        Raises:
            ShapeError: they do not fit.
        """

    @abstractmethod
    def emits(self, arriving: Signal) -> Signal:
        """What it sends on, given what arrives."""

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Shape of each weight it needs for an input shape, by its name within the layer."""
        del shape
        return {}

    def fan_out(self, shape: Shape) -> Float[Tensor, "*F"]:
        """Number of outputs that each input of a weighted layer reaches, for an input shape."""
        raise AssertionError(f"{self.kind} has no synapses for an input of {words(shape)}")

    def feedback(self, shape: Shape) -> int:
        """Units of the layer itself that each of its spikes reaches at the next step, for its output shape."""
        del shape
        return 0

    @property
    def name(self) -> str:
        """What layers of its sort are called in a graph, before their number."""
        return self.kind

    @property
    def spikes(self) -> bool:
        """Whether what it sends are spikes of its own."""
        return False

    @property
    def state_variables(self) -> int:
        """Numbers that each of its units keeps from step to step, its last spike aside."""
        return 0

    @property
    def summary(self) -> str:
        """The layer in a word or two."""
        return self.kind.replace("_", " ")

    def conventional(self) -> "Layer":
        """What stands in its place in a network without spikes: itself, unless it spikes."""
        assert not self.spikes
        return self  # type: ignore[return-value]  # every layer is a member of the union


class ShapeKept(LayerConfig):
    """A layer that keeps the shape."""

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


def words(shape: Shape) -> str:
    """A shape in a message: "2x12x12"."""
    return "x".join(map(str, shape))


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width of what may be one number for both."""
    return value if isinstance(value, tuple) else (value, value)


def slide(
    shape: Shape, size: Pair, stride: Pair, *, padding: Padding = 0, dilation: Pair = 1, what: str
) -> tuple[int, int]:
    """Height and width of a map after a window has slid over it.

    Args:
        shape: (channels, height, width) of the map.
        what: the window in words.
    Raises:
        ShapeError: there is no map, or the window is larger.
    """
    if len(shape) != 3:
        raise ShapeError("needs channels, height and width; it cannot follow a flatten or linear layer")
    size, stride, padding, dilation = both(size), both(stride), both(padding), both(dilation)
    reach = [d * (n - 1) + 1 for n, d in zip(size, dilation, strict=True)]
    room = [side + 2 * more for side, more in zip(shape[1:], padding, strict=True)]
    if any(least > there for least, there in zip(reach, room, strict=True)):
        raise ShapeError(
            f"its {what} of {words(tuple(reach))} is larger than its input; use a smaller one or larger images"
        )
    height, width = ((there - least) // step + 1 for there, least, step in zip(room, reach, stride, strict=True))
    return height, width
