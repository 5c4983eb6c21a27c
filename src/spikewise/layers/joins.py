"""Layers in which two paths meet."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from spikewise.errors import ShapeError
from spikewise.layers.base import LayerConfig, Shape, words
from spikewise.types import Signal

if TYPE_CHECKING:
    from spikewise.layers import Layer

__all__ = ["Residual", "sum_of"]


class Residual(LayerConfig):
    """The sum of what two paths make of one input: y = main(x) + shortcut(x).

    Where the paths end in currents and neurons follow, currents are added (He et al., CVPR 2016, and with identity
    shortcuts over membranes Hu et al. 2021, arXiv 2112.08954); where they end in spikes, spikes are added, and 0, 1 or
    2 of them travel on (spike-element-wise, Fang et al., NeurIPS 2021, arXiv 2102.04159, with g = ADD). In a graph the
    layers of both paths stand in the order main, shortcut, sum; the sum is called "add1", "add2", ...
    """

    kind: Literal["residual"] = "residual"
    main: tuple["Layer", ...] = Field(min_length=1)
    """The layers of one path."""
    shortcut: tuple["Layer", ...] = ()
    """Those of the other; none hands the input on as it is."""

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the sum, given that of what main gives."""
        return shape

    def meets(self, main: Shape, shortcut: Shape) -> Shape:
        """Shape of the sum of both paths' outputs.

        Raises:
            ShapeError: they are of different shapes.
        """
        if main != shortcut:
            raise ShapeError(
                f"its main path gives {words(main)} and its shortcut {words(shortcut)}, which cannot be added; "
                "give the shortcut a convolution of kernel 1 with the main path's channels and stride"
            )
        return main

    def emits(self, arriving: Signal) -> Signal:
        """The sum of two of what arrives."""
        return sum_of(arriving, arriving)

    @property
    def name(self) -> str:
        """Of the sum."""
        return "add"

    @property
    def summary(self) -> str:
        """Both paths."""
        paths = (" | ".join(layer.summary for layer in path) for path in (self.main, self.shortcut))
        main, shortcut = paths
        return f"({main}) + ({shortcut or 'input'})"

    def conventional(self) -> "Layer":
        """The sum of the same paths without spikes."""
        main, shortcut = (tuple(layer.conventional() for layer in path) for path in (self.main, self.shortcut))
        return Residual(main=main, shortcut=shortcut)


def sum_of(first: Signal, second: Signal) -> Signal:
    """What the sum of two signals is: several spikes, if both are spikes of one size, else real numbers."""
    carriers = {first.carrier, second.carrier}
    if "values" not in carriers and first.quantum == second.quantum:
        return Signal("multispikes", quantum=first.quantum)
    return Signal("values", constant=first.constant and second.constant)
