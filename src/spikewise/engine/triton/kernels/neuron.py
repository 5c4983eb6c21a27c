"""Neurons over all steps: the equations of `spikewise.dynamics`, forward, and their gradients.

One lane is one neuron of one image. It walks the steps with its state in registers; nothing between two steps reaches
memory but what is kept for the way back. Multiplications and additions are not fused (`EXACT`), so that they round as
the reference's do.

The third variable of a neuron, `a`, is its adaptation (ADAPTIVE, an ALIF), its synaptic current (SYNAPTIC, a CubaLIF)
or the steps that have passed (CLOCKED, a TwoPhaseIF); `decay` is that of the first two, and for the third `adaptation`
and `decay` are the steps before it listens and before it fires.
"""

import triton
import triton.language as tl

from spikewise.engine.triton.kernels.launch import after, lanes

__all__ = [
    "backward_kernel",
    "forward_kernel",
    "normalisation",
    "parameter",
    "reset",
    "step_back",
    "store_parts",
    "surrogate_derivative",
    "within",
]


@triton.jit
def parameter(value, channel, mask, KIND: tl.constexpr):
    """A neuron parameter for each lane: a number (0), one stored value (1), or one a channel (2)."""
    if KIND == 0:
        found = value
    elif KIND == 1:
        found = tl.load(value)
    else:
        found = tl.load(value + channel, mask=mask, other=1.0)
    return found


@triton.jit
def normalisation(facts, channel, channels, mask):
    """Factor, shift and mean of each lane's channel, as `kernels/norm.py` left them."""
    factor = tl.load(facts + channel, mask=mask, other=0.0)
    shift = tl.load(facts + channels + channel, mask=mask, other=0.0)
    return factor, shift, tl.load(facts + 2 * channels + channel, mask=mask, other=0.0)


@triton.jit
def within(passed, start, length):
    """1 in the `length` steps after `start` others, else 0."""
    return ((passed >= start) & (passed < start + length)).to(tl.float32)


@triton.jit
def reset(v, z, threshold, RESET: tl.constexpr):
    """The membrane after spikes: subtract (0), to zero (1), none (2)."""
    if RESET == 0:
        after = v - threshold * z
    elif RESET == 1:
        after = v * (1.0 - z)
    else:
        after = v
    return after


@triton.jit
def surrogate_derivative(x, first, second, SURROGATE: tl.constexpr):
    """What stands for dz/dx; the numbers are those of `population.surrogate_facts`."""
    if SURROGATE == 0:
        d = 1.0 + first * tl.abs(x)
        slope = 1.0 / (d * d)
    elif SURROGATE == 1:
        y = second * x
        slope = first / (1.0 + y * y)
    elif SURROGATE == 2:
        slope = first * tl.maximum(1.0 - tl.abs(x) / second, 0.0)
    elif SURROGATE == 3:
        slope = tl.where(tl.abs(x) < first, 0.5 / first, 0.0)
    elif SURROGATE == 4:
        e = tl.exp(-first * tl.abs(x))  # s (1 - s) is the same on both sides, and this side cannot overflow
        slope = first * e / ((1.0 + e) * (1.0 + e))
    else:
        slope = tl.full(x.shape, 1.0, tl.float32)
    return slope


