"""What the Triton engine does not run, and why. Importing this needs no Triton."""

from functools import cache
from importlib.util import find_spec

import torch

from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.engine.contract import Ask
from spikewise.graph import BatchNorm

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
    return _of_this_run(ask)


def _of_this_run(ask: Ask) -> str | None:
    """What the graph does not say."""
    if ask.learns and ask.options.state:
        return "it returns no gradients of a run that starts from a state"
    norm = next((at.name for at in ask.graph.named if isinstance(at.layer, BatchNorm)), None)
    if ask.options.exchange is not None and norm is not None:
        return f"layer {norm}: batch normalisation by more than the images given"
    return None


@cache
def _is_installed() -> bool:
    return find_spec("triton") is not None
