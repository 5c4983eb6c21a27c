"""What builders of networks share: widths, cells and output layers."""

from typing import Annotated, Literal

from pydantic import Field

from spikewise.dynamics import Dynamics
from spikewise.graph import QCFS, Activation, Layer, Neuron, SpikingActivation
from spikewise.initial import Init, Uniform

__all__ = ["Cell", "Share", "Size", "Width", "layer_of", "output_of", "scaled"]

Size = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[float, Field(gt=0)]
Cell = Annotated[
    Annotated[Dynamics, Field()] | Activation | QCFS | SpikingActivation,
    Field(discriminator="kind"),
]
"""What follows each weighted layer: a neuron, a conventional activation, or one carried by spikes."""


def scaled(sizes: tuple[int, ...], width: float) -> list[int]:
    """Sizes times a width, rounded, at least 1."""
    return [max(1, round(size * width)) for size in sizes]


def layer_of(cell: Cell, *, recurrent: bool = False, init: Init = Uniform()) -> Layer:  # noqa: B008  # immutable
    """The layer of a cell; only neurons can be recurrent."""
    if isinstance(cell, Activation | QCFS | SpikingActivation):
        return cell
    return Neuron(dynamics=cell, recurrent=recurrent, init=init)


def output_of(dynamics: Dynamics | Literal["none"]) -> list[Layer]:
    """The layers behind the last weights."""
    return [] if dynamics == "none" else [Neuron(dynamics=dynamics)]
