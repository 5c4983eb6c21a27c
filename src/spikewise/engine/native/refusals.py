"""What the native engine does not run, and why."""

from functools import lru_cache

import torch

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.engine.contract import Ask
from spikewise.engine.native.plan import recalled
from spikewise.engine.native.stages import Mode, mode_of, reach, stages_of
from spikewise.engine.parameters import charged
from spikewise.extension import extension
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.layers.base import words

__all__ = ["refusal"]

_ENCODERS = (Rate, Latency, Periodic, Direct, Delta)
_LARGEST_WINDOW = 15


def refusal(ask: Ask) -> str | None:
    """Why the native engine cannot do what is asked, naming the layer; None if it can."""
    if extension() is None:
        return "the native engine was not compiled"
    if ask.device != "cpu":
        return f"the native engine runs on the CPU, not on {ask.device}"
    if ask.dtype != torch.float32 or ask.precision != "float32":
        computed = ask.dtype if ask.precision == "float32" else ask.precision
        return f"the native engine computes in float32, not {computed}"
    if ask.encodes and type(ask.graph.encoder) not in _ENCODERS:  # a subclass may encode otherwise
        return f"the encoder {ask.graph.encoder.label} has no native version"
    return recalled(_obstacle, ask.graph) or _of_this_run(ask)


def _of_this_run(ask: Ask) -> str | None:
    """What the graph does not say."""
    if ask.learns and ask.options.state:
        return "it returns no gradients of a run that starts from a state"
    if ask.learns and (at := next((at for at in ask.graph.named if charged(at.layer)), None)):
        return f"layer {at.name}: it returns no gradients of neurons that start charged (initial)"
    return recalled(_misplaced, ask.graph, mode_of(ask.graph, ask.options))


def _misplaced(graph: Graph, mode: Mode) -> str | None:
    """Recurrent neurons that this way of cutting the graph parts from the weights before them."""
    for stage in stages_of(graph, mode):
        neuron = stage.neuron
        if neuron is not None and neuron.layer.feedback(neuron.output) and not isinstance(stage.first, Linear):
            return f"layer {neuron.name}: recurrent neurons that do not run together with a linear layer before them"
    return None


@lru_cache(maxsize=256)
def _obstacle(graph: Graph) -> str | None:
    for at in graph.named:
        reason = _layer_obstacle(at)
        if reason:
            return f"layer {at.name}: {reason}"
    conventional = next((at.name for at in graph.named if isinstance(at.layer, Activation)), None)
    if conventional is not None and not graph.spiking_layers:
        return f"layer {conventional}: no layer of the network spikes, and dense work is oneDNN's"
    stages = stages_of(graph)
    end, last = stages[-1], graph.named[-1]
    if end.layers[-1].name != last.name or end.output[1:] != (1, 1) or isinstance(last.layer, MaxPool | SumPool):
        return f"layer {last.name}: the network does not end in a linear layer or its neurons"
    return None


def _layer_obstacle(at: NamedLayer) -> str | None:
    if isinstance(at.layer, Conv2d | MaxPool):
        window = reach(at.layer) if isinstance(at.layer, Conv2d) else at.layer.window
        return (
            f"a window of {words(window)} is larger than {_LARGEST_WINDOW}" if max(window) > _LARGEST_WINDOW else None
        )
    match at.layer:
        case Neuron():
            return _neuron_obstacle(at.layer)
        case Linear() | AvgPool() | SumPool() | GlobalAvgPool() | Flatten() | BatchNorm() | Dropout() | Residual():
            return None
        case Activation() | SpikingActivation():
            return None
        case QCFS():
            return "a quantised activation"
        case _:  # one that came later is not passed over
            return f"a layer of the kind {at.layer.kind}"


def _neuron_obstacle(layer: Neuron) -> str | None:
    match layer.dynamics:
        case IF() | LIF() | CubaLIF() | ALIF() as dynamics:
            late = dynamics.reset_delay and dynamics.reset == "zero" and dynamics.reset_gradient
            return "reset_gradient through a delayed reset to zero" if late else None
        case Izhikevich() | LeakyIntegrator():
            return None
        case dynamics:
            return f"{dynamics.label} neurons"
