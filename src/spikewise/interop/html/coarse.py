"""A network with weights rounded to fewer levels: it stands beside the one that a page is about."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Here

__all__ = ["Coarse", "coarse", "equal_decisions"]

_MOST_LEVELS: Final = 32_000


class Coarse(NamedTuple):
    """A network with rounded weights."""

    network: Deployed
    steps: Mapping[str, float]
    """What they are multiples of, by name."""


def coarse(network: Deployed, levels: int) -> Coarse:
    """Weights of linear and convolutional layers rounded to multiples of their root mean square divided by `levels`.

    Rounding adds noise of 1 / (3.5 levels) of that root mean square.
    """
    weights, steps = dict(network.weights), {}
    for at in network.graph.named:
        name = f"{at.name}.weight"
        if at.layer.weighted and (step := _step(weights[name], levels)):
            steps[name] = step
            weights[name] = torch.round(weights[name].double() / step).float() * step
    return Coarse(network._replace(weights=weights), steps)


def equal_decisions(one: Deployed, other: Deployed, images: UInt8[np.ndarray, "N C H W"]) -> int:
    """Images that two networks put into the same class."""
    said = [Here(network.network())(images).scores.argmax(1) for network in (one, other)]
    return int((said[0] == said[1]).sum())


def _step(weight: Tensor, levels: int) -> float:
    """A number of 32 bits; 0 where all weights are 0."""
    values = weight.double()
    step = max(float(values.square().mean().sqrt()) / levels, float(values.abs().max()) / _MOST_LEVELS)
    return float(torch.tensor(step, dtype=torch.float32))
