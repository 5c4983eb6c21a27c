"""What this engine cannot run, in words that name the layer. Importing this needs no Triton."""

from importlib.util import find_spec

import torch
from torch import Tensor

from spikewise.engine.contract import RunOptions
from spikewise.graph import Graph, Neuron, SpikingActivation

__all__ = ["refuses", "supports"]


def supports(graph: Graph, device: str, dtype: torch.dtype = torch.float32) -> str | None:
    """Why the Triton engine cannot run a graph, naming the layer; None if it can."""
    if device != "cuda":
        return f"the Triton engine runs on a GPU, not on {device}"
    if find_spec("triton") is None:
        return "Triton is not installed"
    if dtype != torch.float32:
        return f"the Triton engine computes in float32, not {dtype}"
    for at in graph.named:
        if isinstance(at.layer, Neuron):
            dynamics = at.layer.dynamics
            late = getattr(dynamics, "reset_delay", False) and getattr(dynamics, "reset", "") == "zero"
            if late and getattr(dynamics, "reset_gradient", False):
                return f"layer {at.name}: reset_gradient through a delayed reset to zero"
    return None


def refuses(graph: Graph, options: RunOptions, *, learns: bool) -> str | None:
    """Why the engine cannot do one particular run of a graph that it supports; None if it can."""
    if learns and options.state:
        return "it returns no gradients of a run that starts from a state"
    kinds = (Neuron, SpikingActivation)
    silent = sorted(options.record - {at.name for at in graph.named if isinstance(at.layer, kinds)})
    return f"it records layers of neurons only, not {silent[0]}" if silent else None
