"""What travels between layers in ONNX: steps and images on one axis, or images alone where every step is the same."""

from typing import NamedTuple

from spikewise.interop.onnx.builder import Builder, Value

__all__ = ["Frames", "Span", "spread"]


class Span(NamedTuple):
    """The two axes that every layer shares."""

    steps: int
    batch: Value
    """Number of images, as a list of one number."""


class Frames(NamedTuple):
    """The output of a layer."""

    value: Value
    """[T*B, *F], the images of the first step first; [B, *F] where it is the same at every step."""
    constant: bool = False


def spread(b: Builder, frames: Frames, span: Span, features: tuple[int, ...]) -> Value:
    """The frames of all steps, [T*B, *F], also of what is constant."""
    if not frames.constant or span.steps == 1:
        return frames.value
    one = b.op("Unsqueeze", frames.value, b.integers(0))
    shape = b.integers(span.steps, *[1] * (1 + len(features)))
    return b.reshape(b.op("Expand", one, shape), -1, *features)
