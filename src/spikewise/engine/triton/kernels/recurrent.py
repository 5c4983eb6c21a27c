"""Neurons whose spikes reach each other: all steps in one kernel, forward and back.

One program holds some images with all neurons of the layer. The parts of the matrix are read once and stay with the
program, and so does the state; each step multiplies the spikes of the step before (on the way back, the gradients of
the currents of the step behind) with the matrix on the spot.
"""

import triton
import triton.language as tl

from spikewise.engine.triton.kernels.launch import after
from spikewise.engine.triton.kernels.neuron import parameter, reset, step_back

__all__ = ["recurrent_backward_kernel", "recurrent_kernel"]


@triton.jit
def _part(matrix, k, n, k_stride, n_stride, N: tl.constexpr):
    return tl.load(matrix + k[:, None] * k_stride + n[None, :] * n_stride, mask=(k < N)[:, None] & (n < N)[None, :],
                   other=0.0)  # fmt: skip


@triton.jit(do_not_specialize=["steps", "batch"])  # a count of 1, or divisible by 16, is no reason to compile anew
def recurrent_kernel(
    current, current_step, steps, batch, matrix, spikes, membrane, adaptations,
    v_before, z_before, a_before, v_after, z_after, a_after, beta, threshold, adaptation, decay,
    BETA: tl.constexpr, THRESHOLD: tl.constexpr, ADAPTATION: tl.constexpr, DECAY: tl.constexpr,
    SPIKES: tl.constexpr, ADAPTIVE: tl.constexpr, RESET: tl.constexpr, DELAY: tl.constexpr,
    STARTED: tl.constexpr, KEEP_V: tl.constexpr, KEEP_A: tl.constexpr, N: tl.constexpr, PARTS: tl.constexpr,
    MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """All steps of MP images and all N neurons; `current_step` is 0 where one current is that of every step."""
    m, n = tl.program_id(0) * MP + tl.arange(0, MP), tl.arange(0, NP)
    mask = (m < batch)[:, None] & (n < N)[None, :]
    here = m[:, None] * N + n[None, :]
    known = (n < N)[None, :]
    leak = parameter(beta, n[None, :], known, BETA)
    theta = parameter(threshold, n[None, :], known, THRESHOLD)
    rise = parameter(adaptation, n[None, :], known, ADAPTATION)
    fade = parameter(decay, n[None, :], known, DECAY)
    k = tl.arange(0, NP)
    w0 = _part(matrix, k, n, 1, N, N)
    w1, w2 = w0, w0
    if PARTS > 1:
        w1 = _part(matrix + N * N, k, n, 1, N, N)
    if PARTS > 2:
        w2 = _part(matrix + 2 * N * N, k, n, 1, N, N)
    v, z, a = tl.zeros([MP, NP], tl.float32), tl.zeros([MP, NP], tl.float32), tl.zeros([MP, NP], tl.float32)
    if STARTED:
        v = tl.load(v_before + here, mask=mask, other=0.0)
        z = tl.load(z_before + here, mask=mask, other=0.0)
        if ADAPTIVE:
            a = tl.load(a_before + here, mask=mask, other=0.0)
    i_at, z_at, v_at, a_at = current + here, spikes + here, membrane + here, adaptations + here
    total = batch * N
    coming = tl.load(i_at, mask=mask, other=0.0)
    for t in range(steps):
        arrived = coming
        i_at += current_step
        # Asked for a step ahead: it travels while this step is computed.
        coming = tl.load(i_at, mask=mask & (t + 1 < steps), other=0.0)
        fed = z.to(w0.dtype)
        back = tl.dot(fed, w0, input_precision="ieee")
        if PARTS > 1:
            back = tl.dot(fed, w1, back, input_precision="ieee")
        if PARTS > 2:
            back = tl.dot(fed, w2, back, input_precision="ieee")
        v = leak * v + (back + arrived)
        if DELAY:
            v = reset(v, z, theta, RESET)
        moving = theta
        if ADAPTIVE:
            a = fade * a + z
            if KEEP_A:
                tl.store(a_at, a, mask=mask)
                a_at += total
            moving = theta + rise * a
        if KEEP_V:
            tl.store(v_at, v, mask=mask)
            v_at += total
        z = (v - moving > 0.0).to(tl.float32)
        tl.store(z_at, z.to(spikes.dtype.element_ty), mask=mask)
        z_at += total
        if not DELAY:
            v = reset(v, z, theta, RESET)
    tl.store(v_after + here, v, mask=mask)
    tl.store(z_after + here, z, mask=mask)
    if ADAPTIVE:
        tl.store(a_after + here, a, mask=mask)


@triton.jit(do_not_specialize=["steps", "batch", "last"])  # as above
def recurrent_backward_kernel(
    spike_gradient, membrane_gradient, membrane, adaptations, matrix, out, part_stride, summed,
    d_beta, d_threshold, d_adaptation, d_decay, beta, threshold, adaptation, decay, first, second, steps, batch, last,
    BETA: tl.constexpr, THRESHOLD: tl.constexpr, ADAPTATION: tl.constexpr, DECAY: tl.constexpr,
    SPIKES: tl.constexpr, ADAPTIVE: tl.constexpr, RESET: tl.constexpr, DELAY: tl.constexpr,
    RESET_GRADIENT: tl.constexpr, THRESHOLD_GRADIENT: tl.constexpr, RELATIVE: tl.constexpr, SURROGATE: tl.constexpr,
    HAS_GZ: tl.constexpr, HAS_GV: tl.constexpr, LEARNS: tl.constexpr, N: tl.constexpr, PARTS: tl.constexpr,
    MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """From the last step, at place `last`, to the first: gradients of the currents in parts, and their sums."""
    m, n = tl.program_id(0) * MP + tl.arange(0, MP), tl.arange(0, NP)
    mask = (m < batch)[:, None] & (n < N)[None, :]
    here = m[:, None] * N + n[None, :]
    known = (n < N)[None, :]
    leak = parameter(beta, n[None, :], known, BETA)
    theta = parameter(threshold, n[None, :], known, THRESHOLD)
    rise = parameter(adaptation, n[None, :], known, ADAPTATION)
    fade = parameter(decay, n[None, :], known, DECAY)
    k = tl.arange(0, NP)
    w0 = _part(matrix, k, n, N, 1, N)
    w1, w2 = w0, w0
    if PARTS > 1:
        w1 = _part(matrix + N * N, k, n, N, 1, N)
    if PARTS > 2:
        w2 = _part(matrix + 2 * N * N, k, n, N, 1, N)
    zero = tl.zeros([MP, NP], tl.float32)
    gs, gc, ga = zero, zero, zero
    g_leak, g_theta, g_rise, g_fade, g_sum = zero, zero, zero, zero, zero
    total = batch * N
    v_at, a_at, out_at = membrane + last + here, adaptations + last + here, out + last + here
    gz_at, gv_at = spike_gradient + last + here, membrane_gradient + last + here
    v = tl.load(v_at, mask=mask, other=0.0)
    a = zero
    if ADAPTIVE:
        a = tl.load(a_at, mask=mask, other=0.0)
    for t in range(steps):
        earlier = mask & (t + 1 < steps)
        v_at -= total
        v_was = tl.load(v_at, mask=earlier, other=0.0)
        a_was = zero
        if ADAPTIVE:
            a_at -= total
            a_was = tl.load(a_at, mask=earlier, other=0.0)
        moving_was = theta + rise * a_was if ADAPTIVE else theta
        z_was = ((v_was - moving_was > 0.0) & earlier).to(tl.float32)
        s_was = v_was if DELAY else reset(v_was, z_was, theta, RESET)
        gz, gv = gc, zero
        if HAS_GZ:
            gz += tl.load(gz_at, mask=mask, other=0.0)
            gz_at -= total
        if HAS_GV:
            gv = tl.load(gv_at, mask=mask, other=0.0)
            gv_at -= total
        g, gc, ga, g_theta, g_rise, g_fade = step_back(
            v, a, z_was, a_was, gs, gz, gv, ga, g_theta, g_rise, g_fade, theta, rise, fade, 1.0, first, second,
            SPIKES, ADAPTIVE, RESET, DELAY, RESET_GRADIENT, THRESHOLD_GRADIENT, RELATIVE, SURROGATE,
        )  # fmt: skip
        g_leak += g * s_was
        gs = leak * g
        g_sum += g
        # The same parts are stored for the weights' gradients and multiplied here.
        g0 = (g.to(tl.bfloat16).to(tl.float32) if PARTS > 1 else g).to(w0.dtype)
        tl.store(out_at, g0, mask=mask)
        gc = tl.dot(g0, w0, gc, input_precision="ieee")
        if PARTS > 1:
            rest = g - g0.to(tl.float32)
            g1 = rest.to(tl.bfloat16).to(tl.float32)
            gc = tl.dot(g0, w1, gc, input_precision="ieee")
            gc = tl.dot(g1.to(w0.dtype), w0, gc, input_precision="ieee")
            tl.store(after(out_at, part_stride, 1), g1.to(w0.dtype), mask=mask)
            if PARTS > 2:
                g2 = (rest - g1).to(tl.bfloat16).to(w0.dtype)
                gc = tl.dot(g1.to(w0.dtype), w1, gc, input_precision="ieee")
                gc = tl.dot(g0, w2, gc, input_precision="ieee")
                gc = tl.dot(g2, w0, gc, input_precision="ieee")
                tl.store(after(out_at, part_stride, 2), g2, mask=mask)
        out_at -= total
        v, a = v_was, a_was
    tl.store(summed + here, g_sum, mask=mask)
    if LEARNS:
        tl.store(d_beta + here, g_leak, mask=mask)
        tl.store(d_threshold + here, g_theta, mask=mask)
        if ADAPTIVE:
            tl.store(d_adaptation + here, g_rise, mask=mask)
            tl.store(d_decay + here, g_fade, mask=mask)
