"""Neurons of one layer: the facts of their kernel, and its launches."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikewise.dynamics import ALIF, IF, LIF, ALIFState, IntegratorState, LeakyIntegrator, LIFState, NeuronState
from spikewise.engine.triton.kernels.launch import grid_of
from spikewise.engine.triton.kernels.neuron import backward_kernel, forward_kernel
from spikewise.graph import NamedLayer, Neuron
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangle

__all__ = ["PARAMETERS", "Carry", "Kept", "Population", "Walk"]

_RESETS = {"subtract": 0, "zero": 1, "none": 2}
PARAMETERS = ("beta", "threshold", "adaptation", "adaptation_decay")
_LANES = 512
_LANES_BACK = 256


class Kept(NamedTuple):
    """What a forward walk leaves for the way back, [T, B, *F]; the membrane may be None where nobody asks for it."""

    spikes: Tensor | None
    membrane: Tensor | None
    adaptation: Tensor | None


class Walk(NamedTuple):
    """What a forward walk gives."""

    kept: Kept
    state: NeuronState


class Carry(NamedTuple):
    """Gradients of the state between two launches of the way back, [B, *F] each; the last is ALIF's alone."""

    v: Tensor
    z: Tensor
    a: Tensor


def surrogate_facts(surrogate: Surrogate) -> tuple[int, float, float]:
    """Number of a surrogate's derivative in the kernel, and its two constants."""
    match surrogate:
        case FastSigmoid(slope=slope):
            return 0, slope, 0.0
        case ATan(alpha=alpha):
            return 1, alpha / 2, math.pi / 2 * alpha
        case Triangle(height=height, width=width):
            return 2, height, width
        case Boxcar(width=width):
            return 3, width, 0.0
        case Sigmoid(slope=slope):
            return 4, slope, 0.0
        case StraightThrough():
            return 5, 0.0, 0.0


