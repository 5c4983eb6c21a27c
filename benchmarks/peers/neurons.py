"""Neurons of each library as modules from currents [T, B, ...] to spikes [T, B, ...]."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikewise.dynamics import LeakyIntegrator
from spikewise.graph import Neuron

__all__ = ["NEURONS", "Kind", "Means", "PlainALIF", "PlainIntegrator", "Sum"]

Build = Callable[[Neuron, int], nn.Module]


class Kind(NamedTuple):
    """A library's neurons."""

    leaky: Build
    delayed: bool
    """Whether its reset comes a step after the spike."""
    note: str
    adaptive: Build | None = None
    same_adaptive: bool = False
    adaptive_note: str = ""


class _FastSigmoid(torch.autograd.Function):
    """A spike where x > 0; backward 1 / (1 + slope |x|)^2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient / (ctx.slope * x.abs() + 1) ** 2, None


def _lif_step(current: Tensor, v: Tensor, z: Tensor, beta: float, slope: float) -> tuple[Tensor, Tensor]:
    v = beta * v + current - z.detach()
    return v, _FastSigmoid.apply(v - 1, slope)


def _compiled_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step, not the loop: an unrolled loop keeps the C++ compiler busy for minutes."""
    return torch.compile(step, dynamic=True)


class PlainLIF(nn.Module):
    """The loop that anyone writes first; `compiled` runs its step through torch.compile."""

    def __init__(self, layer: Neuron, *, compiled: bool = False) -> None:
        super().__init__()
        self.beta, self.slope = layer.dynamics.beta, layer.dynamics.surrogate.slope
        self.step = _compiled_step(_lif_step) if compiled else _lif_step

    def forward(self, currents: Tensor) -> Tensor:
        v, z = torch.zeros_like(currents[0]), torch.zeros_like(currents[0])
        spikes = []
        for current in currents.unbind(0):
            v, z = self.step(current, v, z, self.beta, self.slope)
            spikes.append(z)
        return torch.stack(spikes)


def _integrate(currents: Tensor, beta: float) -> Tensor:
    v, out = torch.zeros_like(currents[0]), []
    for current in currents.unbind(0):
        v = beta * v + current
        out.append(v)
    return torch.stack(out)


class PlainIntegrator(nn.Module):
    """A leaky integrator's membranes."""

    def __init__(self, layer: Neuron) -> None:
        super().__init__()
        self.beta = layer.dynamics.beta

    def forward(self, currents: Tensor) -> Tensor:
        return _integrate(currents, self.beta)


