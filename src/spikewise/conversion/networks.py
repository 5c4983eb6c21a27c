"""A trained conventional network as a network of integrate-and-fire neurons: the same layers, its weights rescaled.

A neuron of threshold 1 that receives weight / threshold sends floor(T x / threshold + 1/2) spikes in T steps of a
constant current x, where it starts half charged: spikes / T x threshold is the activation, clipped and quantised. So

    weight <- weight x threshold before / threshold behind;   bias <- bias / threshold behind

for each channel, batch normalisation folded first; the last layer's currents are averaged, which gives its outputs.
Where spikes are averaged over a window they are added up instead, as they stay spikes then; the weights behind divide.
Sources: Diehl et al., "Fast-classifying, high-accuracy spiking deep networks through weight and threshold balancing",
IJCNN 2015; Rueckauer et al., "Conversion of continuous-valued deep networks to efficient event-driven networks for
image classification", Frontiers in Neuroscience 11:682, 2017, eq. 8; Bu et al., ICLR 2022 (arXiv 2303.04347), for the
half-charged start.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from spikewise.dynamics import IF, TwoPhaseIF
from spikewise.encoders import Direct
from spikewise.engine.parameters import folded
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Layer,
    Linear,
    NamedLayer,
    Neuron,
    SumPool,
)
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane

__all__ = ["ConvertedNetwork", "convert_network"]

Thresholds = Mapping[str, Float[Tensor, " C"]]
"""For each activation, by name, the value of each channel that a spike at every step stands for; float64."""


class ConvertedNetwork(NamedTuple):
    """A network of integrate-and-fire neurons that stands for a conventional one."""

    graph: Graph
    weights: Mapping[str, Tensor]
    """In float64."""
    neurons: Mapping[str, str]
    """The layer of neurons that stands for each activation, by the activation's name."""

    def network(self, *, double: bool = False) -> Network:
        """With its weights, in float32 or in float64."""
        made = Network(self.graph)
        made = made.double() if double else made
        made.load_state_dict(dict(self.weights))
        return made.eval()


def convert_network(
    graph: Graph, weights: Mapping[str, Tensor], thresholds: Thresholds, steps: int, *, waits: bool = False
) -> ConvertedNetwork:
    """The network of integrate-and-fire neurons for a trained conventional one that `check_convertible` lets pass.

    Args:
        weights: of the conventional network.
        thresholds: for each activation.
        steps: in which a layer's spikes say its activations.
        waits: each layer fires only when all of its input has come; layer after layer takes `steps` steps then, and
            the counts are exact. Otherwise all layers work at once.
    """
    walk = _Walk(weights, thresholds, steps, waits=waits)
    for at in graph.named:
        walk.pass_by(at)
    scale = graph.readout.scale if isinstance(graph.readout, LastMembrane) else 1.0
    walk.end(scale)
    encoder = graph.encoder
    assert isinstance(encoder, Direct)
    made = Graph(
        image_shape=graph.image_shape,
        encoder=encoder.replace(steps=walk.duration),
        layers=tuple(walk.layers),
        readout=MeanMembrane(),
    )
    return ConvertedNetwork(made, walk.weights, walk.neurons)


