"""A network as the page holds it: a JSON description, which says where its numbers stand."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator, TwoPhaseIF
from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.engine.parameters import qcfs_threshold
from spikewise.errors import ConfigError
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.interop.deployed import Deployed
from spikewise.interop.html.packing import Numbers
from spikewise.layers.base import both
from spikewise.ties import PLACE_0

__all__ = ["described"]

Json = dict[str, Any]
_MASK: Final = 0xFFFFFFFF
_NEVER: Final = 2**30
"""Step of a spike that does not come."""


def described(network: Deployed, numbers: Numbers, *, seed: int, steps: Mapping[str, float] | None = None) -> Json:
    """Everything that the page's engine needs to run a network as `predict` does.

    Args:
        numbers: Where its weights are put.
        steps: Of the weights, by name, that are multiples of one.
    Raises:
        ConfigError: the page cannot hold a layer, which is named, or the encoder.
    """
    graph = network.graph
    made = _Description(network, numbers, steps or {})
    return {
        "image": list(graph.image_shape),
        "classes": graph.classes,
        "steps": graph.steps,
        "seed": [seed & _MASK, seed >> 32 & _MASK],
        "place": PLACE_0,
        "encoder": _encoder(graph.encoder),
        "readout": graph.readout.model_dump(mode="json"),
        "layers": [made.layer(at) for at in graph.named],
    }


def _number(value: float) -> float:
    """Rounded as it is when it meets 32-bit numbers."""
    return float(torch.tensor(value, dtype=torch.float32))


def _encoder(encoder: Encoder) -> Json:
    match encoder:
        case Rate():
            return {"kind": "rate"}
        case Latency() | Periodic():
            first = encoder.first_spikes()
            # Of any number of steps: what never spikes is told apart from what spikes after the last one.
            bright = torch.arange(256).double() / 255 >= encoder.threshold
            return {"kind": encoder.kind, "first": torch.where(bright, first.clamp(max=_NEVER), _NEVER).tolist()}
        case Direct():
            return {"kind": "direct", "mean": list(encoder.mean), "deviation": list(encoder.deviation)}
        case Delta():
            return {"kind": "delta", "threshold": encoder.threshold, "amplitude": encoder.amplitude}
    raise ConfigError(
        f"The encoder '{encoder.label}' is Python from outside the package, which a page cannot run. "
        "Use rate, latency, periodic, direct or delta."
    )


class _Description(NamedTuple):
    """Puts a network's layers into words, and its numbers where numbers are."""

    network: Deployed
    numbers: Numbers
    steps: Mapping[str, float]

    def layer(self, at: NamedLayer) -> Json:
        return {
            "name": at.name,
            "about": at.layer.summary,
            "inputs": list(at.inputs),
            "input": list(at.input),
            "output": list(at.output),
            "carrier": at.arriving.carrier,
            "quantum": at.arriving.quantum,
            "spikes": at.layer.spikes,
            **self._own(at),
        }

    def _own(self, at: NamedLayer) -> Json:  # noqa: PLR0911  # one for each kind
        layer = at.layer
        match layer:
            case Linear():
                return {"kind": layer.kind, **self._weights(at)}
            case Conv2d():
                sliding = _sliding(layer.window, layer.strides, layer.paddings)
                more = {"dilation": list(layer.dilations), "groups": layer.groups}
                return {"kind": layer.kind, **self._weights(at), **sliding, **more}
            case MaxPool() | AvgPool() | SumPool():
                return {"kind": layer.kind, **_sliding(layer.window, layer.strides, both(layer.padding))}
            case Flatten() | GlobalAvgPool() | Residual():
                return {"kind": layer.kind}
            case Activation(function=function):
                return {"kind": layer.kind, "function": function}
            case QCFS(levels=levels):
                threshold = qcfs_threshold(at, self.network.weights)
                return {"kind": layer.kind, "levels": levels, "threshold": self.numbers.floats(threshold)}
            case BatchNorm():
                return {"kind": layer.kind, **self._normalising(at, layer)}
            case SpikingActivation():
                return {"kind": layer.kind, **self._carrying(at, layer)}
            case Neuron():
                return self._neurons(at, layer)
        raise AssertionError(f"{layer.kind} leaves before the export")

    def _weights(self, at: NamedLayer) -> Json:
        names = {key: f"{at.name}.{key}" for key in at.parameters()}
        return {key: self.numbers.floats(self.network.weights[n], self.steps.get(n)) for key, n in names.items()}

    def _normalising(self, at: NamedLayer, norm: BatchNorm) -> Json:
        own = {key: self.network.weights[f"{at.name}.{key}"] for key in at.parameters()}
        scale = own["weight"] / (own["running_var"] + norm.epsilon).sqrt()
        shift = own["bias"] - own["running_mean"] * scale
        return {"scale": self.numbers.floats(scale), "shift": self.numbers.floats(shift)}

    def _carrying(self, at: NamedLayer, layer: SpikingActivation) -> Json:
        made: Json = {"function": layer.function, "dt": layer.dt}
        if layer.random_start:
            made["stream"] = 1 + self.network.streams[at.name]
        return made

    def _neurons(self, at: NamedLayer, layer: Neuron) -> Json:
        parameters = {
            key: self.numbers.floats(value)
            if isinstance(value, Tensor) and value.numel() > 1
            else _number(float(value))
            for key, value in self.network.parameters(at).items()
        }
        made: Json = {"kind": "neuron", "parameters": parameters, **_model(at, layer)}
        matrix = self.network.weights.get(f"{at.name}.recurrent")
        if matrix is not None:
            made |= {
                "recurrent": self.numbers.floats(matrix, self.steps.get(f"{at.name}.recurrent")),
                "reached": layer.feedback(at.output),
            }
        return made


def _sliding(window: tuple[int, int], strides: tuple[int, int], padding: tuple[int, int]) -> Json:
    return {"kernel": list(window), "stride": list(strides), "padding": list(padding)}


def _model(at: NamedLayer, layer: Neuron) -> Json:
    match layer.dynamics:
        case LIF() | IF() as n:
            return {"model": "lif", "reset": n.reset, "reset_delay": n.reset_delay, "initial": n.initial}
        case CubaLIF() | ALIF() as n:
            return {"model": n.kind, "reset": n.reset, "reset_delay": n.reset_delay}
        case TwoPhaseIF() as n:
            clock = {key: getattr(n, key) for key in ("listens_from", "fires_from", "phase", "initial")}
            return {"model": n.kind, **clock}
        case LeakyIntegrator():
            return {"kind": "integrator"}
        case Izhikevich() as n:
            return {"model": n.kind, "rest": _number(n.v_rest), "constants": _izhikevich(n)}
    raise ConfigError(
        f"Layer {at.name} is a neuron from outside the package, Python that a page cannot run. "
        "Train with one of the package's own neurons."
    )


def _izhikevich(n: Izhikevich) -> Json:
    kept = {key: getattr(n, key) for key in ("k", "b", "c", "d", "v_rest", "v_threshold", "v_peak")}
    made = {"rate": n.dt / n.capacitance, "recovery": n.dt * n.a, "ceiling": n.ceiling}
    return {key: _number(value) for key, value in {**kept, **made}.items()}
