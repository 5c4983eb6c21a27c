"""What the Triton engine does not run, and why. Importing this needs no Triton."""

from functools import cache
from importlib.util import find_spec

import torch

from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.engine.contract import Ask
from spikewise.engine.parameters import charged
from spikewise.graph import Graph, Neuron, Residual, SpikingActivation

__all__ = ["refusal"]

_ENCODERS = (Rate, Latency, Periodic, Direct, Delta)


def refusal(ask: Ask) -> str | None:
    """Why the Triton engine cannot do what is asked, naming the layer; None if it can."""
    if ask.device != "cuda":
        return f"the Triton engine runs on a GPU, not on {ask.device}"
    if not _is_installed():
        return "Triton is not installed"
    if ask.dtype != torch.float32:
        return f"the Triton engine computes in float32 or bfloat16 precision, not on {ask.dtype}"
    if ask.encodes and not isinstance(ask.graph.encoder, _ENCODERS):
        return f"the encoder {ask.graph.encoder.label} has no version in Triton"
    return _of_the_graph(ask.graph) or _of_this_run(ask)


def _of_the_graph(graph: Graph) -> str | None:
    for at in graph.named:
        if isinstance(at.layer, Residual):
            return f"layer {at.name}: it adds two paths, and its stages are a chain"
        if isinstance(at.layer, Neuron) and _resets_late(at.layer):
            return f"layer {at.name}: reset_gradient through a delayed reset to zero"
        if charged(at.layer):
            return f"layer {at.name}: neurons that start charged (initial)"
    return None


def _of_this_run(ask: Ask) -> str | None:
    """What the graph does not say."""
    if ask.learns and ask.options.state:
        return "it returns no gradients of a run that starts from a state"
    shown = {at.name for at in ask.graph.named if isinstance(at.layer, Neuron | SpikingActivation)}
    silent = sorted(ask.options.record - shown)
    return f"it records layers that spike and integrators only, not {silent[0]}" if silent else None


def _resets_late(layer: Neuron) -> bool:
    dynamics = layer.dynamics
    late = getattr(dynamics, "reset_delay", False) and getattr(dynamics, "reset", "") == "zero"
    return bool(late and getattr(dynamics, "reset_gradient", False))


@cache
def _is_installed() -> bool:
    return find_spec("triton") is not None
