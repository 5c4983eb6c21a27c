"""Izhikevich neurons over all steps, forward and back (`dynamics.izhikevich_step`): a lane is a neuron of an image.

On the way back nothing but the membrane is read: it tells the spikes, and the recovery current enters linearly.
"""

import triton
import triton.language as tl

from spikewise.engine.triton.kernels.launch import lanes
from spikewise.engine.triton.kernels.neuron import normalisation, parameter, store_parts, surrogate_derivative

__all__ = ["izhikevich_backward_kernel", "izhikevich_kernel"]


@triton.jit(do_not_specialize=["steps"])  # a count of 1, or divisible by 16, is no reason to compile anew
def izhikevich_kernel(
    current, current_step, facts, steps, spikes, membrane, v_before, z_before, u_before, v_after, z_after, u_after,
    gain, rate, k, recovery, b, c, d, rest, threshold, peak, ceiling, features, plane, total,
    GAIN: tl.constexpr, STARTED: tl.constexpr, KEEP_V: tl.constexpr, AFFINE: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """As `kernels.neuron.forward_kernel`; `rate` is dt / C, `recovery` is dt a."""
    j = lanes(total, SIZE)
    inside = j < total
    channel = (j % features) // plane
    strength = parameter(gain, channel, inside, GAIN)
    z, u = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    v = z + rest
    if STARTED:
        v = tl.load(v_before + j, mask=inside, other=0.0)
        z = tl.load(z_before + j, mask=inside, other=0.0)
        u = tl.load(u_before + j, mask=inside, other=0.0)
    i_at, z_at, v_at = current + j, spikes + j, membrane + j
    factor, shift, mean = z, z, z
    if AFFINE:
        factor, shift, mean = normalisation(facts, channel, features // plane, inside)
    for _ in range(steps):
        arrived = tl.load(i_at, mask=inside, other=0.0)
        if AFFINE:
            arrived = (arrived - mean) * factor + shift
        drift = k * (v - rest) * (v - threshold) - u + strength * arrived
        moved = tl.where(z > 0.0, c, v + rate * drift)
        u = u + recovery * (b * (v - rest) - u) + d * z
        v = tl.where(moved > ceiling, ceiling, moved)  # what is no number stays none
        if KEEP_V:
            tl.store(v_at, v, mask=inside)
            v_at += total
        z = (v - peak > 0.0).to(tl.float32)
        tl.store(z_at, z.to(spikes.dtype.element_ty), mask=inside)
        z_at += total
        i_at += current_step
    tl.store(v_after + j, v, mask=inside)
    tl.store(z_after + j, z, mask=inside)
    tl.store(u_after + j, u, mask=inside)


@triton.jit(do_not_specialize=["steps", "last", "reach"])  # as above
def izhikevich_backward_kernel(
    spike_gradient, membrane_gradient, membrane, out, part_stride, summed, v_carry, z_carry, u_carry,
    gain, rate, k, recovery, b, rest, threshold, peak, ceiling, first, second,
    features, plane, total, steps, last, reach,
    GAIN: tl.constexpr, SURROGATE: tl.constexpr, HAS_GZ: tl.constexpr, HAS_GV: tl.constexpr, CARRY: tl.constexpr,
    SUM: tl.constexpr, PARTS: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """As `kernels.neuron.backward_kernel`; a spike has no gradient but that of its own step."""
    j = lanes(total, SIZE)
    inside = j < total
    strength = parameter(gain, (j % features) // plane, inside, GAIN)
    zero = tl.zeros([SIZE], tl.float32)
    gs, gc, gu, g_sum = zero, zero, zero, zero
    if CARRY:
        gs = tl.load(v_carry + j, mask=inside, other=0.0)
        gc = tl.load(z_carry + j, mask=inside, other=0.0)
        gu = tl.load(u_carry + j, mask=inside, other=0.0)
    v_at, out_at = membrane + last + j, out + last + j
    gz_at, gv_at = spike_gradient + last + j, membrane_gradient + last + j
    v = tl.load(v_at, mask=inside, other=0.0)
    left = tl.zeros([SIZE], tl.int32) + reach
    for back in range(steps):
        earlier = inside & (left > back)
        v_at -= total
        v_was = tl.where(earlier, tl.load(v_at, mask=earlier, other=0.0), rest)
        gz = gc
        if HAS_GZ:
            gz += tl.load(gz_at, mask=inside, other=0.0)
            gz_at -= total
        g = gs + gz * surrogate_derivative(v - peak, first, second, SURROGATE)
        if HAS_GV:
            g += tl.load(gv_at, mask=inside, other=0.0)
            gv_at -= total
        # Nothing comes through a membrane that was cut, or set after a spike.
        g = tl.where((v < ceiling) & ~((v_was > peak) & earlier), g, 0.0)
        drift = rate * g
        gs = g + drift * (k * ((v_was - rest) + (v_was - threshold))) + gu * (recovery * b)
        gu = gu - recovery * gu - drift
        g = drift * strength
        g_sum += g
        store_parts(out_at, g, part_stride, inside, PARTS)
        out_at -= total
        v, gc = v_was, zero
    if CARRY:
        tl.store(v_carry + j, gs, mask=inside)
        tl.store(z_carry + j, gc, mask=inside)
        tl.store(u_carry + j, gu, mask=inside)
    if SUM:
        tl.store(summed + j, g_sum, mask=inside)
