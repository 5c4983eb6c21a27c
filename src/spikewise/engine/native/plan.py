"""A graph compiled for the native engine: what the extension is told about each of its stages."""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, LeakyIntegrator
from spikewise.engine.native.stages import Stage, as_map, stages_of
from spikewise.extension import extension, isa
from spikewise.graph import BatchNorm, Conv2d, Graph, Linear, MaxPool, NamedLayer, Neuron
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangle

__all__ = ["Compiled", "Slot", "compiled", "recalled"]

_T = TypeVar("_T")


class Slot(NamedTuple):
    """One parameter that the engine reads: where it comes from."""

    layer: NamedLayer
    key: str
    """Its name within the layer, or a neuron parameter's, stored or not."""
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


def compiled(graph: Graph) -> Compiled:
    """The stages of a graph that the engine does not refuse."""
    return recalled(_compiled, graph)


_recent: dict[Callable[[Graph], Any], deque[tuple[Graph, Any]]] = {}


def recalled(function: Callable[[Graph], _T], graph: Graph) -> _T:
    """What a function of a graph gave for the same object; comparing graphs would take as long as a small network."""
    recent = _recent.setdefault(function, deque(maxlen=8))
    for known, value in tuple(recent):
        if known is graph:
            found: _T = value
            return found
    made = function(graph)
    recent.append((graph, made))
    return made


@lru_cache(maxsize=64)
def _compiled(graph: Graph) -> Compiled:
    native: Any = extension()
    assert native is not None
    slots: list[Slot] = []
    stages = stages_of(graph)
    specs = [_spec(native, stage, slots) for stage in stages]
    channels, height, width = graph.image_shape
    image = native.Shape(graph.encoder.channels(channels), height, width)
    reads_map = specs[0].op != native.Op.linear and specs[0].in_shape == image
    return Compiled(native.Plan(specs, image, reads_map, isa()), stages, tuple(slots))


def _spec(native: Any, stage: Stage, slots: list[Slot]) -> Any:
    """One stage as the extension reads it, each parameter's place among `slots` included."""
    spec = native.StageSpec()
    spec.name = stage.layers[0].name
    spec.in_shape, spec.made = native.Shape(*as_map(stage.input)), native.Shape(*as_map(stage.made))
    spec.out = native.Shape(*as_map(stage.output))
    spec.reorder = stage.flattened is not None
    match stage.operation.layer if stage.operation else None:
        case Conv2d() as conv:
            spec.op = native.Op.conv
            spec.kernel, spec.stride, spec.padding = conv.window[0], conv.strides[0], conv.paddings[0]
        case Linear():
            spec.op = native.Op.linear
    if stage.pool is not None:
        pool: Any = stage.pool.layer
        spec.pool = native.PoolKind.max if isinstance(pool, MaxPool) else native.PoolKind.avg
        spec.pool_size, spec.pool_stride = pool.window[0], pool.strides[0]
    if stage.neuron is not None:
        spec.neuron_name, spec.neuron = stage.neuron.name, _neuron(native, stage.neuron)
    for at in stage.layers:
        for key, kind in _wanted(native, stage, at).items():
            spec.place(kind, len(slots))
            slots.append(_slot(stage, at, key))
    return spec


def _neuron(native: Any, at: NamedLayer) -> Any:
    """The neurons of a stage, their parameters aside."""
    assert isinstance(at.layer, Neuron)
    spec = native.NeuronSpec()
    spec.recurrent = at.layer.recurrent
    match at.layer.dynamics:
        case LeakyIntegrator():
            spec.kind = native.NeuronKind.integrator
        case IF() | LIF() | ALIF() as dynamics:
            spec.kind = native.NeuronKind.spiking
            spec.reset, spec.delay = getattr(native.Reset, dynamics.reset), dynamics.reset_delay
            spec.reset_gradient = dynamics.reset_gradient
            _set_surrogate(native, spec, dynamics.surrogate)
            if isinstance(dynamics, ALIF):
                spec.kind = native.NeuronKind.adaptive
                spec.threshold_gradient, spec.relative = dynamics.threshold_gradient, dynamics.relative_surrogate
    return spec


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
    if isinstance(at.layer, BatchNorm):  # folded into the weights before it
        return {}
    wanted: dict[str, Any] = {key: getattr(native.Weight, key, None) for key in at.parameters()}
    if stage.norm and isinstance(at.layer, Linear | Conv2d):
        wanted["bias"] = native.Weight.bias
    if isinstance(at.layer, Neuron):
        wanted |= {key: getattr(native.NeuronParameter, key) for key in at.layer.dynamics.values()}
    return dict(sorted(wanted.items()))


def _slot(stage: Stage, at: NamedLayer, key: str) -> Slot:
    if not isinstance(at.layer, Neuron):
        return Slot(at, key, stage.norm, stage.dropped if key == "weight" else 0.0)
    stored = key in at.parameters()
    return Slot(at, key, constant=None if stored else torch.tensor([at.layer.dynamics.values()[key]]))
