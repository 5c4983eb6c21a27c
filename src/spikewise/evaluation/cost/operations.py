"""What a network does for one image: operations and memory accesses, from the graph and the spikes really sent.

    macs                  multiply-accumulates of weighted layers fed with real numbers
    synaptic operations   additions caused by spikes: each non-zero input adds one weight to each neuron it reaches
    state updates         neurons x steps

A constant current (direct encoding) is multiplied once and then reused at every step. Pooling, normalisation (folded
into the weights at inference), biases and the encoder are not counted, for any network.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from spikewise.graph import Graph, NamedLayer, Neuron

__all__ = ["Access", "LayerWork", "Operations", "count_operations", "layer_work", "traffic_bytes"]

_WORD = 4
"""Bytes of a 32-bit number; a spike travels as the address of its neuron, one word too."""


class Operations(NamedTuple):
    """Operations for one image, all steps together."""

    macs: float
    synaptic_operations: float
    state_updates: float
    effective_macs: float = 0.0
    """Those multiply-accumulates whose input is not zero."""
    dense_operations: float = 0.0
    """What all weighted layers would do if no input were ever zero."""


class Access(NamedTuple):
    """Reads and writes of one array, in words of 32 bits."""

    words: float
    held: float
    """Size of the array in bytes; it decides which memory the array fits into."""


class LayerWork(NamedTuple):
    """What one layer does for one image, all steps together."""

    name: str
    macs: float = 0.0
    effective_macs: float = 0.0
    from_image: bool = False
    """The multiply-accumulates are of pixels."""
    synaptic_operations: float = 0.0
    dense_operations: float = 0.0
    state_updates: float = 0.0
    fixed: tuple[Access, ...] = ()
    """Memory accesses whatever the spikes."""
    spiking: tuple[Access, ...] = ()
    """Memory accesses caused by spikes."""

    def with_spikes(self, factor: float) -> "LayerWork":
        """The same layer with `factor` times as many spikes."""
        caused = tuple(Access(access.words * factor, access.held) for access in self.spiking)
        return self._replace(synaptic_operations=self.synaptic_operations * factor, spiking=caused)


def count_operations(
    graph: Graph,
    input_events: Mapping[str, Float[Tensor, "*F"]],
    rates: Mapping[str, Float[Tensor, "*F"]] | None = None,
) -> Operations:
    """Operations for one image; arguments as for `layer_work`."""
    work = layer_work(graph, input_events, rates)
    return Operations(
        macs=sum(layer.macs for layer in work),
        synaptic_operations=sum(layer.synaptic_operations for layer in work),
        state_updates=sum(layer.state_updates for layer in work),
        effective_macs=sum(layer.effective_macs for layer in work),
        dense_operations=sum(layer.dense_operations for layer in work),
    )


def traffic_bytes(work: Iterable[LayerWork]) -> float:
    """Bytes read from and written to memory for one image, by the data flow that `layer_work` states."""
    return _WORD * sum(access.words for layer in work for access in (*layer.fixed, *layer.spiking))


def layer_work(
    graph: Graph,
    input_events: Mapping[str, Float[Tensor, "*F"]],
    rates: Mapping[str, Float[Tensor, "*F"]] | None = None,
) -> tuple[LayerWork, ...]:
    """The work of each layer that has any.

    Memory accesses, without reuse beyond one operation: a spike is written and read once, and reads one weight, and
    reads and writes one accumulator, at each synapse; a multiply-accumulate reads a weight and an input and keeps its
    sum in a register until the output is written; a neuron reads and writes its state variables at every step.
    Source of the data flow: Lemaire et al., "An analytical estimation of spiking neural networks energy efficiency",
    ICONIP 2022.

    Args:
        input_events: share of steps at which each input of each weighted layer is not zero, as measured by an engine.
            A layer without spikes need not be named: all its inputs then count as not zero.
        rates: mean spikes per step of each neuron of the spiking layers; only recurrent layers need theirs.
    """
    return tuple(_walk(graph, input_events, rates or {}))


def _walk(graph: Graph, events: Mapping[str, Tensor], rates: Mapping[str, Tensor]) -> Iterator[LayerWork]:
    values_arrive = graph.encoder.emits.carrier == "values"
    for at in graph.named:
        if at.layer.weighted:
            values_arrive = at.arriving.carrier == "values"
            yield (
                _by_values(at, graph.steps, events.get(at.name))
                if values_arrive
                else _by_events(at, graph.steps, events[at.name])
            )
        if at.layer.state_variables:
            yield _neurons(at, graph.steps, values_arrive=values_arrive)
        if isinstance(at.layer, Neuron) and at.layer.recurrent:
            yield _recurrent(at, graph, events, rates)


def _by_events(at: NamedLayer, steps: int, share: Tensor) -> LayerWork:
    fan_out = at.layer.fan_out(at.input)
    arrived, synapses = steps * float(share.sum()), steps * float((share * fan_out).sum())
    return LayerWork(
        at.name,
        synaptic_operations=synapses,
        dense_operations=steps * float(fan_out.sum()),
        spiking=_spike_accesses(arrived, synapses, at.input, _weights(at), at.output),
    )


def _by_values(at: NamedLayer, steps: int, share: Tensor | None) -> LayerWork:
    # What does not change over time is multiplied once, and the sums serve all steps.
    passes = 1 if at.arriving.constant else steps
    fan_out = at.layer.fan_out(at.input)
    macs = passes * float(fan_out.sum())
    accesses = (
        Access(macs, _WORD * _weights(at)),
        Access(macs, _WORD * math.prod(at.input)),
        Access(passes * math.prod(at.output), _WORD * math.prod(at.output)),
    )
    return LayerWork(
        at.name,
        macs=macs,
        effective_macs=macs if share is None else passes * float((share * fan_out).sum()),
        from_image=at.arriving.pixels,
        dense_operations=macs,
        fixed=accesses,
    )


def _neurons(at: NamedLayer, steps: int, *, values_arrive: bool) -> LayerWork:
    count = math.prod(at.output)
    variables = at.layer.state_variables
    own = Access(2 * variables * count * steps, _WORD * variables * count)
    currents = (Access(count * steps, _WORD * count),) if values_arrive else ()
    return LayerWork(at.name, state_updates=count * steps, fixed=(own, *currents))


def _recurrent(at: NamedLayer, graph: Graph, events: Mapping[str, Tensor], rates: Mapping[str, Tensor]) -> LayerWork:
    """Additions through the recurrent matrix: the layer's own spikes, each reaching the layer's other neurons."""
    assert isinstance(at.layer, Neuron)
    count, steps = at.output[0], graph.steps
    reached = count if at.layer.self_connections else count - 1
    names = [named.name for named in graph.named]
    after = [events[name] for name in names[names.index(at.name) :] if name in events]
    rate = float((rates.get(at.name, after[0] if after else torch.zeros(1))).mean())
    sent = steps * rate * count
    return LayerWork(
        f"{at.name}.recurrent",
        synaptic_operations=sent * reached,
        dense_operations=float(steps * count * reached),
        spiking=_spike_accesses(sent, sent * reached, at.output, count * reached, at.output),
    )


def _spike_accesses(
    arrived: float, synapses: float, source: tuple[int, ...], weights: int, target: tuple[int, ...]
) -> tuple[Access, ...]:
    return (
        Access(2 * arrived, _WORD * math.prod(source)),
        Access(synapses, _WORD * weights),
        Access(2 * synapses, _WORD * math.prod(target)),
    )


def _weights(at: NamedLayer) -> int:
    return math.prod(at.parameters()["weight"])
