"""A graph compiled into the stages of the native engine (`refusals.py` says which cannot be).

A stage is one weighted operation (or none), then pooling, then neurons; each may be missing.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, LeakyIntegrator
from spikewise.extension import extension, isa
from spikewise.graph import (
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Shape,
)
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangle

__all__ = ["Compiled", "compiled", "recalled", "stages_of"]

_T = TypeVar("_T")
_RESETS = {"subtract": 0, "zero": 1, "none": 2}
_NEURON_PARAMETERS = ("beta", "threshold", "adaptation", "adaptation_decay")
_NEURON_KINDS = {IF: 1, LIF: 1, ALIF: 2, LeakyIntegrator: 3}


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


class Stage(NamedTuple):
    """The layers of a graph that run together, and what the engine is told about them."""

    layers: tuple[NamedLayer, ...]
    facts: dict[str, Any]

    @property
    def neuron(self) -> NamedLayer | None:
        """The stage's neuron layer."""
        return next((at for at in self.layers if isinstance(at.layer, Neuron)), None)

    @property
    def norm(self) -> NamedLayer | None:
        """The batch normalisation behind the stage's weights."""
        return next((at for at in self.layers if isinstance(at.layer, BatchNorm)), None)

    @property
    def dropout(self) -> Dropout | None:
        """What silences the stage's spikes in training."""
        return next((at.layer for at in self.layers if isinstance(at.layer, Dropout)), None)


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
    module = extension()
    assert module is not None
    slots: list[Slot] = []
    stages = stages_of(graph)
    facts = [_with_slots(stage, slots) for stage in stages]
    channels, height, width = graph.image_shape
    image = (graph.encoder.channels(channels), height, width)
    reads_map = stages[0].facts["op"] != "linear" and stages[0].facts["in"] == image
    handle = module.Plan(facts, image, reads_map, isa())
    return Compiled(handle, stages, tuple(slots))


def stages_of(graph: Graph) -> tuple[Stage, ...]:
    """The layers that run together, in order; of a graph whose layers the engine knows."""
    stages: list[Stage] = []
    map_before_flatten: Shape | None = None
    dropped = 0.0
    for position, at in enumerate(graph.named):
        match at.layer:
            case Flatten():
                if stages and len(at.input) == 3:  # the first stage reads the image in its own order
                    map_before_flatten = at.input
            case Linear() | Conv2d():
                stages.append(Stage((at,), {**_operation(at, map_before_flatten), "dropped": dropped}))
                map_before_flatten, dropped = None, 0.0
            case BatchNorm():
                stages[-1] = _joined(stages[-1], at, {})
            case Dropout(p=p):
                stages[-1] = _joined(stages[-1], at, {"stream": 1 + position})
                dropped = p
            case MaxPool() | AvgPool():
                if not stages or not _takes_pool(stages[-1]):
                    stages.append(Stage((), _nothing(at.input)))
                stages[-1] = _joined(stages[-1], at, _pool(at))
            case Neuron():
                if not stages or stages[-1].neuron or _shape(at.input) != stages[-1].facts["out"]:
                    stages.append(Stage((), _nothing(at.input)))
                stages[-1] = _joined(stages[-1], at, _neuron(at.layer))
    return tuple(stages)


def _joined(stage: Stage, at: NamedLayer, facts: dict[str, Any]) -> Stage:
    return Stage((*stage.layers, at), {**stage.facts, **facts})


def _takes_pool(stage: Stage) -> bool:
    return stage.facts["op"] != "linear" and stage.facts["pool"] == "none" and stage.neuron is None


def _shape(shape: Shape) -> tuple[int, int, int]:
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def _nothing(shape: Shape) -> dict[str, Any]:
    whole = _shape(shape)
    return {"op": "none", "in": whole, "made": whole, "out": whole, "pool": "none", "reorder": False}


