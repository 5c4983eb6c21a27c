"""A graph compiled for the native engine: what the extension is told about each of its stages."""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.engine.native.stages import Map, Mode, Stage, image_of, reach, stages_of
from spikewise.extension import extension, isa
from spikewise.graph import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    GlobalAvgPool,
    Graph,
    Layer,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.layers.base import both
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangle

__all__ = ["Compiled", "Slot", "compiled", "recalled"]

_T = TypeVar("_T")


class Slot(NamedTuple):
    """One parameter that the engine reads: where it comes from."""

    layer: NamedLayer
    key: str
    """Its name within the layer, or a neuron parameter's, stored or not."""
    layout: Map
    """How the features of the stage's output are laid out."""
    norm: NamedLayer | None = None
    """The batch normalisation that is folded into this weight or bias."""
    dropped: float = 0.0
    """Share of the layer's inputs that dropout silences in training; the weights make up for it."""
    constant: Tensor | None = None
    """The value of a neuron parameter that is not stored with the weights."""


class Compiled(NamedTuple):
    """A graph ready for the native engine."""

    handle: Any
    stages: tuple[Stage, ...]
    slots: tuple[Slot, ...]


def compiled(graph: Graph, mode: Mode) -> Compiled:
    """The stages of a graph that the engine does not refuse."""
    return recalled(_compiled, graph, mode)


_recent: dict[tuple[Callable[..., Any], tuple[Any, ...]], deque[tuple[Graph, Any]]] = {}


def recalled(function: Callable[..., _T], graph: Graph, *more: Any) -> _T:
    """What a function of a graph gave for the same object; comparing graphs would take as long as a small network."""
    recent = _recent.setdefault((function, more), deque(maxlen=8))
    for known, value in tuple(recent):
        if known is graph:
            found: _T = value
            return found
    made = function(graph, *more)
    recent.append((graph, made))
    return made


@lru_cache(maxsize=64)
def _compiled(graph: Graph, mode: Mode) -> Compiled:
    native: Any = extension()
    assert native is not None
    slots: list[Slot] = []
    stages = stages_of(graph, mode)
    specs = [_spec(native, stage, mode, slots) for stage in stages]
    channels, height, width = graph.image_shape
    image = native.Shape(graph.encoder.channels(channels), height, width)
    return Compiled(native.Plan(specs, image, image_of(graph)[1], isa()), stages, tuple(slots))


def _spec(native: Any, stage: Stage, mode: Mode, slots: list[Slot]) -> Any:
    """One stage as the extension reads it, each parameter's place among `slots` included."""
    spec = native.StageSpec()
    spec.name, spec.inputs = stage.name, list(stage.inputs)
    shapes = (stage.input, stage.made, stage.output)
    if stage.pointwise is not None and len(stage.pointwise.input) == 1:  # each feature is a channel
        shapes = ((stage.pointwise.input[0], 1, 1),) * 3
    spec.in_shape, spec.made, spec.out = (native.Shape(*shape) for shape in shapes)
    spec.reorder = stage.reorder
    _set_operation(native, spec, stage.first, mode)
    if stage.pool is not None:
        _set_pool(native, spec, stage.pool)
    if stage.neuron is not None:
        spec.neuron_name, spec.neuron = stage.neuron.name, _neuron(native, stage.neuron)
    for at in stage.layers:
        for key, kind in _wanted(native, stage, at).items():
            spec.place(kind, len(slots))
            slots.append(_slot(stage, at, key))
    return spec


def _set_operation(native: Any, spec: Any, layer: Layer, mode: Mode) -> None:
    match layer:
        case Conv2d() as conv:
            spec.op = native.Op.conv
            spec.kernel = native.Pair(*reach(conv))
            spec.stride, spec.padding = native.Pair(*conv.strides), native.Pair(*conv.paddings)
        case Linear():
            spec.op = native.Op.linear
        case BatchNorm(epsilon=epsilon):
            spec.op, spec.epsilon = native.Op.norm, epsilon
        case Activation(function=function):
            spec.op, spec.function = native.Op.activation, getattr(native.Function, function)
        case SpikingActivation() as carried:
            plain = mode.training and not carried.spiking_aware
            spec.op = native.Op.activation if plain else native.Op.spiking_activation
            spec.function, spec.dt = getattr(native.Function, carried.function), carried.dt
        case Dropout(p=p):
            spec.op, spec.kept = native.Op.dropout, 1 - p
        case Residual():
            spec.op = native.Op.sum


