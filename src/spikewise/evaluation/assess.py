"""The cost of a trained network as it stands in the results: counted, computed and measured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from spikewise.evaluation.cost import (
    ENERGY_MODELS,
    LayerWork,
    break_even_factor,
    carried_bits,
    count_operations,
    energies,
    integer_energy,
    layer_work,
    traffic_bytes,
)
from spikewise.evaluation.prediction import Predictions
from spikewise.evaluation.quantised import Bits
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.results import Cost, QuantisedTwin
from spikewise.evaluation.speed import Speed
from spikewise.graph import Graph
from spikewise.models import twin
from spikewise.network import Network

__all__ = ["CostMeasures", "assess_cost", "break_even", "quantised_twin"]


class CostMeasures(NamedTuple):
    """What was measured in the run."""

    train_seconds_per_epoch: Estimate | None
    speed: Speed
    peak_memory_mb: float | None


def assess_cost(network: Network, test: Sequence[Predictions], measured: CostMeasures, *, steps: int) -> Cost:
    """Cost of one image.

    Args:
        test: What the network did on the test part, for each seed; the counts are means over seeds.
        steps: Time steps of the run's spiking network: its twin's activations get the bits they carry. One step
            carries a single bit, which is no opponent: then no quantised network is priced.
    """
    graph = network.graph
    events, active = _mean([one.input_events for one in test]), _mean([one.active for one in test])
    operations, work = count_operations(graph, events), layer_work(graph, events)
    bits, spiking = _bits(steps), bool(graph.spiking_layers)
    rate = _rate(work) if spiking else None
    weights = [weight for name, weight in network.weights.items() if name.endswith((".weight", ".recurrent"))]
    return Cost(
        macs=operations.macs,
        synaptic_operations=operations.synaptic_operations if spiking else None,
        state_updates=operations.state_updates,
        additions=operations.additions,
        several_spikes=any(layer.several for layer in work),
        effective_macs=operations.effective_macs,
        dense_operations=operations.dense_operations,
        activation_sparsity=_sparsity(active) if spiking else None,
        connection_sparsity=sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights)),
        memory_traffic_bytes=traffic_bytes(work),
        parameters=network.count_parameters(),
        bytes=sum(weight.numel() * weight.element_size() for weight in network.weights.values()),
        energy_nanojoule=energies(work, bits),
        spikes_per_synapse_and_step=rate,
        spikes_per_synapse_and_inference=None if rate is None else rate * graph.steps,
        break_even_spikes_per_synapse_and_step=break_even(graph, test, None, steps=steps) if spiking else {},
        activation_bits=bits,
        constants={f"{name}_pj": value for model in ENERGY_MODELS for name, value in model.constants.items()},
        source="; ".join(f"{model.name}: {model.source}" for model in ENERGY_MODELS),
        train_seconds_per_epoch=measured.train_seconds_per_epoch,
        throughput_images_per_second=measured.speed.throughput,
        latency_ms=measured.speed.latency_ms,
        latency_p99_ms=measured.speed.latency_p99_ms,
        peak_memory_mb=measured.peak_memory_mb,
    )


def break_even(
    graph: Graph, test: Sequence[Predictions], opponent: tuple[Graph, Sequence[Predictions]] | None, *, steps: int
) -> dict[str, float]:
    """By energy model, the spikes per synapse and step at which a spiking network costs what its twin costs.

    Args:
        test: As for `assess_cost`.
        opponent: The trained twin and what it did on the test part; None leaves out the models that skip zeros, for
            which inputs of the twin are zero is not known.
    """
    work, bits = layer_work(graph, _mean([one.input_events for one in test])), _bits(steps)
    rate = _rate(work)
    if rate is None:
        return {}
    events = {} if opponent is None else _mean([one.input_events for one in opponent[1]])
    other = layer_work(twin(graph) if opponent is None else opponent[0], events)
    priced = energies(work, bits)
    known = [model for model in ENERGY_MODELS if model.name in priced and (opponent or model.zeros != "skipped")]
    factors = {model.name: break_even_factor(model, work, other, bits or 1) for model in known}
    return {name: max(0.0, factor * rate) for name, factor in factors.items() if factor is not None}


def quantised_twin(
    graph: Graph, test: Sequence[Predictions], accuracies: Mapping[Bits, Sequence[float]]
) -> tuple[QuantisedTwin, ...]:
    """Accuracy, mean over seeds, beside the energy at the same bits.

    Args:
        test: As for `assess_cost`: which inputs were zero, for which few bits make no difference.
        accuracies: By widths, of each seed.
    """
    work = layer_work(graph, _mean([one.input_events for one in test]))
    return tuple(
        QuantisedTwin(
            weight_bits=bits.weights,
            activation_bits=bits.activations,
            accuracy=sum(seeds) / len(seeds),
            energy_nanojoule=integer_energy(work, bits.activations, bits.weights),
        )
        for bits, seeds in accuracies.items()
    )


def _bits(steps: int) -> int | None:
    return carried_bits(steps) if steps > 1 else None


def _rate(work: Sequence[LayerWork]) -> float | None:
    """Spikes per synapse and step; None where no spikes arrive at synapses."""
    synapses = sum(layer.dense_operations for layer in work if not layer.macs)
    return sum(layer.synaptic_operations for layer in work) / synapses if synapses else None


def _sparsity(active: Mapping[str, Float[Tensor, "*F"]]) -> float:
    units = sum(share.numel() for share in active.values())
    return 1.0 - sum(float(share.double().sum()) for share in active.values()) / max(1, units)


def _mean(of_seeds: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([one[name] for one in of_seeds]).mean(0) for name in of_seeds[0]}
