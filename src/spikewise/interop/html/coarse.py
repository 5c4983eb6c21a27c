"""A network with weights rounded to fewer levels, so that a page stays small."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from spikewise.graph import Dropout, Layer, NamedLayer, Residual, SpikingActivation
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Here
from spikewise.network import Network

__all__ = ["Coarse", "Rounded", "coarse", "equal_decisions"]

_MOST_LEVELS: Final = 32_000
_BATCH: Final = 64


class Coarse(NamedTuple):
    """A network with rounded weights."""

    network: Deployed
    steps: Mapping[str, float]
    """What they are multiples of, by name."""


def coarse(network: Deployed, levels: int) -> Coarse:
    """Weights of linear, convolutional and recurrent layers rounded to multiples of their root mean square divided by
    `levels`.

    Rounding adds noise of 1 / (3.5 levels) of that root mean square.
    """
    weights, steps = dict(network.weights), {}
    for at in network.graph.named:
        name = f"{at.name}.{'weight' if at.layer.weighted else 'recurrent'}"
        if name in weights and (step := _step(weights[name], levels)):
            steps[name] = step
            weights[name] = torch.round(weights[name].double() / step).float() * step
    return Coarse(network._replace(weights=weights), steps)


class Rounded(Here):
    """The network with rounded weights, on our own engine: what a page that holds it must equal."""

    def __init__(self, network: Deployed, levels: int, *, seed: int) -> None:
        super().__init__(_with_places(coarse(network, levels).network), seed=seed)

    @property
    def name(self) -> str:
        """The engine that ran last."""
        return f"the network with rounded weights on {super().name}"


def equal_decisions(one: Deployed, other: Deployed, images: UInt8[np.ndarray, "N C H W"], *, seed: int = 0) -> int:
    """Images that two networks put into the same class."""
    said = [Here(_with_places(network), seed=seed) for network in (one, other)]
    parts = [np.ascontiguousarray(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
    return sum(int((said[0].alone(part).argmax(1) == said[1].alone(part).argmax(1)).sum()) for part in parts)


def _with_places(network: Deployed) -> Network:
    """A network whose random numbers are those of the one that it was deployed from.

    They follow from a layer's place, so dropout, which does nothing here, stands in for the layers that have left.
    """
    layers = _Places(network, iter(network.graph.named)).chain(network.graph.layers)
    made = Network(network.graph.replace(layers=tuple(layers)))
    made.load_state_dict(dict(network.weights))
    return made.eval()


class _Places:
    def __init__(self, network: Deployed, named: Iterator[NamedLayer]) -> None:
        self._network, self._named = network, named
        self._place = 0

    def chain(self, layers: tuple[Layer, ...]) -> list[Layer]:
        """Layers that stand one after the other, with what fills up the places before those that draw numbers."""
        made: list[Layer] = []
        for layer in layers:
            if isinstance(layer, Residual):
                main, shortcut = self.chain(layer.main), self.chain(layer.shortcut)
                made.append(layer.replace(main=tuple(main), shortcut=tuple(shortcut)))
                next(self._named)
            else:
                place = self._network.streams[next(self._named).name]
                lacking = place - self._place if isinstance(layer, SpikingActivation) and layer.random_start else 0
                made += [*[Dropout(p=0.0)] * lacking, layer]
                self._place += lacking
            self._place += 1
        return made


def _step(weight: Tensor, levels: int) -> float:
    """A number of 32 bits; 0 where all weights are 0."""
    values = weight.double()
    step = max(float(values.square().mean().sqrt()) / levels, float(values.abs().max()) / _MOST_LEVELS)
    return float(torch.tensor(step, dtype=torch.float32))