class Population:
    """The neurons of one layer.

    Args:
        own: its stored parameters by name, within their bounds.
        last: maps lie channels last.
    """

    def __init__(self, at: NamedLayer, own: dict[str, Tensor], *, last: bool = False) -> None:
        assert isinstance(at.layer, Neuron)
        self.at, self.own = at, own
        self.dynamics = at.layer.dynamics
        self.spikes = at.layer.spikes
        self.adaptive = isinstance(self.dynamics, ALIF)
        self.shape = (*at.output[1:], at.output[0]) if last else at.output
        self.features = at.output[0] if last else math.prod(at.output)
        self.plane = 1 if last else math.prod(at.output[1:])
        self.facts, self.backward_facts, self.surrogate = _facts(self.dynamics)

    def parameters(self) -> tuple[list[Any], dict[str, int]]:
        """Arguments of the four parameters, and whether each is a number, a stored value or one a channel."""
        values = self.dynamics.values()
        found: list[Any] = []
        kinds = {}
        for name, key in zip(PARAMETERS, ("BETA", "THRESHOLD", "ADAPTATION", "DECAY"), strict=True):
            tensor = self.own.get(name)
            found.append(values.get(name, 0.0) if tensor is None else tensor.contiguous())
            kinds[key] = 0 if tensor is None else 1 if tensor.numel() == 1 else 2
        return found, kinds

    def rest(self, batch: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Memory for voltage, spikes and adaptation after the last step."""
        shape = (batch, *self.shape)
        v = torch.empty(shape, device=like.device)
        return v, torch.empty_like(v) if self.spikes else v, torch.empty_like(v) if self.adaptive else v

    def memory(self, steps: int, batch: int, like: Tensor, dtype: torch.dtype, *, keep: bool) -> Kept:
        """Memory for what a walk keeps; the membrane is the caller's."""
        shape = (steps, batch, *self.shape)
        spikes = torch.empty(shape, dtype=dtype, device=like.device) if self.spikes else None
        adaptation = torch.empty(shape, device=like.device) if self.adaptive and keep else None
        return Kept(spikes, None, adaptation)

    def forward(
        self, current: Tensor, steps: int, kept: Kept, before: tuple[Tensor, ...] | None, after: tuple[Tensor, ...],
        *, facts: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Walk `steps` of `current` [T or 1, B, *F] and fill `kept` and `after`; one current is that of every step.

        Args:
            facts: [4, C]; currents are multiplied by the first row and shifted by the second.
        """
        values, kinds = self.parameters()
        total = current[0].numel()
        nowhere = after[0]
        started = before or after
        forward_kernel[grid_of(total, _LANES)](
            current, total if len(current) == steps and steps > 1 else 0, nowhere if facts is None else facts, steps,
            *(nowhere if x is None else x for x in kept), *started, *after, *values, self.features, self.plane, total,
            **kinds, **self.facts, STARTED=before is not None, KEEP_V=kept.membrane is not None,
            KEEP_A=kept.adaptation is not None, AFFINE=facts is not None, SIZE=_LANES, enable_fp_fusion=False,
        )  # fmt: skip

    def backward(
        self, given: tuple[Tensor | None, Tensor | None], kept: Kept, out: Tensor, *, earlier: bool = False,
        carry: Carry | None = None, totals: dict[str, Tensor] | None = None,
    ) -> None:  # fmt: skip
        """Gradients of the currents, into `out`: [T, B, *F], or [parts, T, B, *F] in parts.

        Args:
            given: gradients of the spikes and of the membranes, [T, B, *F] each.
            earlier: whether the memory before `kept` holds one more step.
            totals: where sums over the steps go, [B, *F] each: "current", and the names of the neuron's parameters.
        """
        membrane, (gz, gv) = kept.membrane, given
        assert membrane is not None
        steps, total = len(membrane), membrane[0].numel()
        values, kinds = self.parameters()
        totals = totals or {}
        nowhere = membrane
        in_parts = out.ndim > membrane.ndim
        grown = [totals.get(name, nowhere) for name in PARAMETERS]
        carried = carry or (nowhere, nowhere, nowhere)
        backward_kernel[grid_of(total, _LANES_BACK)](
            nowhere if gz is None else gz, nowhere if gv is None else gv, membrane,
            nowhere if kept.adaptation is None else kept.adaptation, out, out.stride(0) if in_parts else 0,
            totals.get("current", nowhere), nowhere, nowhere, nowhere, *carried, *grown, *values, *self.surrogate[1:],
            self.features, self.plane, total, steps, (steps - 1) * total, steps - 1 + earlier,
            **kinds, **self.facts, **self.backward_facts, SURROGATE=self.surrogate[0], STARTED=False,
            HAS_GZ=gz is not None, HAS_GV=gv is not None, CARRY=carry is not None, LEARNS="beta" in totals,
            SUM="current" in totals, PARTS=len(out) if in_parts else 0, SIZE=_LANES_BACK, enable_fp_fusion=False,
        )  # fmt: skip

    def totals(self, like: Tensor, *, summed: bool) -> dict[str, Tensor]:
        """Memory for the sums that `backward` is to make: of the current's gradient, and of learned parameters."""
        shape = like.shape[1:]
        learned = any(tensor.requires_grad for tensor in self.own.values())
        names = [*(["current"] if summed else []), *(self.dynamics.values() if learned else [])]
        # One kernel argument each: those that the neuron has no use for are not written.
        return {name: torch.zeros(shape, device=like.device) for name in names}

    def gradients(self, totals: dict[str, Tensor]) -> dict[str, Tensor]:
        """Gradients of the stored parameters that learn."""
        out = {}
        for name, tensor in self.own.items():
            if name in totals and tensor.requires_grad:
                rows = totals[name].view(-1, self.features // self.plane, self.plane)
                out[name] = rows.sum().view(()) if tensor.numel() == 1 else rows.sum((0, 2))
                out[name] = out[name].view(tensor.shape)
        return out

    def state(self, after: tuple[Tensor, ...]) -> NeuronState:
        """The state that a walk left."""
        v, z, a = after
        if not self.spikes:
            return IntegratorState(v)
        return ALIFState(v, z, a) if self.adaptive else LIFState(v, z)

    def started(self, before: Any, *, last: bool = False) -> tuple[Tensor, ...] | None:
        """A state as the kernel reads it."""
        if before is None:
            return None
        parts = [part.detach().float() for part in before]
        parts = [(part.permute(0, 2, 3, 1) if last else part).contiguous() for part in parts]
        return (*parts, *[parts[0]] * (3 - len(parts)))


@lru_cache(maxsize=256)
def _facts(dynamics: Any) -> tuple[dict[str, Any], dict[str, Any], tuple[int, float, float]]:
    spiking = isinstance(dynamics, IF | LIF | ALIF)
    assert spiking or isinstance(dynamics, LeakyIntegrator)
    both = {
        "SPIKES": spiking,
        "ADAPTIVE": isinstance(dynamics, ALIF),
        "RESET": _RESETS[dynamics.reset] if spiking else 2,
        "DELAY": spiking and dynamics.reset_delay,
    }
    back = {
        "RESET_GRADIENT": spiking and dynamics.reset_gradient,
        "THRESHOLD_GRADIENT": getattr(dynamics, "threshold_gradient", True),
        "RELATIVE": getattr(dynamics, "relative_surrogate", False),
    }
    return both, back, surrogate_facts(dynamics.surrogate) if spiking else (5, 0.0, 0.0)
