"""What is done step after step in ONNX: in a row of nodes, or in a Scan where that would be too long."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from spikewise.interop.onnx.builder import Builder, Value
from spikewise.interop.onnx.frames import Frames, Span

__all__ = ["MOST_IN_A_ROW", "State", "Step", "over_time", "start_at"]

MOST_IN_A_ROW: Final = 64
"""Steps that are written one after the other; more would make the file long to load."""

State = Mapping[str, Value]
"""Values [B, *F] by name."""
Step = Callable[[Value, State], tuple[State, State]]
"""From the current and what is remembered: what the step gives, and what it remembers."""


def start_at(b: Builder, span: Span, features: tuple[int, ...], values: Mapping[str, float]) -> dict[str, Value]:
    """A state [B, *F] with the same number everywhere."""
    shape = b.op("Concat", span.batch, b.integers(*features), axis=0)
    return {name: _filled(b, shape, value) for name, value in values.items()}


def over_time(  # noqa: PLR0913  # one recurrence
    b: Builder, frames: Frames, span: Span, start: State, step: Step, *, names: Mapping[str, str], row: bool
) -> dict[str, Value]:
    """Give a step one frame after the other.

    Args:
        names: of what is kept from what a step gives: the name that it has there, and that it gets in the file.
        row: as a row of nodes, else as a Scan.
    Returns:
        [T*B, *F] by the name that the step has for it.
    """
    return (_in_a_row if row else _by_scan)(b, frames, span, start, step, names)


def _in_a_row(
    b: Builder, frames: Frames, span: Span, start: State, step: Step, names: Mapping[str, str]
) -> dict[str, Value]:
    state, given = start, list[State]()
    for current in _parts(b, frames, span.steps):
        gives, state = step(current, state)
        given.append(gives)
    return {key: b.op("Concat", *(gives[key] for gives in given), name=name, axis=0) for key, name in names.items()}


def _parts(b: Builder, frames: Frames, steps: int) -> list[Value]:
    if frames.constant or steps == 1:
        return [frames.value] * steps
    names = [b.name("current") for _ in range(steps)]
    return b.ops("Split", frames.value, names=names, axis=0, num_outputs=steps)


def _by_scan(
    b: Builder, frames: Frames, span: Span, start: State, step: Step, names: Mapping[str, str]
) -> dict[str, Value]:
    before = {key: Value(b, b.name(key)) for key in start}
    now = Value(b, b.name("current"))
    with b.body() as nodes:
        gives, after = step(frames.value if frames.constant else now, before)
        # Each output of a body is a value of its own.
        out = [b.op("Identity", value) for value in (*(after[key] for key in start), *(gives[key] for key in names))]
    body = helper.make_graph(nodes, b.name("step"), _floats(*before.values(), now), _floats(*out))
    left = [b.name(key) for key in start]
    stacked = [b.name(key) for key in names]
    over = _clock(b, span.steps) if frames.constant else _by_step(b, frames.value, span.steps)
    made = b.ops("Scan", *start.values(), over, names=[*left, *stacked], body=body, num_scan_inputs=1)
    return {key: _by_frame(b, value, name) for (key, name), value in zip(names.items(), made[len(left) :], strict=True)}


def _floats(*values: Value) -> list[ValueInfoProto]:
    return [helper.make_tensor_value_info(value.name, TensorProto.FLOAT, None) for value in values]


def _clock(b: Builder, steps: int) -> Value:
    """Something with as many entries as there are steps, for a Scan over what does not change."""
    return b.constant(np.zeros(steps, np.float32), "clock")


def _filled(b: Builder, shape: Value, value: float) -> Value:
    kept = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
    return b.op("ConstantOfShape", shape, value=kept)


def _by_step(b: Builder, value: Value, steps: int) -> Value:
    """[T*B, *F] as [T, B, *F]."""
    tail = b.op("Shape", value, start=1)
    return b.op("Reshape", value, b.op("Concat", b.integers(steps, -1), tail, axis=0))


def _by_frame(b: Builder, value: Value, name: str) -> Value:
    """[T, B, *F] as [T*B, *F]."""
    tail = b.op("Shape", value, start=2)
    return b.op("Reshape", value, b.op("Concat", b.integers(-1), tail, axis=0), name=name)
