"""A network as it leaves: what only training needs is gone, and what an engine would compute first is computed."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from spikewise.engine.parameters import folded, neuron_parameters, recurrent_matrix
from spikewise.graph import BatchNorm, Conv2d, Dropout, Graph, Layer, Linear, NamedLayer, Neuron, Residual
from spikewise.network import Network

__all__ = ["Deployed", "deploy"]


class Deployed(NamedTuple):
    """A graph without dropout and foldable normalisation, and the values that it computes with.

    Layers keep the names that they have in the network they come from; normalisation that stays is counted anew.
    """

    graph: Graph
    weights: Mapping[str, Tensor]
    """float32 on the CPU, by name: clamped to the range in which they are used, masked, folded."""
    streams: Mapping[str, int]
    """Place of each layer in the network it comes from, by which its random numbers are drawn."""

    def parameters(self, at: NamedLayer) -> dict[str, Tensor | float]:
        """Each value of a neuron layer's equations: a number, or one for each neuron or channel."""
        return neuron_parameters(at, self.weights)

    def network(self) -> Network:
        """A network of its own with these weights, in evaluation mode."""
        made = Network(self.graph)
        made.load_state_dict(dict(self.weights))
        return made.eval()


def deploy(network: Network) -> Deployed:
    """What leaves of a network; its own weights stay as they are.

    Batch normalisation right behind a linear or convolutional layer is folded into it; where it stands elsewhere
    (before the first weights, behind a pool) it stays in the graph, and a format that has none refuses it by name.
    """
    graph = network.graph
    stored = {name: value.detach().to("cpu", torch.float32) for name, value in network.weights.items()}
    walk = _Walk(iter(graph.named), stored)
    made = graph.replace(layers=tuple(walk.chain(graph.layers)))
    weights: dict[str, Tensor] = {}
    streams: dict[str, int] = {}
    places = {at.name: place for place, at in enumerate(graph.named)}
    for was, now in zip(walk.stayed, made.named, strict=True):
        streams[now.name] = places[was]
        weights |= {f"{now.name}.{key}": walk.weights[f"{was}.{key}"].contiguous() for key in now.parameters()}
    return Deployed(made, weights, streams)


class _Walk:
    """Rewrites the layers of a graph, nested ones too, beside the names that they have."""

    def __init__(self, named: Iterator[NamedLayer], stored: dict[str, Tensor]) -> None:
        self._named = named
        self._stored = stored
        self.weights: dict[str, Tensor] = {}
        self.stayed: list[str] = []
        """Names that the layers had which stay, in their order."""

    def chain(self, layers: tuple[Layer, ...]) -> list[Layer]:
        """What stays of layers that stand one after the other."""
        out: list[Layer] = []
        last: NamedLayer | None = None
        for layer in layers:
            if isinstance(layer, Residual):
                main, shortcut = self.chain(layer.main), self.chain(layer.shortcut)
                out.append(layer.replace(main=tuple(main), shortcut=tuple(shortcut)))
                self.stayed.append(next(self._named).name)
                last = None
                continue
            at = next(self._named)
            if isinstance(layer, Dropout):
                continue
            if isinstance(layer, BatchNorm) and last is not None and isinstance(last.layer, Linear | Conv2d):
                out[-1] = self._fold(last, at)
                last = None
                continue
            self._take(at)
            out.append(layer)
            last = at
        return out

    def _take(self, at: NamedLayer) -> None:
        self.stayed.append(at.name)
        for key in at.parameters():
            self.weights[f"{at.name}.{key}"] = self._stored[f"{at.name}.{key}"]
        if isinstance(at.layer, Neuron):
            for key, value in neuron_parameters(at, self._stored).items():
                if isinstance(value, Tensor):
                    self.weights[f"{at.name}.{key}"] = value
            matrix = recurrent_matrix(at, self._stored)
            if matrix is not None:
                self.weights[f"{at.name}.recurrent"] = matrix

    def _fold(self, weighted: NamedLayer, norm: NamedLayer) -> Layer:
        assert isinstance(weighted.layer, Linear | Conv2d)
        for key in ("weight", "bias"):
            before = self.weights.get(f"{weighted.name}.{key}")
            self.weights[f"{weighted.name}.{key}"] = folded(key, before, norm, self._stored)
        return weighted.layer.replace(bias=True)
