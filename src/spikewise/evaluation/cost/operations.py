"""What a network does for one image: operations and memory accesses, from the graph and the spikes really sent.

    macs                  multiply-accumulates of weighted layers fed with real numbers
    synaptic operations   additions caused by spikes: each spike adds one weight to each neuron it reaches
    state updates         neurons x steps
    additions             what the sums of residual blocks add besides

What a layer is fed with, the layer before it says (`NamedLayer.arriving`).

A constant current (direct encoding) is multiplied once and then reused at every step. Pooling, normalisation (folded
into the weights at inference), biases and the encoder are not counted, for any network. Where a residual block adds
what a weighted layer gives, the sum is made as its products are; what comes in otherwise, such as an identity
shortcut, is an addition for each number and step (also for a spike that does not come: an upper bound).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from spikewise.graph import BatchNorm, Graph, NamedLayer, Residual

__all__ = ["Access", "LayerWork", "Operations", "count_operations", "layer_work", "traffic_bytes"]

_WORD = 4
"""Bytes of a 32-bit number; a spike travels as the address of its neuron, one word too."""


class Operations(NamedTuple):
    """Operations for one image, all steps together."""

    macs: float
    synaptic_operations: float
    state_updates: float
    additions: float = 0.0
    """Of the sums of residual blocks."""
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
    several: bool = False
    """More than one spike may arrive at an input in one step."""
    dense_operations: float = 0.0
    state_updates: float = 0.0
    additions: float = 0.0
    """Of numbers that two paths bring."""
    fixed: tuple[Access, ...] = ()
    """Memory accesses whatever the spikes."""
    multiplying: tuple[Access, ...] = ()
    """Memory accesses caused by multiply-accumulates: their weights."""
    spiking: tuple[Access, ...] = ()
    """Memory accesses caused by spikes."""

    @property
    def accesses(self) -> tuple[Access, ...]:
        """All memory accesses."""
        return (*self.fixed, *self.multiplying, *self.spiking)

    def without_zeros(self) -> "LayerWork":
        """The same layer on hardware that neither multiplies an input of zero nor reads the weights for it."""
        share = self.effective_macs / self.macs if self.macs else 1.0
        read = tuple(Access(access.words * share, access.held) for access in self.multiplying)
        return self._replace(macs=self.effective_macs, multiplying=read)

    def with_spikes(self, factor: float) -> "LayerWork":
        """The same layer with `factor` times as many spikes."""
        caused = tuple(Access(access.words * factor, access.held) for access in self.spiking)
        return self._replace(synaptic_operations=self.synaptic_operations * factor, spiking=caused)

    def scaled(self, factor: float) -> "LayerWork":
        """The same layer with `factor` times as many inputs that are not zero."""
        return self.with_spikes(factor)._replace(effective_macs=min(self.macs, self.effective_macs * factor))


def count_operations(graph: Graph, input_events: Mapping[str, Float[Tensor, "*F"]]) -> Operations:
    """Operations for one image; arguments as for `layer_work`."""
    work = layer_work(graph, input_events)
    return Operations(
        macs=sum(layer.macs for layer in work),
        synaptic_operations=sum(layer.synaptic_operations for layer in work),
        state_updates=sum(layer.state_updates for layer in work),
        additions=sum(layer.additions for layer in work),
        effective_macs=sum(layer.effective_macs for layer in work),
        dense_operations=sum(layer.dense_operations for layer in work),
    )


def traffic_bytes(work: Iterable[LayerWork]) -> float:
    """Bytes read from and written to memory for one image, by the data flow that `layer_work` states."""
    return _WORD * sum(access.words for layer in work for access in layer.accesses)


def layer_work(graph: Graph, input_events: Mapping[str, Float[Tensor, "*F"]]) -> tuple[LayerWork, ...]:
    """The work of each layer that has any.

    Memory accesses: a spike is written and read once, and reads one weight, and reads and writes one accumulator, at
    each synapse; a multiply-accumulate reads a weight, and keeps its sum in a register until the output is written; a
    linear layer reads each input once, a convolution one for each multiply-accumulate; a neuron reads and writes its
    state variables at every step. Biases and the computation of addresses are left out.
    Source of the data flow: Lemaire et al., "An analytical estimation of spiking neural networks energy efficiency",
    ICONIP 2022 (arXiv 2210.13107), equations 3 to 13.

    Args:
        input_events: mean number of events per step at each input of each weighted layer, and at each neuron that feeds
            back (`NAME.recurrent`), as an engine measured them: spikes, or 1 for a real number other than zero.
            A layer fed with real numbers need not be named: all its inputs then count as not zero.
    """
    return tuple(_walk(graph, input_events))


def _walk(graph: Graph, events: Mapping[str, Tensor]) -> Iterator[LayerWork]:
    by_values = {"": graph.encoder.emits.carrier == "values"}
    """Whether what a layer sends on was made of real numbers, by the weighted layers that it comes from."""
    for at in graph.named:
        by_values[at.name] = any(by_values[name] for name in at.inputs)
        if at.layer.weighted:
            by_values[at.name] = at.arriving.carrier == "values"
            yield (
                _by_values(at, graph.steps, events.get(at.name))
                if by_values[at.name]
                else _by_events(at, graph.steps, events[at.name])
            )
        if isinstance(at.layer, Residual):
            yield _sum(graph, at)
        if at.layer.state_variables:
            yield _neurons(at, graph.steps, values_arrive=by_values[at.name])
        if at.layer.feedback(at.output):
            yield _recurrent(at, graph.steps, events[f"{at.name}.recurrent"])


def _sum(graph: Graph, at: NamedLayer) -> LayerWork:
    """One addition for each number, unless both paths end in weighted layers, which add into the same accumulators."""
    free = all(_accumulates(graph, name) for name in at.inputs)
    passes = 1 if at.leaving.constant else graph.steps
    count = 0.0 if free else float(passes * math.prod(at.output))
    held = _WORD * math.prod(at.output)
    return LayerWork(at.name, additions=count, fixed=(Access(3 * count, held),) if count else ())


def _accumulates(graph: Graph, name: str) -> bool:
    """Whether an output is a weighted layer's sum, normalised or not, that nothing else listens to."""
    named = {layer.name: layer for layer in graph.named}
    while name and len(graph.readers(name)) == 1:
        if named[name].layer.weighted:
            return True
        if not isinstance(named[name].layer, BatchNorm):
            return False
        (name,) = named[name].inputs
    return False


