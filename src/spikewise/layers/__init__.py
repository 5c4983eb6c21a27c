"""The layers of a network. Each is a frozen config that says of itself what its readers need to know.

Engines say how a layer is computed; everything else about it stands here: its weights, what it sends on, whether it
keeps a state, and what stands in its place in a conventional network.
"""

from typing import Annotated

from pydantic import Field

from spikewise.layers.base import Shape, Size, words
from spikewise.layers.joins import Residual, sum_of
from spikewise.layers.neurons import Neuron
from spikewise.layers.pointwise import QCFS, Activation, BatchNorm, Dropout, Flatten, SpikingActivation
from spikewise.layers.pooling import AvgPool, GlobalAvgPool, MaxPool, SumPool
from spikewise.layers.weighted import Conv2d, Linear

__all__ = [
    "QCFS",
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Layer",
    "Linear",
    "MaxPool",
    "Neuron",
    "Residual",
    "Shape",
    "Size",
    "SpikingActivation",
    "SumPool",
    "sum_of",
    "words",
]

Layer = Annotated[
    Linear
    | Conv2d
    | MaxPool
    | AvgPool
    | SumPool
    | GlobalAvgPool
    | Flatten
    | BatchNorm
    | Dropout
    | Activation
    | QCFS
    | SpikingActivation
    | Neuron
    | Residual,
    Field(discriminator="kind"),
]
"""Every layer; the union is the list of choices."""

Residual.model_rebuild(_types_namespace={"Layer": Layer})
