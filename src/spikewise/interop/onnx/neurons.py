"""Neurons in ONNX: the equations of `spikewise.dynamics`, operation for operation, so that they round alike."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator, Reset, TwoPhaseIF
from spikewise.dynamics.state import NeuronConfig
from spikewise.errors import ConfigError
from spikewise.graph import NamedLayer, Neuron, SpikingActivation
from spikewise.interop.deployed import Deployed
from spikewise.interop.onnx.builder import Builder, Value
from spikewise.interop.onnx.frames import Frames, Span
from spikewise.interop.onnx.recurrence import MOST_IN_A_ROW, State, over_time, start_at
from spikewise.randomness import uniform
from spikewise.types import Draw

__all__ = ["Sends", "carried_rates", "integrated", "neuron_layer"]

Named = Mapping[str, Value]


class Sends(NamedTuple):
    """What a layer with a state does at all steps."""

    output: Value
    """[T*B, *F]."""
    membrane: Value | None
    """Before the reset; None where nobody asked."""


class _Fired(NamedTuple):
    """One step of spiking neurons."""

    z: Value
    membrane: Value
    """That was compared with the threshold."""
    state: Named


def neuron_layer(  # what it computes, with what, from what
    b: Builder, deployed: Deployed, at: NamedLayer, frames: Frames, span: Span, *, membranes: bool
) -> Sends:
    """A layer of neurons.

    Args:
        membranes: whether the membranes of neurons that spike are asked for.
    Raises:
        ConfigError: the neuron is Python from outside the package.
    """
    layer = at.layer
    assert isinstance(layer, Neuron)
    p = {name: _value(b, value, name) for name, value in deployed.parameters(at).items()}
    if isinstance(layer.dynamics, LeakyIntegrator):
        membrane = integrated(b, p["beta"], frames, span, at.output, name=at.name)
        return Sends(membrane, membrane)
    start = _start(b, layer.dynamics, p, span, at.output)
    matrix = deployed.weights.get(f"{at.name}.recurrent")
    feedback = None if matrix is None else b.constant(matrix.T.numpy(), "recurrent")

    def step(current: Value, state: State) -> tuple[State, State]:
        total = current if feedback is None else current + b.op("MatMul", state["z"], feedback)
        done = _step(b, at, p, total, state)
        return {"spikes": done.z, "membrane": done.membrane}, {"z": done.z, **done.state}

    names = {"spikes": at.name, **({"membrane": b.name("membrane")} if membranes else {})}
    row = matrix is None and span.steps <= MOST_IN_A_ROW
    made = over_time(b, frames, span, start, step, names=names, row=row)
    return Sends(made["spikes"], made.get("membrane"))


def _start(b: Builder, dynamics: NeuronConfig, p: Named, span: Span, features: tuple[int, ...]) -> dict[str, Value]:
    """What neurons remember before the first step."""
    rest = dynamics.v_rest if isinstance(dynamics, Izhikevich) else 0.0
    start = start_at(b, span, features, {name: rest if name == "v" else 0.0 for name in ("z", *dynamics.variables())})
    initial = dynamics.initial if isinstance(dynamics, LIF | IF | TwoPhaseIF) else 0.0
    if initial:
        start["v"] = start["v"] + b.constant(initial) * p["threshold"]
    if isinstance(dynamics, TwoPhaseIF):
        start["t"] = b.constant(0.0)
    return start


def integrated(b: Builder, decay: Value, frames: Frames, span: Span, features: tuple[int, ...], *, name: str) -> Value:
    """A leaky sum of frames, [T*B, *F]: v <- decay v + current."""

    def step(current: Value, state: State) -> tuple[State, State]:
        v = decay * state["v"] + current
        return {"v": v}, {"v": v}

    start = start_at(b, span, features, {"v": 0.0})
    row = span.steps <= MOST_IN_A_ROW
    return over_time(b, frames, span, start, step, names={"v": name}, row=row)["v"]


def carried_rates(  # as for neurons
    b: Builder, deployed: Deployed, at: NamedLayer, rates: Frames, span: Span, seed: int
) -> Value:
    """Outputs n / dt [T*B, *F] of a spiking activation, from the rates that its spikes carry."""
    layer = at.layer
    assert isinstance(layer, SpikingActivation)
    dt = b.constant(layer.dt)
    start = start_at(b, span, at.output, {"v": 0.0})
    if layer.random_start:
        drawn = uniform(Draw(seed, 0, torch.zeros(1, dtype=torch.int64)), _size(at), 1 + deployed.streams[at.name])
        start = {"v": start["v"] + b.constant(drawn.view(at.output).numpy(), "start")}

    def step(rate: Value, state: State) -> tuple[State, State]:
        v = rate * dt + state["v"]
        n = b.op("Floor", v)
        return {"sent": n / dt}, {"v": v - n}

    row = span.steps <= MOST_IN_A_ROW
    return over_time(b, rates, span, start, step, names={"sent": at.name}, row=row)["sent"]


def _size(at: NamedLayer) -> int:
    return torch.Size(at.output).numel()


def _value(b: Builder, value: Tensor | float, name: str) -> Value:
    return b.constant(value.numpy() if isinstance(value, Tensor) else float(value), name)


def _step(b: Builder, at: NamedLayer, p: Named, current: Value, state: Named) -> _Fired:
    assert isinstance(at.layer, Neuron)
    match at.layer.dynamics:
        case LIF() | IF() as neuron:
            return _reset(b, neuron, p, p["beta"] * state["v"] + current, state["z"], p["threshold"])
        case CubaLIF() as neuron:
            i = p["alpha"] * state["i"] + current
            done = _reset(b, neuron, p, p["beta"] * state["v"] + i, state["z"], p["threshold"])
            return done._replace(state={**done.state, "i": i})
        case ALIF() as neuron:
            a = p["adaptation_decay"] * state["a"] + state["z"]
            moving = p["threshold"] + p["adaptation"] * a
            done = _reset(b, neuron, p, p["beta"] * state["v"] + current, state["z"], moving)
            return done._replace(state={**done.state, "a": a})
        case TwoPhaseIF() as neuron:
            return _two_phase(b, neuron, p, current, state)
        case Izhikevich() as neuron:
            return _izhikevich(b, neuron, p["gain"] * current, state)
    raise ConfigError(
        f"Layer {at.name} is a neuron from outside the package, Python that ONNX cannot hold. "
        "Train with one of the package's own neurons, or export to another format."
    )


def _reset(b: Builder, neuron: LIF | IF | CubaLIF | ALIF, p: Named, v: Value, before: Value, limit: Value) -> _Fired:
    """Compare with the limit, and reset by the threshold: in this step, or what the step before left."""
    if neuron.reset_delay:
        v = _after(b, v, before, p["threshold"], neuron.reset)
        return _Fired((v > limit).cast("float32"), v, {"v": v})
    z = (v > limit).cast("float32")
    return _Fired(z, v, {"v": _after(b, v, z, p["threshold"], neuron.reset)})


def _after(b: Builder, v: Value, z: Value, threshold: Value, reset: Reset) -> Value:
    if reset == "none":
        return v
    return v - threshold * z if reset == "subtract" else v * (b.constant(1.0) - z)


def _two_phase(b: Builder, neuron: TwoPhaseIF, p: Named, current: Value, state: Named) -> _Fired:
    def within(start: int) -> Value:
        late = b.op("GreaterOrEqual", state["t"], b.constant(float(start)))
        early = b.op("Less", state["t"], b.constant(float(start + neuron.phase)))
        return (late & early).cast("float32")

    v = state["v"] + current * within(neuron.listens_from)
    z = (v > p["threshold"]).cast("float32") * within(neuron.fires_from)
    return _Fired(z, v, {"v": v - p["threshold"] * z, "t": state["t"] + b.constant(1.0)})


def _izhikevich(b: Builder, n: Izhikevich, current: Value, state: Named) -> _Fired:
    def number(value: float) -> Value:
        return b.constant(float(value))

    v, u, before = state["v"], state["u"], state["z"]
    above_rest = v - number(n.v_rest)
    drift = number(n.k) * above_rest * (v - number(n.v_threshold)) - u + current
    moved = v + number(n.dt / n.capacitance) * drift
    moved = b.op("Where", before > number(0.0), number(n.c), moved)
    u = u + number(n.dt * n.a) * (number(n.b) * above_rest - u) + number(n.d) * before
    moved = b.op("Min", moved, number(n.ceiling))
    return _Fired((moved > number(n.v_peak)).cast("float32"), moved, {"v": moved, "u": u})