class _Walk:
    """Goes along a graph, and makes the layers and weights of the other network."""

    def __init__(self, given: Mapping[str, Tensor], thresholds: Thresholds, steps: int, *, waits: bool) -> None:
        self.given = {name: value.detach().cpu().double() for name, value in given.items()}
        self.thresholds, self.steps, self.waits = thresholds, steps, waits
        self.layers: list[Layer] = []
        self.weights: dict[str, Tensor] = {}
        self.neurons: dict[str, str] = {}
        self._worth = torch.ones(1, dtype=torch.float64)
        """What one spike of each channel (or what arrives otherwise) stands for."""
        self._spikes = False
        """Whether what arrives is spikes."""
        self._last = ""
        """The newest weighted layer: there and here, it has the same name."""
        self._place = 0
        """Of that layer in `layers`."""

    @property
    def duration(self) -> int:
        """Steps of the whole network."""
        return self.steps * (len(self.neurons) if self.waits else 1)

    def pass_by(self, at: NamedLayer) -> None:
        """Take one layer over."""
        match at.layer:
            case Linear() | Conv2d():
                self._weighted(at)
            case BatchNorm():
                self._fold(at)
            case Activation() | QCFS():
                self._fire(at)
            case Flatten():
                if len(self._worth) > 1:
                    self._worth = self._worth.repeat_interleave(at.output[0] // at.input[0])
                self.layers.append(at.layer)
            case Dropout():
                pass  # silences nothing after training
            case AvgPool() as pool if self._spikes:
                self._sum_up(SumPool(size=pool.size, stride=pool.stride, padding=pool.padding))
            case GlobalAvgPool() if self._spikes:
                self._sum_up(SumPool(size=(at.input[1], at.input[2])))
                self.layers.append(Flatten())
            case _:
                self.layers.append(at.layer)

    def end(self, scale: float) -> None:
        """Give the mean of the last currents the size of the outputs.

        A waiting network's last layer hears spikes in one of its phases only.
        """
        phases = len(self.neurons) if self.waits else 1
        self.weights[f"{self._last}.weight"] *= scale * phases
        if f"{self._last}.bias" in self.weights:
            self.weights[f"{self._last}.bias"] *= scale

    def _sum_up(self, pool: SumPool) -> None:
        """Add spikes up in place of their mean: they stay spikes, and the weights behind take the mean."""
        self.layers.append(pool)
        self._worth = self._worth / math.prod(pool.window)

    def _weighted(self, at: NamedLayer) -> None:
        weight = self.given[f"{at.name}.weight"].clone()
        self.weights[f"{at.name}.weight"] = weight * _columns(at.layer, self._worth, weight)
        if f"{at.name}.bias" in self.given:
            self.weights[f"{at.name}.bias"] = self.given[f"{at.name}.bias"].clone()
        self._worth = torch.ones(1, dtype=torch.float64)
        self._spikes = False
        self._last, self._place = at.name, len(self.layers)
        self.layers.append(at.layer)

    def _fold(self, norm: NamedLayer) -> None:
        for key in ("weight", "bias"):
            name = f"{self._last}.{key}"
            self.weights[name] = folded(key, self.weights.get(name), norm, self.given)
        before = self.layers[self._place]
        assert isinstance(before, Linear | Conv2d)
        self.layers[self._place] = before.replace(bias=True)

    def _fire(self, at: NamedLayer) -> None:
        worth = self.thresholds[at.name]
        weight = self.weights[f"{self._last}.weight"]
        self.weights[f"{self._last}.weight"] = weight / worth.view(-1, *[1] * (weight.ndim - 1))
        if f"{self._last}.bias" in self.weights:
            self.weights[f"{self._last}.bias"] /= worth
        order = len(self.neurons)
        if self.waits:
            first = max(0, order - 1) * self.steps
            dynamics: IF | TwoPhaseIF = TwoPhaseIF(
                listens_from=first, fires_from=order * self.steps, phase=self.steps, initial=0.5
            )
        else:
            dynamics = IF(initial=0.5)
        self.neurons[at.name] = f"{dynamics.label}{order + 1}"
        self.layers.append(Neuron(dynamics=dynamics))
        self._worth, self._spikes = worth.expand(at.output[0]), True


def _columns(layer: Layer, worth: Float[Tensor, " C"], weight: Tensor) -> Tensor:
    """What each input of a weight is worth, shaped so that it multiplies the weight."""
    if len(worth) == 1 or not isinstance(layer, Conv2d):
        return worth
    inputs = weight.shape[1]  # of one group
    by_output = worth.view(layer.groups, inputs).repeat_interleave(weight.shape[0] // layer.groups, dim=0)
    return by_output.view(-1, inputs, 1, 1)
