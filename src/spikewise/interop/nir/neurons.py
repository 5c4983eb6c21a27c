"""Neurons as NIR nodes, in the neutral form or in that of a tool."""

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from spikewise.dynamics import IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.errors import ConfigError
from spikewise.graph import NamedLayer, Neuron
from spikewise.interop.nir.tools import NEVER, Tool

if TYPE_CHECKING:
    import nir

__all__ = ["neuron_node"]

_NO_LEAK: Final = 2.0**60
"""Time constant in steps of a neuron without leak among others: 1 - 2^-60 is 1 in float64."""
Values = Float64[np.ndarray, "*F"]


def neuron_node(package: ModuleType, at: NamedLayer, values: Mapping[str, Tensor | float], tool: Tool) -> "nir.NIRNode":
    """The node of a layer of neurons.

    Args:
        values: parameters of their equations, numbers or tensors that broadcast over the layer.
    Raises:
        ConfigError: NIR, or the tool, has no such neuron.
    """
    assert isinstance(at.layer, Neuron)
    kind, full = at.layer.dynamics, {key: _full(value, at.output) for key, value in values.items()}
    _check_uniform(at, full, tool)
    match kind:
        case LIF() | IF():
            return _lif(package, at, full, tool)
        case CubaLIF():
            return _cuba_lif(package, at, full, tool)
        case LeakyIntegrator():
            return _integrator(package, at, full["beta"], tool)
        case _:
            raise ConfigError(
                f"Layer {at.name} has {kind.label} neurons, and NIR has LIF, IF, CubaLIF and integrators alone. Train "
                "a network with those (--set model.cell.kind=lif), or export to onnx or c."
            )


def _lif(package: ModuleType, at: NamedLayer, values: dict[str, Values], tool: Tool) -> "nir.NIRNode":
    beta, threshold = values["beta"], _threshold(values, tool)
    zeros = np.zeros(at.output)
    if (beta == 1).all() and "IF" not in tool.unknown:
        r = np.full(at.output, 1.0 if tool.integrate == "r" else 1 / tool.dt)
        return package.IF(r=r, v_threshold=threshold, v_reset=zeros)
    tau, r, gain = _membrane(at, beta, tool)
    note = {"gain": gain} if tool.unit_r else {}
    return package.LIF(tau=tau, r=r, v_leak=zeros, v_threshold=threshold * gain, v_reset=zeros, metadata=note)


def _threshold(values: dict[str, Values], tool: Tool) -> Values:
    """The threshold that a tool needs to spike above ours: one that spikes at its threshold gets the next number."""
    own = values["threshold"]
    if not tool.at_least:
        return own
    return np.nextafter(own.astype(np.float32), np.float32(np.inf)).astype(np.float64)


def _integrator(package: ModuleType, at: NamedLayer, beta: Values, tool: Tool) -> "nir.NIRNode":
    zeros = np.zeros(at.output)
    if (beta == 1).all() and "I" not in tool.unknown:
        return package.I(r=np.ones(at.output))
    tau, r, gain = _membrane(at, beta, tool)
    note: dict[str, Any] = {"integrator": 1, **({"gain": gain} if tool.unit_r else {})}
    if "LI" not in tool.unknown:
        return package.LI(tau=tau, r=r, v_leak=zeros, metadata=note)
    return package.LIF(tau=tau, r=r, v_leak=zeros, v_threshold=np.full(at.output, NEVER), v_reset=zeros, metadata=note)


def _cuba_lif(package: ModuleType, at: NamedLayer, values: dict[str, Values], tool: Tool) -> "nir.NIRNode":
    if "CubaLIF" in tool.unknown:
        raise ConfigError(
            f"Layer {at.name}: {tool.title} reads no CubaLIF neurons from NIR. Leave --for out, or train LIF neurons "
            "(--set model.cell.kind=lif)."
        )
    synapse, membrane = (_time_constant(values[key], tool.dt) for key in ("alpha", "beta"))
    zeros = np.zeros(at.output)
    return package.CubaLIF(
        tau_syn=synapse,
        tau_mem=membrane,
        r=membrane / tool.dt,
        w_in=synapse / tool.dt,
        v_leak=zeros,
        v_threshold=_threshold(values, tool),
        v_reset=zeros,
    )


def _membrane(at: NamedLayer, beta: Values, tool: Tool) -> tuple[Values, Values, Values]:
    """tau and r of a decay, and what a step makes of an input of 1."""
    one = np.ones(at.output)
    if tool.decay == "exponential":
        if not ((beta > 0) & (beta < 1)).all():
            raise ConfigError(
                f"Layer {at.name} has a decay of 0 (or of 1 beside others), for which {tool.title} has no time "
                "constant. Leave --for out, or train with another beta."
            )
        return -1 / np.log(beta) * tool.dt, one, one
    tau = _time_constant(beta, tool.dt)
    if tool.unit_r:
        return tau, one, 1 - beta if (beta < 1).all() else _refuse_mixed(at, tool)
    return tau, beta if tool.gain == "1" else tau / tool.dt, one


def _time_constant(decay: Values, dt: float) -> Values:
    with np.errstate(divide="ignore"):
        return np.where(decay == 1, dt * _NO_LEAK, dt / (1 - decay))


def _refuse_mixed(at: NamedLayer, tool: Tool) -> Values:
    raise ConfigError(
        f"Layer {at.name} has neurons without leak (beta = 1) beside others, which {tool.title} cannot read in one "
        "layer. Leave --for out."
    )


def _check_uniform(at: NamedLayer, values: dict[str, Values], tool: Tool) -> None:
    for key in tool.uniform:
        if key in values and np.ptp(values[key]):
            raise ConfigError(
                f"Layer {at.name} has a {key} of its own for each channel, and {tool.title} reads one for all. Leave "
                f'--for out, or train with one (model.cell.per = "layer").'
            )
    if tool.name == "spikingjelly" and any((values[key] == 0).any() for key in ("beta",) if key in values):
        raise ConfigError(f"Layer {at.name} has beta = 0, which {tool.title} does not read. Leave --for out.")


def _full(value: Tensor | float, shape: tuple[int, ...]) -> Values:
    """One number for each neuron, in float64."""
    array = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else np.float64(np.float32(value))
    return np.broadcast_to(array, shape).copy()
