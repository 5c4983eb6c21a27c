"""The integers of an export computed in NumPy, in the graph's own layout: what the compiled C must equal to the bit.

It knows nothing of the C: no lists of spikes, no channels that stand last, no memory that is used twice.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int16, Int64, UInt8
from numpy.typing import NDArray

from spikewise.dynamics import ALIF, CubaLIF, LeakyIntegrator
from spikewise.graph import (
    Activation,
    AvgPool,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SumPool,
)
from spikewise.interop.c.answers import answered, chosen
from spikewise.interop.c.integers import ONE
from spikewise.interop.c.layout import INPUT, Layout
from spikewise.interop.c.numbers import Own, Quantities
from spikewise.interop.runtime import Sent
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount
from spikewise.types import Draw

__all__ = ["Simulator"]

State = dict[str, dict[str, NDArray[Any]]]


class Simulator:
    """The integer network as a runtime."""

    def __init__(self, layout: Layout, quantities: Quantities, *, seed: int) -> None:
        self._layout, self._quantities, self._seed = layout, quantities, seed

    @property
    def name(self) -> str:
        """What it is."""
        return "simulator of the integers (NumPy)"

    def __call__(self, images: UInt8[np.ndarray, "B C H W"]) -> Sent:
        """Scores and spikes."""
        graph = self._layout.graph
        sent: dict[str, list[NDArray[Any]]] = {name: [] for name in graph.spiking_layers}
        state: State = {}
        evidence = _Evidence(self._layout, self._quantities)
        for arriving in self._encoded(images):
            outputs: dict[str, NDArray[Any]] = {"": arriving}
            for at in graph.named:
                own = self._quantities.own[at.name]
                outputs[at.name] = _layer(at, own, [outputs[name] for name in at.inputs], state)
                if at.layer.spikes:
                    sent[at.name].append(outputs[at.name])
            last = graph.named[-1]
            membrane = state[last.name]["seen"] if isinstance(last.layer, Neuron) else outputs[last.name]
            evidence.add(membrane, outputs[last.name])
        scores, membranes = evidence.read()
        spikes: dict[str, Int16[np.ndarray, "T B *F"]] = {
            name: np.stack(steps).astype(np.int16) for name, steps in sent.items()
        }
        return Sent(answered(scores, chosen(scores, membranes), self._quantities.score), spikes)

    def _encoded(self, images: UInt8[np.ndarray, "B C H W"]) -> NDArray[Any]:
        graph, own = self._layout.graph, self._quantities.own[INPUT]
        if "currents" in own:
            channel = np.arange(images.shape[1])[:, None, None]
            once = own["currents"].astype(np.int64)[channel, images]
            return np.broadcast_to(once, (graph.steps, *once.shape))
        draw = Draw(self._seed, 0, torch.zeros(len(images), dtype=torch.int64))
        return graph.encoder(torch.from_numpy(images), draw).numpy().astype(np.int64)


class _Evidence:
    """What the readout keeps, step by step."""

    def __init__(self, layout: Layout, quantities: Quantities) -> None:
        self._readout = layout.graph.readout
        self._decay = quantities.own.get("readout", {}).get("decay", ONE)
        self._seen: list[NDArray[Any]] = []
        self._spikes: list[NDArray[Any]] = []

    def add(self, membrane: NDArray[Any], spikes: NDArray[Any]) -> None:
        """One step more."""
        self._seen.append(membrane)
        self._spikes.append(spikes)

    def read(self) -> tuple[Int64[np.ndarray, "B K"], Int64[np.ndarray, "B K"]]:
        """Scores, and the sums of the membranes."""
        seen = np.stack(self._seen)
        total = seen.sum(0)
        match self._readout:
            case SpikeCount():
                return np.stack(self._spikes).sum(0), total
            case MaxMembrane():
                return seen.max(0), total
            case MeanMembrane():
                return divided(total, len(seen)), total
            case LastMembrane():
                return seen[-1], total
            case FilteredSum():
                kept = np.zeros_like(total)
                for v in seen:
                    kept = divided(kept * self._decay, ONE) + v
                return kept, total


def divided(x: NDArray[Any], by: Any) -> NDArray[Any]:
    """Whole quotients, rounded towards zero as in C."""
    return np.asarray(np.sign(x) * (np.abs(x) // by))


def _layer(  # noqa: PLR0911  # one line per kind of layer
    at: NamedLayer, own: Own, arrived: list[NDArray[Any]], state: State
) -> NDArray[Any]:
    x = arrived[0]
    match at.layer:
        case Linear() | Conv2d():
            return _weighted(at.layer, own, x)
        case Neuron():
            return _neurons(at.layer, own, x, state.setdefault(at.name, {}))
        case Flatten():
            return np.reshape(x, (len(x), -1))
        case Activation():
            return np.asarray(np.maximum(x, 0))
        case MaxPool() as pool:
            return _torch(x, lambda y: F.max_pool2d(y, pool.window, pool.strides, pool.padding))
        case AvgPool() | SumPool() as pool:
            return _torch(x, lambda y: F.avg_pool2d(y, pool.window, pool.strides, pool.padding, divisor_override=1))
        case GlobalAvgPool():
            return np.asarray(x.sum((2, 3)))
        case _:
            assert isinstance(at.layer, Residual)
            parts = [divided(path * per_unit(own[key], path), int(own["down"]))
                     for key, path in zip(("first", "second"), arrived, strict=True)]  # fmt: skip
            return np.asarray(parts[0] + parts[1])


def _torch(x: NDArray[Any], function: Any) -> NDArray[Any]:
    """A function of PyTorch in doubles, which hold these integers exactly."""
    made = function(torch.from_numpy(np.ascontiguousarray(x)).double()).numpy()
    return np.asarray(made).astype(np.int64)


def per_unit(values: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Values of channels beside a batch [B, C, *]."""
    if not np.ndim(values):
        return np.asarray(values, np.int64)
    return np.asarray(np.reshape(values.astype(np.int64), (1, -1, *[1] * (like.ndim - 2))))