def _operation(at: NamedLayer, before: Shape | None) -> dict[str, Any]:
    layer = at.layer
    made = _shape(at.output)
    facts = {"in": _shape(before or at.input), "made": made, "out": made, "pool": "none", "reorder": before is not None}
    if isinstance(layer, Conv2d):
        return {"op": "conv", **facts, "kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    return {"op": "linear", **facts}


def _pool(at: NamedLayer) -> dict[str, Any]:
    layer = at.layer
    assert isinstance(layer, MaxPool | AvgPool)
    kind = "max" if isinstance(layer, MaxPool) else "avg"
    return {"pool": kind, "pool_size": layer.size, "pool_stride": layer.stride or layer.size, "out": _shape(at.output)}


def _neuron(layer: Neuron) -> dict[str, Any]:
    dynamics = layer.dynamics
    facts: dict[str, Any] = {"neuron": _NEURON_KINDS[type(dynamics)]}
    if isinstance(dynamics, LeakyIntegrator):
        return facts
    assert isinstance(dynamics, IF | LIF | ALIF)
    kind, first, second = _bump(dynamics.surrogate)
    facts |= {
        "reset": _RESETS[dynamics.reset],
        "delay": dynamics.reset_delay,
        "reset_gradient": dynamics.reset_gradient,
    }
    facts |= {"bump": kind, "bump_first": first, "bump_second": second}
    if isinstance(dynamics, ALIF):
        facts |= {"threshold_gradient": dynamics.threshold_gradient, "relative": dynamics.relative_surrogate}
    return facts


def _bump(surrogate: Surrogate) -> tuple[int, float, float]:
    match surrogate:
        case FastSigmoid(slope=slope):
            return 0, slope, 0.0
        case ATan(alpha=alpha):
            return 1, alpha, 0.0
        case Triangle(height=height, width=width):
            return 2, height, width
        case Boxcar(width=width):
            return 3, width, 0.0
        case Sigmoid(slope=slope):
            return 4, slope, 0.0
        case StraightThrough():
            return 5, 0.0, 0.0


_MISSING: dict[str, Any] = {
    "kernel": 1, "stride": 1, "padding": 0, "pool_size": 1, "pool_stride": 1, "neuron": 0, "reset": 0, "delay": False,
    "reset_gradient": False, "threshold_gradient": True, "relative": False,
        "bump": 1, "bump_first": 1.0, "bump_second": 1.0,
}  # fmt: skip
_NUMBERS = {"op": {"none": 0, "linear": 1, "conv": 2}, "pool": {"none": 0, "max": 1, "avg": 2}}


def _with_slots(stage: Stage, slots: list[Slot]) -> dict[str, Any]:
    """The facts as the extension reads them, each parameter's place among `slots` included."""
    neurons = stage.neuron.name if stage.neuron else ""
    facts: dict[str, Any] = {**_MISSING, **stage.facts, "name": stage.layers[0].name, "neuron_name": neurons}
    for key, numbers in _NUMBERS.items():
        facts[key] = numbers[facts[key]]
    facts |= dict.fromkeys(("weight", "bias", "recurrent", *_NEURON_PARAMETERS), -1)
    for at in stage.layers:
        if isinstance(at.layer, BatchNorm):
            continue
        wanted = set(at.parameters())
        if stage.norm and isinstance(at.layer, Linear | Conv2d):
            wanted.add("bias")
        if isinstance(at.layer, Neuron):
            wanted |= set(at.layer.dynamics.values())
        for key in sorted(wanted):
            facts[key] = len(slots)
            slots.append(_slot(stage, at, key))
    return facts


def _slot(stage: Stage, at: NamedLayer, key: str) -> Slot:
    if not isinstance(at.layer, Neuron):
        return Slot(at, key, stage.norm, stage.facts["dropped"] if key == "weight" else 0.0)
    stored = key in at.parameters()
    return Slot(at, key, constant=None if stored else torch.tensor([at.layer.dynamics.values()[key]]))
