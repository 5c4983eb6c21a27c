"""The Triton engine: whole networks on a GPU, spikes as operands of tensor cores. See docs/gpu.md."""

from spikewise.engine.triton.refusals import refuses, supports

__all__ = ["refuses", "supports"]
