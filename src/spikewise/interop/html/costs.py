"""What an image costs, in a form that a page can add up: energy models are linear in what arrives and what is added."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spikewise.evaluation.cost import ENERGY_MODELS, EnergyModel, LayerWork, layer_work
from spikewise.graph import Graph

__all__ = ["costs"]

Json = dict[str, Any]


def costs(graph: Graph, bits: int) -> Json:
    """Work and picojoules of a network, for any number of steps and any spikes.

        picojoules = fixed + step steps + sum over layers (arrival arrived + synapse synapses)

    `arrived` counts the spikes (or numbers that are not zero) that reach a layer, `synapses` what these add up.

    Args:
        bits: of an activation in the integer models.
    """
    return {
        "macs": _over_time(graph, lambda work: sum(layer.macs for layer in work)),
        "updates": _over_time(graph, lambda work: sum(layer.state_updates for layer in work)),
        "additions": _over_time(graph, lambda work: sum(layer.additions for layer in work)),
        "models": {model.name: _model(graph, model, bits) for model in ENERGY_MODELS},
    }


def _model(graph: Graph, model: EnergyModel, bits: int) -> Json | None:
    if model.price(layer_work(graph, _silence(graph)), bits) is None:
        return None

    def price(work: tuple[LayerWork, ...]) -> float:
        found = model.price(work, bits)
        assert found is not None
        return found

    return {"time": _over_time(graph, price), "layers": {name: _slopes(graph, price, name) for name in _silence(graph)}}


def _fan_outs(graph: Graph) -> dict[str, Float[Tensor, "*F"]]:
    """Of every input of every weighted layer, and of every neuron that feeds back ("NAME.recurrent")."""
    found = {}
    for at in graph.named:
        if at.layer.weighted:
            found[at.name] = at.layer.fan_out(at.input)
        if reached := at.layer.feedback(at.output):
            found[f"{at.name}.recurrent"] = torch.full(at.output, float(reached))
    return found


def _silence(graph: Graph) -> dict[str, Tensor]:
    return {name: torch.zeros_like(fan_out, dtype=torch.float32) for name, fan_out in _fan_outs(graph).items()}


def _over_time(graph: Graph, price: Any) -> tuple[float, float]:
    """What is there whatever the number of steps, and what each step adds, where nothing spikes."""
    twice = graph.replace(encoder=graph.encoder.replace(steps=2 * graph.steps))
    once, more = (float(price(layer_work(one, _silence(one)))) for one in (graph, twice))
    step = (more - once) / graph.steps
    return once - step * graph.steps, step


def _slopes(graph: Graph, price: Any, name: str) -> tuple[float, float]:
    """Of one more arrival, and of one more addition (or multiplication), at a layer.

    Two ways to spread arrivals over the inputs tell them apart, where inputs reach different numbers of outputs.
    """
    silent, fan_out = _silence(graph), _fan_outs(graph)[name].double()
    layer = next(at for at in graph.named if at.name == name.removesuffix(".recurrent"))
    passes = 1 if layer.layer.weighted and layer.arriving.constant else graph.steps
    before = price(layer_work(graph, silent))
    counts, found = [], []
    for share in (torch.ones_like(fan_out), fan_out / fan_out.max().clamp(min=1)):  # none may reach an output
        counts.append([passes * float(share.sum()), passes * float((share * fan_out).sum())])
        found.append(price(layer_work(graph, {**silent, name: share})) - before)
    # Each kind of addition counts once: without a difference in fan-out the smallest slopes that explain it are given.
    arrival, synapse = np.linalg.lstsq(np.array(counts), np.array(found), rcond=1e-9)[0]
    return float(arrival), float(synapse)