def _set_pool(native: Any, spec: Any, at: NamedLayer) -> None:
    match at.layer:
        case GlobalAvgPool():
            spec.pool = native.PoolKind.avg
            spec.pool_size = spec.pool_stride = native.Pair(*at.input[1:])
        case MaxPool() | AvgPool() | SumPool() as pool:
            spec.pool = getattr(native.PoolKind, pool.kind.removesuffix("_pool"))
            spec.pool_size, spec.pool_stride = native.Pair(*pool.window), native.Pair(*pool.strides)
            spec.pool_padding = native.Pair(*both(pool.padding))


def _neuron(native: Any, at: NamedLayer) -> Any:
    """The neurons of a stage, their parameters aside."""
    assert isinstance(at.layer, Neuron)
    spec = native.NeuronSpec()
    spec.recurrent = at.layer.recurrent
    match at.layer.dynamics:
        case LeakyIntegrator():
            spec.kind = native.NeuronKind.integrator
        case Izhikevich() as dynamics:
            spec.kind, spec.izhikevich = native.NeuronKind.izhikevich, _izhikevich(native, dynamics)
            _set_surrogate(native, spec, dynamics.surrogate)
        case IF() | LIF() | CubaLIF() | ALIF() as dynamics:
            spec.kind = native.NeuronKind.spiking
            spec.reset, spec.delay = getattr(native.Reset, dynamics.reset), dynamics.reset_delay
            spec.reset_gradient = dynamics.reset_gradient
            _set_surrogate(native, spec, dynamics.surrogate)
            if isinstance(dynamics, CubaLIF):
                spec.kind = native.NeuronKind.current_based
            if isinstance(dynamics, ALIF):
                spec.kind = native.NeuronKind.adaptive
                spec.threshold_gradient, spec.relative = dynamics.threshold_gradient, dynamics.relative_surrogate
    return spec


def _izhikevich(native: Any, dynamics: Izhikevich) -> Any:
    constants = native.IzhikevichSpec()
    for name in ("k", "b", "c", "d", "v_rest", "v_threshold", "v_peak"):
        setattr(constants, name, getattr(dynamics, name))
    constants.rate, constants.recovery = dynamics.dt / dynamics.capacitance, dynamics.dt * dynamics.a
    return constants


def _set_surrogate(native: Any, spec: Any, surrogate: Surrogate) -> None:
    spec.surrogate = getattr(native.Surrogate, surrogate.kind)
    match surrogate:
        case FastSigmoid(slope=first) | ATan(alpha=first) | Boxcar(width=first) | Sigmoid(slope=first):
            spec.surrogate_first = first
        case Triangle(height=height, width=width):
            spec.surrogate_first, spec.surrogate_second = height, width
        case StraightThrough():
            pass


def _wanted(native: Any, stage: Stage, at: NamedLayer) -> dict[str, Any]:
    """The parameters that the engine reads of a layer, by name, and what each is to it."""
    if at is stage.norm:  # folded into the weights before it
        return {}
    wanted: dict[str, Any] = {key: getattr(native.Weight, key, None) for key in at.parameters()}
    if stage.norm and isinstance(at.layer, Linear | Conv2d):
        wanted["bias"] = native.Weight.bias
    if isinstance(at.layer, Neuron):
        wanted |= {key: getattr(native.NeuronParameter, key) for key in at.layer.dynamics.values()}
    return dict(sorted(wanted.items()))


def _slot(stage: Stage, at: NamedLayer, key: str) -> Slot:
    if not isinstance(at.layer, Neuron):
        return Slot(at, key, stage.output, stage.norm, stage.dropped if key == "weight" else 0.0)
    stored = key in at.parameters()
    return Slot(at, key, stage.output, constant=None if stored else torch.tensor([at.layer.dynamics.values()[key]]))
