"""Neurons of one layer: the facts of their kernel, and its launches."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikewise.dynamics import (
    ALIF,
    IF,
    LIF,
    CubaLIF,
    IntegratorState,
    LeakyIntegrator,
    LIFState,
    NeuronState,
    TwoPhaseIF,
)
from spikewise.engine.triton.kernels.launch import grid_of
from spikewise.engine.triton.kernels.neuron import backward_kernel, forward_kernel
from spikewise.graph import NamedLayer, Neuron
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangle

__all__ = ["LANES", "LANES_BACK", "PARAMETERS", "Carry", "Kept", "Population", "Walk"]

_RESETS = {"subtract": 0, "zero": 1, "none": 2}
PARAMETERS = ("BETA", "THRESHOLD", "ADAPTATION", "DECAY")
"""What the kernels call the kinds of a neuron's parameters."""
_SPIKING = IF | LIF | ALIF | CubaLIF | TwoPhaseIF
LANES = 512
LANES_BACK = 256


class Kept(NamedTuple):
    """What a forward walk leaves for the way back, [T, B, *F]; the membrane may be None where nobody asks for it."""

    spikes: Tensor | None
    membrane: Tensor | None
    third: Tensor | None
    """Adaptation of an ALIF, current of a CubaLIF."""


class Walk(NamedTuple):
    """What a forward walk gives."""

    kept: Kept
    state: NeuronState


