"""Convolution, pooling and neurons of all steps in one kernel.

Maps lie channels last, [T, B, H, W, C], so that the taps of a window row are neighbours in memory. A program holds some
pooled positions of one image; a convolution there is a small product of gathered spikes with the weights, once for each
place of the pooling window, and the neurons' state stays in registers from step to step.
"""

import triton
import triton.language as tl

from spikewise.engine.triton.kernels.neuron import parameter, reset

__all__ = ["walk_kernel"]


@triton.jit
def _gather(
    frame, y, x, inside, k, H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, KERNEL: tl.constexpr,
    PAD: tl.constexpr,
):  # fmt: skip
    """Taps `k` (row, column, channel) of the windows whose first pixel is (y, x), outside the map in padding."""
    ky, rest = k // (KERNEL * CI), k % (KERNEL * CI)
    mask = inside[:, None] & (k < KERNEL * KERNEL * CI)[None, :]
    if PAD > 0:
        kx = rest // CI
        yy, xx = y[:, None] + ky[None, :], x[:, None] + kx[None, :]
        mask = mask & (yy >= 0) & (yy < H) & (xx >= 0) & (xx < W)
    at = ((y * W + x) * CI)[:, None] + (ky * (W * CI) + rest)[None, :]
    return tl.load(frame + at, mask=mask, other=0.0)


@triton.jit
def _weights(weight, k, n, K: tl.constexpr, CO: tl.constexpr):
    return tl.load(weight + k[:, None] * CO + n[None, :], mask=(k < K)[:, None] & (n < CO)[None, :], other=0.0)


@triton.jit
def _product(total, a, weight, part, k, n, K: tl.constexpr, CO: tl.constexpr, PARTS: tl.constexpr):
    total = tl.dot(a, _weights(weight, k, n, K, CO), total, input_precision="ieee")
    if PARTS > 1:
        total = tl.dot(a, _weights(weight + part, k, n, K, CO), total, input_precision="ieee")
    if PARTS > 2:
        total = tl.dot(a, _weights(weight + 2 * part, k, n, K, CO), total, input_precision="ieee")
    return total