def _by_events(at: NamedLayer, steps: int, share: Tensor) -> LayerWork:
    fan_out = at.layer.fan_out(at.input)
    arrived, synapses = steps * float(share.sum()), steps * float((share * fan_out).sum())
    return LayerWork(
        at.name,
        synaptic_operations=synapses,
        several=at.arriving.carrier == "multispikes",
        dense_operations=steps * float(fan_out.sum()),
        spiking=_spike_accesses(arrived, synapses, at.input, _weights(at), at.output),
    )


def _by_values(at: NamedLayer, steps: int, share: Tensor | None) -> LayerWork:
    # What does not change over time is multiplied once, and the sums serve all steps.
    passes = 1 if at.arriving.constant else steps
    fan_out = at.layer.fan_out(at.input)
    macs = passes * float(fan_out.sum())
    # Eq. 3 and 4: the window of a convolution moves over its inputs, a linear layer sees each of its own once.
    inputs_read = passes * math.prod(at.input) if len(at.input) == 1 else macs
    return LayerWork(
        at.name,
        macs=macs,
        effective_macs=macs if share is None else passes * float((share * fan_out).sum()),
        from_image=at.arriving.pixels,
        dense_operations=macs,
        fixed=(
            Access(inputs_read, _WORD * math.prod(at.input)),
            Access(passes * math.prod(at.output), _WORD * math.prod(at.output)),
        ),
        multiplying=(Access(macs, _WORD * _weights(at)),),
    )


def _neurons(at: NamedLayer, steps: int, *, values_arrive: bool) -> LayerWork:
    count = math.prod(at.output)
    variables = at.layer.state_variables
    own = Access(2 * variables * count * steps, _WORD * variables * count)
    currents = (Access(count * steps, _WORD * count),) if values_arrive else ()
    return LayerWork(at.name, state_updates=count * steps, fixed=(own, *currents))


def _recurrent(at: NamedLayer, steps: int, share: Tensor) -> LayerWork:
    """Additions through the recurrent matrix: the layer's own spikes, each reaching the layer's other neurons."""
    count, reached = at.output[0], at.layer.feedback(at.output)
    sent = steps * float(share.sum())
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