class Carry(NamedTuple):
    """Gradients of the state between two launches of the way back, [B, *F] each; the last of the third variable."""

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
        self.has_third = len(self.dynamics.State._fields) > 2  # type: ignore[attr-defined]  # they are named tuples
        self.keeps_third = isinstance(self.dynamics, ALIF | CubaLIF)
        self.initial: float = getattr(self.dynamics, "initial", 0.0)
        self.charge: tuple[Tensor, ...] | None = None
        """The state that a walk began with, where that is `initial` thresholds."""
        self.shape = (*at.output[1:], at.output[0]) if last else at.output
        self.features = at.output[0] if last else math.prod(at.output)
        self.plane = 1 if last else math.prod(at.output[1:])
        self.names = ("beta", "threshold", "adaptation", "alpha" if self.is_synaptic else "adaptation_decay")
        """Of the kernels' parameters."""
        self.surrogate = surrogate_facts(getattr(self.dynamics, "surrogate", StraightThrough()))

    @property
    def is_synaptic(self) -> bool:
        """Whether it has a current that decays."""
        return isinstance(self.dynamics, CubaLIF)

    @property
    def facts(self) -> dict[str, Any]:
        """Constants of every forward kernel."""
        return _facts(self.dynamics)[0]

    @property
    def backward_facts(self) -> dict[str, Any]:
        """Constants of every backward kernel."""
        return _facts(self.dynamics)[1]

    def parameters(self) -> tuple[list[Any], dict[str, int]]:
        """Arguments of the four parameters, and whether each is a number, a stored value or one a channel."""
        values = {"beta": 1.0, **self.dynamics.values()}
        if isinstance(self.dynamics, TwoPhaseIF):
            starts = (self.dynamics.listens_from, self.dynamics.fires_from)
            values |= dict(zip(self.names[2:], map(float, starts), strict=True))
        arguments = [self.argument(name, values.get(name, 0.0)) for name in self.names]
        kinds = dict(zip(PARAMETERS, (kind for _, kind in arguments), strict=True))
        return [value for value, _ in arguments], kinds

    def argument(self, name: str, value: float) -> tuple[Any, int]:
        """A parameter as a kernel reads it."""
        tensor = self.own.get(name)
        if tensor is None:
            return value, 0
        return tensor.contiguous(), 1 if tensor.numel() == 1 else 2

    def rest(self, batch: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Memory for voltage, spikes and the third variable after the last step."""
        shape = (batch, *self.shape)
        v = torch.empty(shape, device=like.device)
        return v, torch.empty_like(v) if self.spikes else v, torch.empty_like(v) if self.has_third else v

    def memory(self, steps: int, batch: int, like: Tensor, dtype: torch.dtype, *, keep: bool) -> Kept:
        """Memory for what a walk keeps; the membrane is the caller's."""
        shape = (steps, batch, *self.shape)
        spikes = torch.empty(shape, dtype=dtype, device=like.device) if self.spikes else None
        third = torch.empty(shape, device=like.device) if self.keeps_third and keep else None
        return Kept(spikes, None, third)

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
        forward_kernel[grid_of(total, LANES)](
            current, total if len(current) == steps and steps > 1 else 0, nowhere if facts is None else facts, steps,
            *(nowhere if x is None else x for x in kept), *started, *after, *values, self._phase,
            self.features, self.plane, total, **kinds, **self.facts, **self._kind, STARTED=before is not None,
            KEEP_V=kept.membrane is not None, KEEP_A=kept.third is not None, AFFINE=facts is not None, SIZE=LANES,
            enable_fp_fusion=False,
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
        grown = [totals.get(name, nowhere) for name in self.names]
        carried = carry or (nowhere, nowhere, nowhere)
        backward_kernel[grid_of(total, LANES_BACK)](
            nowhere if gz is None else gz, nowhere if gv is None else gv, membrane,
            nowhere if kept.third is None else kept.third, out, out.stride(0) if in_parts else 0,
            totals.get("current", nowhere), *(self.charge or (nowhere,) * 3), *carried, *grown, *values, self.initial,
            self._phase, *self.surrogate[1:], self.features, self.plane, total, steps, (steps - 1) * total,
            steps - 1 + earlier, **kinds, **self.facts, **self._kind, **self.backward_facts,
            SURROGATE=self.surrogate[0], STARTED=self.charge is not None, HAS_GZ=gz is not None,
            HAS_GV=gv is not None, CARRY=carry is not None, LEARNS="beta" in totals,
            SUM="current" in totals, PARTS=len(out) if in_parts else 0, SIZE=LANES_BACK, enable_fp_fusion=False,
        )  # fmt: skip

    def totals(self, like: Tensor, *, summed: bool) -> dict[str, Tensor]:
        """Memory for the sums that `backward` is to make: of the current's gradient, and of learned parameters."""
        shape = like.shape[1:]
        learned = any(tensor.requires_grad for tensor in self.own.values())
        names = [*(["current"] if summed else []), *({"beta", *self.dynamics.values()} if learned else [])]
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
        v, z, third = after
        if not self.spikes:
            return IntegratorState(v)
        kind: Any = self.dynamics.State
        return kind(v, z, third) if self.has_third else LIFState(v, z)

    def started(self, before: Any, batch: int, like: Tensor, *, last: bool = False) -> tuple[Tensor, ...] | None:
        """A state as the kernel reads it; where there is none, that of a membrane that does not start at rest.

        Args:
            batch: images of the run.
            like: memory on the run's device.
        """
        if before is None and not self.initial:
            return None
        if before is None:
            v, z, third = (torch.zeros(batch, *self.shape, device=like.device) for _ in range(3))
            own = self.own.get("threshold")
            threshold = self.dynamics.values()["threshold"] if own is None else own.detach()
            if isinstance(threshold, Tensor) and threshold.numel() > 1:
                threshold = threshold.view(-1, *[1] * (0 if last else len(self.shape) - 1))
            self.charge = (v + self.initial * threshold, z, third)
            return self.charge
        parts = [part.detach().float() for part in before]
        parts = [(part.permute(0, 2, 3, 1) if last else part).contiguous() for part in parts]
        return (*parts, *[parts[0]] * (3 - len(parts)))

    @property
    def _phase(self) -> int:
        return getattr(self.dynamics, "phase", 0)

    @property
    def _kind(self) -> dict[str, bool]:
        """What the kernels of `kernels.neuron` alone tell apart."""
        return {"SYNAPTIC": self.is_synaptic, "CLOCKED": isinstance(self.dynamics, TwoPhaseIF)}


@lru_cache(maxsize=256)
def _facts(dynamics: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    spiking = isinstance(dynamics, _SPIKING)
    assert spiking or isinstance(dynamics, LeakyIntegrator)
    both = {
        "SPIKES": spiking,
        "ADAPTIVE": isinstance(dynamics, ALIF),
        "RESET": _RESETS[getattr(dynamics, "reset", "subtract")] if spiking else 2,
        "DELAY": getattr(dynamics, "reset_delay", False),
    }
    back = {
        "RESET_GRADIENT": getattr(dynamics, "reset_gradient", False),
        "THRESHOLD_GRADIENT": getattr(dynamics, "threshold_gradient", True),
        "RELATIVE": getattr(dynamics, "relative_surrogate", False),
    }
    return both, back