@triton.jit
def _convolved(
    frame, weight, part, y, x, inside, n, H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    KERNEL: tl.constexpr, PAD: tl.constexpr, PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    K: tl.constexpr = KERNEL * KERNEL * CI
    total = tl.zeros([MP, NP], tl.float32)
    for start in range(0, K, KC):
        k = start + tl.arange(0, KC)
        a = _gather(frame, y, x, inside, k, H, W, CI, KERNEL, PAD)
        total = _product(total, a, weight, part, k, n, K, CO, PARTS)
    return total


@triton.jit
def _four(
    frame, weight, part, y, x, inside, n, H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    SIDE: tl.constexpr, PAD: tl.constexpr, PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """Convolutions at the four places of a pooling window, of pixels gathered once.

    `weight` holds for each place the kernel at its place among the SIDE x SIDE pixels that the window reaches.
    """
    K: tl.constexpr = SIDE * SIDE * CI
    c0, c1, c2, c3 = (tl.zeros([MP, NP], tl.float32), tl.zeros([MP, NP], tl.float32),
                      tl.zeros([MP, NP], tl.float32), tl.zeros([MP, NP], tl.float32))  # fmt: skip
    for start in range(0, K, KC):
        k = start + tl.arange(0, KC)
        a = _gather(frame, y, x, inside, k, H, W, CI, SIDE, PAD)
        c0 = _product(c0, a, weight, part, k, n, K, CO, PARTS)
        c1 = _product(c1, a, weight + K * CO, part, k, n, K, CO, PARTS)
        c2 = _product(c2, a, weight + 2 * K * CO, part, k, n, K, CO, PARTS)
        c3 = _product(c3, a, weight + 3 * K * CO, part, k, n, K, CO, PARTS)
    return c0, c1, c2, c3


@triton.jit
def _larger(current, choice, other, place: tl.constexpr):
    """The larger of two currents, and whose it is; of equal ones the first."""
    better = other > current
    return tl.where(better, other, current), tl.where(better, place, choice)


@triton.jit(do_not_specialize=["steps"])  # a count of 1, or divisible by 16, is no reason to compile anew
def walk_kernel(
    inputs, weight, part, bias, spikes, membrane, choices, adaptations,
    v_before, z_before, a_before, v_after, z_after, a_after, beta, threshold, adaptation, decay, steps, batch,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    PAD: tl.constexpr, POOL: tl.constexpr, MEAN: tl.constexpr, HP: tl.constexpr, WP: tl.constexpr,
    BETA: tl.constexpr, THRESHOLD: tl.constexpr, ADAPTATION: tl.constexpr, DECAY: tl.constexpr,
    SPIKES: tl.constexpr, ADAPTIVE: tl.constexpr, RESET: tl.constexpr, DELAY: tl.constexpr, BIAS: tl.constexpr,
    STARTED: tl.constexpr, KEEP_V: tl.constexpr, KEEP_A: tl.constexpr, KEEP_CHOICE: tl.constexpr,
    PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """One program: MP pooled positions of one image, NP channels, all steps; POOL is 1 or 2."""
    image = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * MP + tl.arange(0, MP)
    n = tl.program_id(2) * NP + tl.arange(0, NP)
    inside = p < HP * WP
    mask = inside[:, None] & (n < CO)[None, :]
    top, left = (p // WP) * (POOL * STRIDE) - PAD, (p % WP) * (POOL * STRIDE) - PAD
    leak = parameter(beta, n[None, :], (n < CO)[None, :], BETA)
    theta = parameter(threshold, n[None, :], (n < CO)[None, :], THRESHOLD)
    rise = parameter(adaptation, n[None, :], (n < CO)[None, :], ADAPTATION)
    fade = parameter(decay, n[None, :], (n < CO)[None, :], DECAY)
    shift = tl.zeros([NP], tl.float32)
    if BIAS:
        shift = tl.load(bias + n, mask=n < CO, other=0.0)
    here = image * (HP * WP * CO) + p[:, None] * CO + n[None, :]
    v, z, a = tl.zeros([MP, NP], tl.float32), tl.zeros([MP, NP], tl.float32), tl.zeros([MP, NP], tl.float32)
    if STARTED:
        v = tl.load(v_before + here, mask=mask, other=0.0)
        if SPIKES:
            z = tl.load(z_before + here, mask=mask, other=0.0)
        if ADAPTIVE:
            a = tl.load(a_before + here, mask=mask, other=0.0)
    frame = inputs + image * (H * W * CI)
    step_in, step_out = tl.cast(batch, tl.int64) * (H * W * CI), tl.cast(batch, tl.int64) * (HP * WP * CO)
    at = here
    for _ in range(steps):
        choice = tl.zeros([MP, NP], tl.int32)
        if POOL == 2:
            SIDE: tl.constexpr = KERNEL + STRIDE
            c0, c1, c2, c3 = _four(
                frame, weight, part, top, left, inside, n, H, W, CI, CO, SIDE, PAD, PARTS, KC, MP, NP
            )  # fmt: skip
            if MEAN:
                current = ((c0 + c1) + c2) + c3
            else:
                current, choice = _larger(c0, choice, c1, 1)
                current, choice = _larger(current, choice, c2, 2)
                current, choice = _larger(current, choice, c3, 3)
        else:
            current = _convolved(
                frame, weight, part, top, left, inside, n, H, W, CI, CO, KERNEL, PAD, PARTS, KC, MP, NP
            )  # fmt: skip
        if MEAN:
            current = current * (1.0 / (POOL * POOL))
        if KEEP_CHOICE:
            tl.store(choices + at, choice.to(tl.uint8), mask=mask)
        v = leak * v + (current + shift[None, :])
        if DELAY:
            v = reset(v, z, theta, RESET)
        moving = theta
        if ADAPTIVE:
            a = fade * a + z
            if KEEP_A:  # before its use below: the compiler fails the other way round where memory is not aligned
                tl.store(adaptations + at, a, mask=mask)
            moving = theta + rise * a
        if KEEP_V:
            tl.store(membrane + at, v, mask=mask)
        if SPIKES:
            z = (v - moving > 0.0).to(tl.float32)
            tl.store(spikes + at, z.to(spikes.dtype.element_ty), mask=mask)
            if not DELAY:
                v = reset(v, z, theta, RESET)
        frame += step_in
        at += step_out
    tl.store(v_after + here, v, mask=mask)
    if SPIKES:
        tl.store(z_after + here, z, mask=mask)
    if ADAPTIVE:
        tl.store(a_after + here, a, mask=mask)
