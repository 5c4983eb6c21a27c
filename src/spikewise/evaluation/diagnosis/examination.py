"""Examining one network on one batch: activity, membranes, and the gradient at each time step."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from spikewise import engine
from spikewise.engine import RunOptions
from spikewise.evaluation.diagnosis.activity import dead_share, saturated_share
from spikewise.evaluation.diagnosis.membranes import look_at_membranes
from spikewise.evaluation.prediction import Predictions
from spikewise.evaluation.sections.diagnosis import InputHealth, LayerHealth
from spikewise.graph import QCFS, Activation, Layer, NamedLayer, Neuron
from spikewise.losses import Loss, Target
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["ExaminedBatch", "ExaminedNetwork", "examine", "firing_rates", "gradients_through_time", "weight_change"]


class ExaminedBatch(NamedTuple):
    """A few images with their labels and the key of their random numbers."""

    images: UInt8[Tensor, "B C H W"]
    labels: Int64[Tensor, " B"]
    draw: Draw


class ExaminedNetwork(NamedTuple):
    """What was seen in one network."""

    input: InputHealth
    layers: tuple[LayerHealth, ...]


def examine(
    network: Network, batch: ExaminedBatch, loss: Loss, validation: Predictions, start: Network
) -> ExaminedNetwork:
    """Activity on the validation images; membranes and gradients on the batch, by the reference engine.

    Args:
        validation: what the network said about the validation images, with the rates of its layers.
        start: the same network before training.
    """
    network.eval()
    inputs = network.encode(batch.images, batch.draw)
    norms = gradients_through_time(network, batch, loss)
    before = firing_rates(start, batch)
    named = network.graph.named
    watched = [at.name for at in named if isinstance(at.layer, Neuron | Activation | QCFS)]
    with torch.no_grad():
        result = engine.run(
            network.graph, network.weights, inputs, batch.draw, RunOptions(record=frozenset(watched)), "reference"
        )
    layers = []
    for at in named:
        trace = result.traces.get(at.name)
        if at.name in validation.rates:
            rates = validation.rates[at.name]
            health = _spiking(at, rates, before[at.name])
            if isinstance(at.layer, Neuron) and trace is not None:
                seen = look_at_membranes(at, network.weights, trace)
                values = dict(zip(("membrane_low", "membrane_median", "membrane_high", "window", "passed"), seen,
                                  strict=True))  # fmt: skip
                health = health.model_copy(update={**values, "gradient_norms": tuple(norms.get(at.name, ()))})
            layers.append(health)
        elif _can_be_dead(at.layer) and trace is not None:
            layers.append(_units(at, trace.output))
    return ExaminedNetwork(_input_health(inputs), tuple(layers))


def _can_be_dead(layer: Layer) -> bool:
    """Whether units may give zero for every image, and then learn no more."""
    return isinstance(layer, QCFS) or (isinstance(layer, Activation) and layer.function == "relu")


def gradients_through_time(network: Network, batch: ExaminedBatch, loss: Loss) -> dict[str, list[float]]:
    """For each layer of spiking neurons the norm of d loss / d membrane at each step, mean over images.

    A step's current enters its membrane with factor one, so the gradient of the current is the whole gradient of the
    membrane: through this step's spike, and through all later steps.
    """
    named = network.graph.named
    feeding = {at.name: at.inputs[0] for at in named if isinstance(at.layer, Neuron) and at.layer.spikes}
    if not feeding:
        return {}
    inputs = network.encode(batch.images, batch.draw).detach().clone().requires_grad_()
    recorded = RunOptions(record=frozenset(feeding.values()) - {""})
    with torch.enable_grad():
        result = engine.run(network.graph, network.weights, inputs, batch.draw, recorded, "reference")
        target = Target.of(batch.labels, network.graph.classes)
        mean = loss(network.graph.readout(result.trajectory), result.trajectory, target)
        currents = [result.traces[name].output if name else inputs for name in feeding.values()]
        found = torch.autograd.grad(mean * len(batch.labels), currents, allow_unused=True)
    out = {}
    for name, current, gradient in zip(feeding, currents, found, strict=True):
        whole = torch.zeros_like(current) if gradient is None else gradient
        out[name] = [float(x) for x in whole.flatten(2).double().norm(dim=2).mean(1)]
    return out


def firing_rates(network: Network, batch: ExaminedBatch) -> dict[str, Float[Tensor, "*F"]]:
    """Spikes per step of each neuron of each spiking layer, on the batch."""
    network.eval()
    with torch.no_grad():
        output = network(batch.images, batch.draw, RunOptions(measure=True))
    return {name: rate.cpu() for name, rate in output.result.rates.items()}


def weight_change(network: Network, start: Network) -> dict[str, float]:
    """For each weight matrix |now - at the start| / |at the start| (Frobenius norms)."""
    # in float64, since the squares of what a wild learning rate leaves do not fit into float32
    now = {name: value.detach().double() for name, value in network.weights.items()}
    then = {name: value.detach().double() for name, value in start.weights.items()}
    kept = [name for name, value in now.items() if value.ndim > 1]
    return {
        name: float((now[name] - then[name]).norm() / then[name].norm().clamp(min=1e-12))
        for name in kept
        if torch.isfinite(now[name]).all()
    }


def _input_health(inputs: Float[Tensor, "T B C H W"]) -> InputHealth:
    silent = (inputs == 0).flatten(2).all(2).all(0)
    return InputHealth(events=float(inputs.abs().mean()), silent_images=float(silent.float().mean()))


def _spiking(at: NamedLayer, rates: Float[Tensor, "*F"], before: Float[Tensor, "*F"]) -> LayerHealth:
    return LayerHealth(
        layer=at.name,
        neurons=rates.numel(),
        rate=float(rates.mean()),
        rate_before_training=float(before.mean()),
        dead=dead_share(rates),
        saturated=saturated_share(rates),
    )


def _units(at: NamedLayer, output: Float[Tensor, "T B *F"]) -> LayerHealth:
    active = (output > 0).float().mean(dim=(0, 1))
    return LayerHealth(
        layer=at.name,
        neurons=int(np.prod(active.shape)),
        rate=float(active.mean()),
        dead=float((active == 0).float().mean()),
        saturated=0.0,
    )
