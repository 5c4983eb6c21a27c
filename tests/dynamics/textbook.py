"""The neuron equations once more, one number at a time in float64, with derivatives by hand along one direction.

Each function takes currents [T] and their direction, and returns spikes, membranes before the reset, and the
derivatives of both.
`derivative` is the surrogate's derivative; `d_beta` and `d_threshold` are the direction in the parameters.
"""

from typing import NamedTuple

import numpy as np


class Run(NamedTuple):
    z: np.ndarray
    v: np.ndarray
    dz: np.ndarray
    dv: np.ndarray


def reset(v, dv, z, dz, level, mode):
    """Membrane and its derivative after a spike z."""
    threshold, d_threshold = level
    if mode == "subtract":
        return v - threshold * z, dv - d_threshold * z - threshold * dz
    if mode == "zero":
        return v * (1 - z), dv * (1 - z) - v * dz
    return v, dv


def lif(currents, direction, neuron, derivative, *, d_beta=0.0, d_threshold=0.0):
    return adaptive(
        currents, direction, neuron, derivative, d_beta=d_beta, d_threshold=d_threshold, adaptation=0.0, decay=0.0
    )


def adaptive(
    currents, direction, neuron, derivative, *, d_beta=0.0, d_threshold=0.0, adaptation, decay, moving_gradient=True
):
    beta, threshold = neuron.values()["beta"], neuron.threshold
    held, d_held, z, dz, a, da = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    out = []
    for current, d_current in zip(currents, direction, strict=True):
        a, da = decay * a + z, decay * da + dz
        v, dv = beta * held + current, beta * d_held + d_beta * held + d_current
        reset_dz = dz if neuron.reset_gradient else 0.0
        if neuron.reset_delay:
            v, dv = reset(v, dv, z, reset_dz, (threshold, d_threshold), neuron.reset)
        level, d_level = threshold + adaptation * a, (d_threshold + adaptation * da) * moving_gradient
        z = 1.0 if v > level else 0.0
        dz = derivative(v - level) * (dv - d_level)
        out.append((z, v, dz, dv))
        held, d_held = v, dv
        if not neuron.reset_delay:
            reset_dz = dz if neuron.reset_gradient else 0.0
            held, d_held = reset(v, dv, z, reset_dz, (threshold, d_threshold), neuron.reset)
    return Run(*np.array(out).T)


def izhikevich(currents, n):
    v, u, z = n.v_rest, 0.0, 0.0
    out = []
    for current in currents:
        slope = (n.k * (v - n.v_rest) * (v - n.v_threshold) - u + n.gain * current) / n.capacitance
        old, v = v, (n.c if z else v + n.dt * slope)
        u = u + n.dt * n.a * (n.b * (old - n.v_rest) - u) + (n.d if z else 0.0)
        z = 1.0 if v > n.v_peak else 0.0
        out.append((z, v, u))
    return np.array(out).T


def integrator(currents, beta):
    v, out = 0.0, []
    for current in currents:
        v = beta * v + current
        out.append(v)
    return np.array(out)
