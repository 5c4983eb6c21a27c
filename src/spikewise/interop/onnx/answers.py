"""Readouts in ONNX: evidence after each step, with ties broken as `predict` breaks them, and spikes counted."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from spikewise.graph import NamedLayer
from spikewise.interop.onnx.builder import Builder, Value
from spikewise.interop.onnx.frames import Frames, Span
from spikewise.interop.onnx.neurons import integrated
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, Readout, SpikeCount
from spikewise.ties import NUDGE, PLACE_0, RELATIVE

__all__ = ["answered", "counted"]

_LOWEST: Final = float(-np.inf)


def answered(  # one trajectory, read in one way
    b: Builder, readout: Readout, output: Value, membrane: Value, span: Span, classes: int
) -> tuple[Value, Value]:
    """Scores [B, K] and evidence [T, B, K] from what the last layer sent and its membranes, [T*B, K] each."""
    membranes = b.reshape(membrane, span.steps, -1, classes)
    grown = _evidence(b, readout, output, membrane, span, classes)
    evidence = _without_ties(b, grown, _means(b, membranes, span.steps))
    last = b.op("Gather", evidence, b.constant(np.array(span.steps - 1)), name="scores", axis=0)
    return last, b.op("Identity", evidence, name="evidence")


def _evidence(  # as above
    b: Builder, readout: Readout, output: Value, membrane: Value, span: Span, classes: int
) -> Value:
    membranes = b.reshape(membrane, span.steps, -1, classes)
    match readout:
        case SpikeCount():
            return b.op("CumSum", b.reshape(output, span.steps, -1, classes), b.constant(np.array(0)))
        case MaxMembrane():
            return _running_max(b, membranes, span.steps)
        case MeanMembrane():
            return _means(b, membranes, span.steps)
        case LastMembrane(scale=scale):
            return membranes if scale == 1 else membranes * b.constant(scale)
        case FilteredSum(decay=decay):
            summed = integrated(b, b.constant(decay), Frames(membrane), span, (classes,), name=b.name("sum"))
            return b.reshape(summed, span.steps, -1, classes)


def _means(b: Builder, values: Value, steps: int) -> Value:
    """Mean of the steps so far; summed in double precision, as PyTorch does."""
    if steps == 1:
        return values
    sums = b.op("CumSum", values.cast("float64"), b.constant(np.array(0))).cast("float32")
    return sums / b.constant(np.arange(1, steps + 1, dtype=np.float32).reshape(-1, 1, 1))


def _running_max(b: Builder, values: Value, steps: int) -> Value:
    """Highest so far: after n rounds each step knows the 2^n before it."""
    reach = 1
    while reach < steps:
        earlier = b.op("Slice", values, b.integers(0), b.integers(steps - reach), b.integers(0))
        shifted = b.op("Pad", earlier, b.integers(reach, 0, 0, 0, 0, 0), b.constant(_LOWEST))
        values = b.op("Max", values, shifted)
        reach *= 2
    return values


def _without_ties(b: Builder, logits: Value, membrane: Value) -> Value:
    """See `spikewise.ties.without_ties`; every image stands at place 0 of its set."""
    best = logits.equals(_highest(b, logits))
    beside = b.op("Where", best, membrane, b.constant(_LOWEST))
    high = best & membrane.equals(_highest(b, beside))
    ranked = b.op("CumSum", high.cast("int32"), b.constant(np.array(-1)))
    count = b.op("Max", _count(b, high), b.whole(1))  # of what is no number nothing is the highest
    drawn = b.op("Mod", b.whole(PLACE_0), count)
    chosen = high & (ranked - b.whole(1)).equals(drawn) & (_count(b, best) > b.whole(1))
    nudge = b.op("Max", b.op("Abs", logits) * b.constant(RELATIVE), b.constant(NUDGE))
    return b.op("Where", chosen, logits + nudge, logits)


def _highest(b: Builder, values: Value) -> Value:
    return b.op("ReduceMax", values, b.integers(-1), keepdims=1)


def _count(b: Builder, where: Value) -> Value:
    return b.op("ReduceSum", where.cast("int32"), b.integers(-1), keepdims=1)


def counted(b: Builder, sent: Sequence[tuple[NamedLayer, Value]], steps: int) -> Value:
    """Spikes of each layer [B, L], from what the layers sent, [T*B, *F] each."""
    counts = []
    for at, value in sent:
        quantum = at.leaving.quantum
        several = value if quantum == 1 else b.op("Round", b.op("Abs", value * b.constant(1 / quantum)))
        flat = several if len(at.output) == 1 else b.op("Flatten", several)
        of_frames = b.op("ReduceSum", flat, b.integers(1), keepdims=0).cast("int32")
        of_images = b.op("ReduceSum", b.reshape(of_frames, steps, -1), b.integers(0), keepdims=1)
        counts.append(b.op("Transpose", of_images, perm=[1, 0]))
    return b.op("Concat", *counts, name="spikes_per_layer", axis=1)