def _alif_step(
    total: Tensor, state: tuple[Tensor, Tensor, Tensor], adaptation: Tensor, fixed: tuple[float, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    beta, threshold, decay, slope = fixed
    v, z, a = state
    a = decay * a + z
    v = (beta * v + total) * (1 - z.detach())
    return v, _FastSigmoid.apply(v - (threshold + adaptation * a), slope), a


class PlainALIF(nn.Module):
    """Recurrent adaptive neurons with a delayed reset to zero; an integrator where the layer is one."""

    def __init__(self, layer: Neuron, features: int, *, compiled: bool = False) -> None:
        super().__init__()
        n = layer.dynamics
        self.recurrent = nn.Parameter(torch.zeros(features, features))
        self.adaptation = nn.Parameter(torch.tensor(n.adaptation))
        self.fixed = (n.beta, n.threshold, n.adaptation_decay, n.surrogate.slope)
        self.step = _compiled_step(_alif_step) if compiled else _alif_step

    def forward(self, currents: Tensor) -> Tensor:
        matrix, adaptation = self.recurrent - self.recurrent.diag().diag(), self.adaptation.clamp(min=0)
        zero = torch.zeros_like(currents[0])
        state, spikes = (zero, zero, zero), []
        for current in currents.unbind(0):
            state = self.step(current + F.linear(state[1], matrix), state, adaptation, self.fixed)
            spikes.append(state[1])
        return torch.stack(spikes)


class SnnTorch(nn.Module):
    """`Leaky` called once a step: it has no mode for all steps that keeps the reset."""

    def __init__(self, layer: Neuron, features: int) -> None:
        del features
        super().__init__()
        import snntorch

        n = layer.dynamics
        self.cell = snntorch.Leaky(beta=n.beta, spike_grad=snntorch.surrogate.fast_sigmoid(slope=n.surrogate.slope))

    def forward(self, currents: Tensor) -> Tensor:
        membrane, spikes = self.cell.reset_mem(), []
        for current in currents.unbind(0):
            z, membrane = self.cell(current, membrane)
            spikes.append(z)
        return torch.stack(spikes)


class SpikingJelly(nn.Module):
    """`LIFNode` in multi-step mode; on a processor that is the library's fastest implementation."""

    def __init__(self, layer: Neuron, features: int) -> None:
        del features
        super().__init__()
        from spikingjelly.activation_based import functional, neuron, surrogate

        self.reset = functional.reset_net
        self.node = neuron.LIFNode(
            tau=1 / (1 - layer.dynamics.beta),
            decay_input=False,
            v_reset=None,
            surrogate_function=surrogate.ATan(),
            detach_reset=True,
            step_mode="m",
        )

    def forward(self, currents: Tensor) -> Tensor:
        self.reset(self.node)
        return self.node(currents)


class Norse(nn.Module):
    """`LIFBoxCell` lifted over time; the input is divided by 1 - beta, by which Norse multiplies it."""

    def __init__(self, layer: Neuron, features: int) -> None:
        del features
        super().__init__()
        import norse.torch as norse
        from norse.torch.functional.lif_box import LIFBoxParameters
        from norse.torch.functional.reset import reset_subtract

        n = layer.dynamics
        self.scale = 1 / (1 - n.beta)
        p = LIFBoxParameters(
            tau_mem_inv=torch.tensor((1 - n.beta) / 0.001),
            alpha=torch.tensor(n.surrogate.slope),
            reset_method=reset_subtract,
        )
        self.cell = norse.Lift(norse.LIFBoxCell(p, dt=0.001))

    def forward(self, currents: Tensor) -> Tensor:
        return self.cell(currents * self.scale)[0]


class Sinabs(nn.Module):
    """`LIF` over [B, T, ...]."""

    def __init__(self, layer: Neuron, features: int) -> None:
        del features
        super().__init__()
        import sinabs.layers
        from sinabs.activation import MembraneSubtract, SingleSpike

        self.cell = sinabs.layers.LIF(
            tau_mem=-1 / math.log(layer.dynamics.beta),
            spike_fn=SingleSpike,
            reset_fn=MembraneSubtract(),
            norm_input=False,
        )
        self.cell.tau_mem.requires_grad_(False)

    def forward(self, currents: Tensor) -> Tensor:
        self.cell.reset_states()
        return self.cell(currents.transpose(0, 1)).transpose(0, 1)


class NorseLSNN(nn.Module):
    """`LSNNRecurrentCell` lifted over time: Norse's own adaptive neuron, with a synaptic current of its own."""

    def __init__(self, features: int) -> None:
        super().__init__()
        import norse.torch as norse

        self.cell = norse.LSNNRecurrent(features, features)

    def forward(self, currents: Tensor) -> Tensor:
        return self.cell(currents)[0]


def _plain(layer: Neuron, features: int) -> nn.Module:
    del features
    return PlainLIF(layer)


def _compiled(layer: Neuron, features: int) -> nn.Module:
    del features
    return PlainLIF(layer, compiled=True)


def _adaptive(layer: Neuron, features: int) -> nn.Module:
    return PlainIntegrator(layer) if isinstance(layer.dynamics, LeakyIntegrator) else PlainALIF(layer, features)


def _adaptive_compiled(layer: Neuron, features: int) -> nn.Module:
    integrates = isinstance(layer.dynamics, LeakyIntegrator)
    return PlainIntegrator(layer) if integrates else PlainALIF(layer, features, compiled=True)


def _lsnn(layer: Neuron, features: int) -> nn.Module:
    return PlainIntegrator(layer) if isinstance(layer.dynamics, LeakyIntegrator) else NorseLSNN(features)


_SAME_STEP = "resets in the step of the spike, so it is checked against our network with that reset"
_COMPILED = "the neurons' step through torch.compile"
NEURONS = {
    "PyTorch loop": Kind(_plain, True, "", _adaptive, same_adaptive=True),
    "PyTorch loop, compiled": Kind(
        _compiled, True, _COMPILED, _adaptive_compiled, same_adaptive=True, adaptive_note=_COMPILED
    ),
    "snnTorch": Kind(SnnTorch, True, ""),
    "SpikingJelly": Kind(SpikingJelly, False, f"{_SAME_STEP}; surrogate arctangent, it has no fast sigmoid"),
    "Norse": Kind(Norse, False, _SAME_STEP, _lsnn, adaptive_note="LSNN: other equations (a synaptic current)"),
    "sinabs": Kind(Sinabs, False, f"{_SAME_STEP}; surrogate exponential, it has no fast sigmoid"),
}


class Sum(nn.Module):
    """Of two paths."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class Means(nn.Module):
    """Of each channel over its map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(3, 4))
