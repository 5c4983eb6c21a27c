"""What the native engine does not run, and why."""

from functools import lru_cache

import torch

from spikewise.dynamics import ALIF, IF, LIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.engine.contract import Ask
from spikewise.engine.native.plan import recalled
from spikewise.engine.native.stages import as_map, stages_of
from spikewise.extension import extension
from spikewise.graph import AvgPool, BatchNorm, Conv2d, Dropout, Flatten, Graph, Linear, MaxPool, NamedLayer, Neuron

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
    options = ask.options
    if ask.input_gradient:
        return "it returns no gradient of its input"
    if ask.learns and options.state:
        return "it returns no gradients of a run that starts from a state"
    if options.training:
        norm = next((at.name for at in ask.graph.named if isinstance(at.layer, BatchNorm)), None)
        if norm is not None:
            return f"layer {norm}: in training it normalises by the batch"
    if not options.record:
        return None
    silent = sorted(options.record - {at.name for at in ask.graph.named if isinstance(at.layer, Neuron)})
    return f"it records neuron layers only, not {silent[0]}" if silent else None


@lru_cache(maxsize=256)
def _obstacle(graph: Graph) -> str | None:
    before: NamedLayer | None = None
    for position, at in enumerate(graph.named):
        reason = _layer_obstacle(at)
        if reason:
            return f"layer {at.name}: {reason}"
        if (
            position > 1
            and before
            and isinstance(before.layer, Flatten)
            and len(before.input) == 3
            and not isinstance(at.layer, Linear)
        ):
            return f"layer {at.name}: it follows a flatten layer without a linear layer between"
        before = at
    reason = _place_obstacle(graph)
    if reason:
        return reason
    last = stages_of(graph)[-1]
    linear = last.operation is not None and isinstance(last.operation.layer, Linear)
    if len(last.layers[-1].output) != 1 or not (linear or as_map(last.made)[1:] == (1, 1)):
        return f"layer {graph.named[-1].name}: the network does not end in a linear layer or its neurons"
    return None


def _place_obstacle(graph: Graph) -> str | None:
    """Dropout silences spikes; the weights that read them make up for it, and batch normalisation needs weights."""
    for position, at in enumerate(graph.named):
        before = graph.named[position - 1].layer if position else None
        if isinstance(at.layer, BatchNorm) and not isinstance(before, Linear | Conv2d):
            return f"layer {at.name}: it does not stand behind a linear layer or a convolution"
        if not isinstance(at.layer, Dropout):
            continue
        if not isinstance(before, Neuron) or not before.spikes:
            return f"layer {at.name}: it does not stand behind spiking neurons"
        passing = (Flatten, MaxPool, AvgPool)
        after = next((one.layer for one in graph.named[position + 1 :] if not isinstance(one.layer, passing)), None)
        if not isinstance(after, Linear | Conv2d):
            return f"layer {at.name}: no linear layer or convolution reads what it lets through"
    return None


def _layer_obstacle(at: NamedLayer) -> str | None:  # noqa: PLR0911  # one line for each kind of layer
    match at.layer:
        case Conv2d(plain=False) | MaxPool(plain=False) | AvgPool(plain=False):
            return "a window that is not square, dilated, grouped or (of a pool) padded"
        case Linear() | Flatten() | AvgPool() | BatchNorm() | Dropout():
            return None
        case Conv2d(window=(size, _)) | MaxPool(window=(size, _)):
            return None if size <= _LARGEST_WINDOW else f"a window of {size} is larger than {_LARGEST_WINDOW}"
        case Neuron(dynamics=IF() | LIF() | ALIF() as dynamics):
            late = dynamics.reset_delay and dynamics.reset == "zero" and dynamics.reset_gradient
            return "reset_gradient through a delayed reset to zero" if late else None
        case Neuron(dynamics=LeakyIntegrator()):
            return None
        case Neuron(dynamics=dynamics):
            return f"{dynamics.label} neurons"
        case _:
            return f"a {at.layer.kind} layer"