def _weighted(layer: Linear | Conv2d, own: Own, x: NDArray[Any]) -> NDArray[Any]:
    weight = torch.from_numpy(own["weight"]).double()
    x = divided(x, int(own["before"]))
    if isinstance(layer, Linear):
        total = _torch(x, lambda y: F.linear(y, weight))
    else:
        how = (layer.strides, layer.paddings, layer.dilations, layer.groups)
        total = _torch(x, lambda y: F.conv2d(y, weight, None, *how))
    return np.asarray(divided(total * int(own["up"]), int(own["down"])) + per_unit(own["bias"], total))


def _neurons(layer: Neuron, own: Own, x: NDArray[Any], state: dict[str, NDArray[Any]]) -> NDArray[Any]:
    dynamics = layer.dynamics
    zeros = np.zeros_like(x)
    rest = np.broadcast_to(per_unit(own["initial"], x), x.shape) if "initial" in own else zeros
    v, z = state.get("v", rest), state.get("z", zeros)
    current = x * int(own["gain"])
    if "recurrent" in own:
        current = current + (z @ own["recurrent"].T.astype(np.int64)) * own["recurrent_gain"].astype(np.int64)
    if isinstance(dynamics, CubaLIF):
        current = state["i"] = _decayed(state.get("i", zeros), own["alpha"]) + current
    v = _decayed(v, own["beta"]) + current
    if isinstance(dynamics, LeakyIntegrator):
        state["v"] = state["seen"] = v
        return np.asarray(v)
    limit = threshold = per_unit(own["threshold"], x)
    if isinstance(dynamics, ALIF):
        state["a"] = _decayed(state.get("a", zeros), own["adaptation_decay"]) + z * per_unit(own["adaptation"], x)
        limit = threshold + state["a"]
    delayed: bool = getattr(dynamics, "reset_delay")  # noqa: B009  # of every neuron that spikes here
    reset: str = getattr(dynamics, "reset")  # noqa: B009  # as above
    if delayed:
        v = _reset(v, z, threshold, reset)
    state["seen"] = v
    state["z"] = (v > limit).astype(np.int64)
    state["v"] = v if delayed else _reset(v, state["z"], threshold, reset)
    return np.asarray(state["z"])


def _decayed(x: NDArray[Any], decay: NDArray[Any]) -> NDArray[Any]:
    return divided(x * per_unit(decay, x), ONE)


def _reset(v: NDArray[Any], z: NDArray[Any], threshold: NDArray[Any], reset: str) -> NDArray[Any]:
    if reset == "none":
        return np.asarray(v)
    return np.asarray(v - threshold * z if reset == "subtract" else v * (1 - z))