@triton.jit(do_not_specialize=["steps"])  # a count of 1, or divisible by 16, is no reason to compile anew
def forward_kernel(
    current, current_step, facts, steps, spikes, membrane, adaptations,
    v_before, z_before, a_before, v_after, z_after, a_after,
    beta, threshold, adaptation, decay, phase, features, plane, total,
    BETA: tl.constexpr, THRESHOLD: tl.constexpr, ADAPTATION: tl.constexpr, DECAY: tl.constexpr,
    SPIKES: tl.constexpr, ADAPTIVE: tl.constexpr, SYNAPTIC: tl.constexpr, CLOCKED: tl.constexpr, RESET: tl.constexpr,
    DELAY: tl.constexpr, STARTED: tl.constexpr, KEEP_V: tl.constexpr, KEEP_A: tl.constexpr, AFFINE: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """All steps of SIZE lanes; `current_step` is 0 where one current is that of every step.

    AFFINE: the currents are normalised by what `facts` holds for their channel (see `kernels/norm.py`).
    """
    j = lanes(total, SIZE)
    inside = j < total
    channel = (j % features) // plane
    leak = parameter(beta, channel, inside, BETA)
    theta = parameter(threshold, channel, inside, THRESHOLD)
    rise = parameter(adaptation, channel, inside, ADAPTATION)
    fade = parameter(decay, channel, inside, DECAY)
    v, z, a = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    if STARTED:
        v = tl.load(v_before + j, mask=inside, other=0.0)
        if SPIKES:
            z = tl.load(z_before + j, mask=inside, other=0.0)
        if ADAPTIVE or SYNAPTIC or CLOCKED:
            a = tl.load(a_before + j, mask=inside, other=0.0)
    i_at, z_at, v_at, a_at = current + j, spikes + j, membrane + j, adaptations + j
    factor, shift, mean = v, v, v
    if AFFINE:
        factor, shift, mean = normalisation(facts, channel, features // plane, inside)
    for _ in range(steps):
        arrived = tl.load(i_at, mask=inside, other=0.0)
        if AFFINE:
            arrived = (arrived - mean) * factor + shift
        if SYNAPTIC:
            a = fade * a + arrived
            if KEEP_A:
                tl.store(a_at, a, mask=inside)
                a_at += total
            arrived = a
        if CLOCKED:
            arrived = arrived * within(a, rise, phase)
        v = leak * v + arrived
        if DELAY:
            v = reset(v, z, theta, RESET)
        moving = theta
        if ADAPTIVE:
            a = fade * a + z
            if KEEP_A:  # before its use below: the compiler fails the other way round where memory is not aligned
                tl.store(a_at, a, mask=inside)
                a_at += total
            moving = theta + rise * a
        if KEEP_V:
            tl.store(v_at, v, mask=inside)
            v_at += total
        if SPIKES:
            z = (v - moving > 0.0).to(tl.float32)
            if CLOCKED:
                z = z * within(a, fade, phase)
                a += 1.0
            tl.store(z_at, z.to(spikes.dtype.element_ty), mask=inside)
            z_at += total
            if not DELAY:
                v = reset(v, z, theta, RESET)
        i_at += current_step
    tl.store(v_after + j, v, mask=inside)
    if SPIKES:
        tl.store(z_after + j, z, mask=inside)
    if ADAPTIVE or SYNAPTIC or CLOCKED:
        tl.store(a_after + j, a, mask=inside)


@triton.jit
def step_back(
    v, a, z_was, a_was, gs, gz, gv, ga, g_theta, g_rise, g_fade, theta, rise, fade, fires, first, second,
    SPIKES: tl.constexpr, ADAPTIVE: tl.constexpr, RESET: tl.constexpr, DELAY: tl.constexpr,
    RESET_GRADIENT: tl.constexpr, THRESHOLD_GRADIENT: tl.constexpr, RELATIVE: tl.constexpr, SURROGATE: tl.constexpr,
):  # fmt: skip
    """One step of the way back: from gradients of the state behind it, of its spikes and of its membrane.

    `fires` is 1, or 0 where the neuron could not spike at this step.

    Gives the gradients of the membrane before the spike (which is the current's), of the spikes and the adaptation of
    the step before; and the parameters' sums, grown by this step.
    """
    g = gs
    gc = tl.zeros_like(v)
    if SPIKES:
        moving = theta + rise * a if ADAPTIVE else theta
        x = v - moving
        z = (x > 0.0).to(tl.float32) * fires
        if not DELAY:
            if RESET == 0:
                g_theta -= gs * z
                if RESET_GRADIENT:
                    gz -= theta * gs
            if RESET == 1:
                g = gs * (1.0 - z)
                if RESET_GRADIENT:
                    gz -= v * gs
        if RELATIVE:
            x = x / (moving + 1e-5)
        gx = gz * surrogate_derivative(x, first, second, SURROGATE) * fires
        if RELATIVE:
            gx = gx / (moving + 1e-5)
        g += gx
        if ADAPTIVE:
            if THRESHOLD_GRADIENT:
                g_theta -= gx
                g_rise -= gx * a
                ga -= gx * rise
            g_fade += ga * a_was
            gc = ga
            ga = fade * ga
        else:
            g_theta -= gx
    g += gv
    if SPIKES and DELAY:
        if RESET == 0:
            g_theta -= g * z_was
            if RESET_GRADIENT:
                gc -= theta * g
        if RESET == 1:
            g = g * (1.0 - z_was)
    return g, gc, ga, g_theta, g_rise, g_fade


@triton.jit
def store_parts(at, value, stride, mask, PARTS: tl.constexpr):
    """A float32 value whole (0), or as so many bfloat16 parts, `stride` from each other, that add up to it."""
    if PARTS == 0:
        tl.store(at, value, mask=mask)
    else:
        rest = value
        for part in tl.static_range(PARTS):
            high = rest.to(tl.bfloat16).to(tl.float32) if PARTS > 1 else rest
            tl.store(after(at, stride, part), high.to(at.dtype.element_ty), mask=mask)
            rest = rest - high


@triton.jit(do_not_specialize=["steps", "last", "reach"])  # as above
def backward_kernel(
    spike_gradient, membrane_gradient, membrane, adaptations, out, part_stride, summed,
    v_before, z_before, a_before, v_carry, z_carry, a_carry, d_beta, d_threshold, d_adaptation, d_decay,
    beta, threshold, adaptation, decay, initial, phase, first, second, features, plane, total, steps, last, reach,
    BETA: tl.constexpr, THRESHOLD: tl.constexpr, ADAPTATION: tl.constexpr, DECAY: tl.constexpr,
    SPIKES: tl.constexpr, ADAPTIVE: tl.constexpr, SYNAPTIC: tl.constexpr, CLOCKED: tl.constexpr, RESET: tl.constexpr,
    DELAY: tl.constexpr, RESET_GRADIENT: tl.constexpr, THRESHOLD_GRADIENT: tl.constexpr, RELATIVE: tl.constexpr,
    SURROGATE: tl.constexpr, STARTED: tl.constexpr, HAS_GZ: tl.constexpr, HAS_GV: tl.constexpr,
    CARRY: tl.constexpr, LEARNS: tl.constexpr, SUM: tl.constexpr, PARTS: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """From the last step, at place `last`, to the first; `reach` of these steps have one before them in memory.

    A membrane is read before the step after it is written, so that `out` may be the same memory. With CARRY the
    gradients of the state come from another launch and go to the next. With STARTED the first membranes were `initial`
    times the thresholds, and have a part in their gradient.
    """
    j = lanes(total, SIZE)
    inside = j < total
    channel = (j % features) // plane
    leak = parameter(beta, channel, inside, BETA)
    theta = parameter(threshold, channel, inside, THRESHOLD)
    rise = parameter(adaptation, channel, inside, ADAPTATION)
    fade = parameter(decay, channel, inside, DECAY)
    zero = tl.zeros([SIZE], tl.float32)
    # Gradients of what the step before left: its state's voltage, its spikes, its adaptation.
    gs, gc, ga = zero, zero, zero
    if CARRY:
        gs = tl.load(v_carry + j, mask=inside, other=0.0)
        gc = tl.load(z_carry + j, mask=inside, other=0.0)
        if ADAPTIVE or SYNAPTIC:
            ga = tl.load(a_carry + j, mask=inside, other=0.0)
    g_leak, g_theta, g_rise, g_fade, g_sum = zero, zero, zero, zero, zero
    v_at, a_at, out_at = membrane + last + j, adaptations + last + j, out + last + j
    gz_at, gv_at = spike_gradient + last + j, membrane_gradient + last + j
    v = tl.load(v_at, mask=inside, other=0.0)
    a = zero
    if ADAPTIVE or SYNAPTIC:
        a = tl.load(a_at, mask=inside, other=0.0)
    left = tl.zeros([SIZE], tl.int32) + reach
    for back in range(steps):
        earlier = inside & (left > back)
        # What the step before left behind.
        v_was, z_was, a_was = zero, zero, zero
        v_at -= total
        v_was = tl.load(v_at, mask=earlier, other=0.0)
        if ADAPTIVE or SYNAPTIC:
            a_at -= total
            a_was = tl.load(a_at, mask=earlier, other=0.0)
        if SPIKES:
            moving_was = theta + rise * a_was if ADAPTIVE else theta
            z_was = ((v_was - moving_was > 0.0) & earlier).to(tl.float32)
        fires = 1.0
        if CLOCKED:
            passed = (left - back).to(tl.float32)
            fires = within(passed, fade, phase)
            z_was = z_was * within(passed - 1.0, fade, phase)
        s_was = v_was
        if SPIKES and not DELAY:
            s_was = reset(v_was, z_was, theta, RESET)
        if STARTED:
            s_was = tl.where(earlier, s_was, tl.load(v_before + j, mask=inside, other=0.0))
            if SPIKES:
                z_was = tl.where(earlier, z_was, tl.load(z_before + j, mask=inside, other=0.0))
            if ADAPTIVE or SYNAPTIC:
                a_was = tl.where(earlier, a_was, tl.load(a_before + j, mask=inside, other=0.0))
        gz, gv = zero, zero
        if HAS_GZ:
            gz = tl.load(gz_at, mask=inside, other=0.0)
            gz_at -= total
        if HAS_GV:
            gv = tl.load(gv_at, mask=inside, other=0.0)
            gv_at -= total
        g, gc, ga, g_theta, g_rise, g_fade = step_back(
            v, a, z_was, a_was, gs, gc + gz, gv, ga, g_theta, g_rise, g_fade, theta, rise, fade, fires, first, second,
            SPIKES, ADAPTIVE, RESET, DELAY, RESET_GRADIENT, THRESHOLD_GRADIENT, RELATIVE, SURROGATE,
        )  # fmt: skip
        g_leak += g * s_was
        gs = leak * g
        if SYNAPTIC:  # the current reaches the membrane at once, and what is left of it at the next step
            g += ga
            g_fade += g * a_was
            ga = fade * g
        if CLOCKED:
            g = g * within(passed, rise, phase)
        g_sum += g
        store_parts(out_at, g, part_stride, inside, PARTS)
        out_at -= total
        v, a = v_was, a_was
    if STARTED:
        g_theta += initial * gs
    if CARRY:
        tl.store(v_carry + j, gs, mask=inside)
        tl.store(z_carry + j, gc, mask=inside)
        if ADAPTIVE or SYNAPTIC:
            tl.store(a_carry + j, ga, mask=inside)
    if SUM:
        tl.store(summed + j, g_sum, mask=inside)
    if LEARNS:
        tl.store(d_beta + j, g_leak, mask=inside)
        if SPIKES:
            tl.store(d_threshold + j, g_theta, mask=inside)
        if ADAPTIVE:
            tl.store(d_adaptation + j, g_rise, mask=inside)
        if ADAPTIVE or SYNAPTIC:
            tl.store(d_decay + j, g_fade, mask=inside)
