"""Weights that are noisy or coarse, and neurons that are dead: copies of a network with changed weights."""

from typing import Final, NamedTuple

import torch
from torch import Tensor

from spikewise.errors import ConfigError
from spikewise.graph import QCFS, Activation, Graph, NamedLayer, Neuron
from spikewise.network import Network
from spikewise.randomness import generator

__all__ = [
    "BITS",
    "DEAD_SHARES",
    "NOISE_STRENGTHS",
    "Hidden",
    "hidden_layers",
    "noisy",
    "quantised",
    "silenced",
]

NOISE_STRENGTHS: Final = (0.1, 0.2, 0.3, 0.5, 0.8)
"""Standard deviations, as shares of the layer's own."""
BITS: Final = (8, 6, 4)
DEAD_SHARES: Final = (0.1, 0.2, 0.3, 0.5, 0.7)


class Hidden(NamedTuple):
    """A hidden layer of neurons, and the weighted layer that listens to it."""

    neurons: NamedLayer
    listener: NamedLayer

    @property
    def units(self) -> int:
        """Neurons of a flat layer, channels of a convolutional one."""
        return self.neurons.output[0]


def noisy(network: Network, strength: float, *, seed: int) -> Network:
    """A copy whose weights have normal noise of `strength` times the standard deviation of their layer.

    The noise of a layer follows from (seed, name and shape of the layer); its pattern is the same at every
    strength. Biases and the neurons' own parameters stay as they are.
    """

    def change(name: str, weight: Tensor) -> Tensor:
        normal = torch.randn(weight.shape, generator=generator("weight noise", seed, name, *weight.shape))
        return weight + strength * weight.std(correction=0) * normal.to(weight)

    return _changed(network, {name: change(name, weight) for name, weight in _synapses(network).items()})


def quantised(network: Network, bits: int) -> Network:
    """A copy whose weights are whole multiples of one step for each tensor, symmetric about zero.

        q = clip(round(w / s), -(2^(bits-1) - 1), 2^(bits-1) - 1) s,   s = max |w| / (2^(bits-1) - 1)

    No weight moves by more than s / 2. Biases and activations stay as they are.
    Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", arXiv 1806.08342, 2018,
    section 2.2 (symmetric, one scale for a tensor).

    Raises:
        ConfigError: fewer than 2 bits.
    """
    if bits < 2:
        raise ConfigError(f"Symmetric quantisation needs at least 2 bits; got {bits}.")
    levels = 2 ** (bits - 1) - 1

    def change(weight: Tensor) -> Tensor:
        step = weight.abs().max() / levels
        return weight if step == 0 else (weight / step).round().clamp(-levels, levels) * step

    return _changed(network, {name: change(weight) for name, weight in _synapses(network).items()})


def silenced(network: Network, share: float, *, seed: int) -> Network:
    """A copy in which nobody hears round(share x units) units of each hidden layer: their outgoing weights are zero.

    A unit is a neuron of a flat layer, or a whole channel of a convolutional one, whose neurons share their weights.
    Which ones follows from (seed, number of units); those dead at one share are dead at every greater one.

    Raises:
        ConfigError: the share is not in 0..1.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"The share of dead neurons is between 0 and 1; got {share}.")
    weights = {name: weight.clone() for name, weight in _synapses(network).items()}
    for position, layer in enumerate(hidden_layers(network.graph)):
        order = torch.randperm(layer.units, generator=generator("dead neurons", seed, position, layer.units))
        dead = order[: round(share * layer.units)].to(network.device)
        heard = weights[f"{layer.listener.name}.weight"]
        inputs = heard.shape[1] // layer.units  # a channel reaches a linear layer through all its pixels
        columns = (dead[:, None] * inputs + torch.arange(inputs, device=dead.device)).flatten()
        heard[:, columns] = 0
        recurrent = weights.get(f"{layer.neurons.name}.recurrent")
        if recurrent is not None:
            recurrent[:, dead] = 0
    return _changed(network, weights)


def hidden_layers(graph: Graph) -> tuple[Hidden, ...]:
    """The layers of neurons or activations that one weighted layer, and nothing else, listens to.

    What is added to another path cannot be silenced in the weights behind the sum, which the other path shares.
    """
    found = []
    for at in graph.named:
        if isinstance(at.layer, Activation | QCFS) or at.layer.spikes:
            listener = _only_listener(graph, at)
            if listener is not None:
                found.append(Hidden(at, listener))
    return tuple(found)


def _only_listener(graph: Graph, at: NamedLayer) -> NamedLayer | None:
    while len(readers := graph.readers(at.name)) == 1:
        at = readers[0]
        if at.layer.weighted:
            return at
        if len(at.inputs) > 1:
            return None
    return None


def _synapses(network: Network) -> dict[str, Tensor]:
    """Weight matrices and kernels, by name."""
    names = [f"{at.name}.weight" for at in network.graph.named if at.layer.weighted]
    names += [
        f"{at.name}.recurrent" for at in network.graph.named if isinstance(at.layer, Neuron) and at.layer.recurrent
    ]
    return {name: network.weights[name].detach() for name in names}


def _changed(network: Network, weights: dict[str, Tensor]) -> Network:
    copy = Network(network.graph, engine_name=network.engine_name).to(network.device)
    copy.load_state_dict({**network.state_dict(), **weights})
    return copy.eval()
