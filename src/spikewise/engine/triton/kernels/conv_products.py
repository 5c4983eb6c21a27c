"""Convolutions of all frames as products: the currents, and the two gradients.

Maps lie channels last. A row is one position of one frame, and rows go on from a frame to the next. Operands come in
parts (see `matmul`), so that nothing is split where it is used, once for each tap of each window.
"""

import triton
import triton.language as tl

from spikewise.engine.triton.kernels.launch import after

__all__ = ["currents_kernel", "input_gradient_kernel", "weight_gradient_kernel"]


@triton.jit
def _products(total, a0, a1, a2, b0, b1, b2, A_PARTS: tl.constexpr, B_PARTS: tl.constexpr):
    """Add the products of those parts that together reach float32's last bit."""
    total = tl.dot(a0, b0, total, input_precision="ieee")
    if B_PARTS > 1:
        total = tl.dot(a0, b1, total, input_precision="ieee")
    if A_PARTS > 1:
        total = tl.dot(a1, b0, total, input_precision="ieee")
    if A_PARTS > 1 and B_PARTS > 1:
        total = tl.dot(a1, b1, total, input_precision="ieee")
    if B_PARTS > 2:
        total = tl.dot(a0, b2, total, input_precision="ieee")
    if A_PARTS > 2:
        total = tl.dot(a2, b0, total, input_precision="ieee")
    return total


@triton.jit
def _parts(at, stride, mask, PARTS: tl.constexpr):
    """Up to three parts of what lies at `at`; those beyond PARTS are the first again, and nobody reads them."""
    first = tl.load(at, mask=mask, other=0.0)
    second, third = first, first
    if PARTS > 1:
        second = tl.load(after(at, stride, 1), mask=mask, other=0.0)
    if PARTS > 2:
        third = tl.load(after(at, stride, 2), mask=mask, other=0.0)
    return first, second, third


@triton.jit
def _window(
    base, y, x, inside, start, H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, KERNEL: tl.constexpr,
    PAD: tl.constexpr, KC: tl.constexpr,
):  # fmt: skip
    """Places and mask of KC taps from `start` on, of windows whose first pixel is (y, x), outside the map in padding.

    Where KC divides the channels, these taps are channels of one pixel.
    """
    k = start + tl.arange(0, KC)
    if CI % KC == 0:
        pixel = start // CI
        ky, kx = pixel // KERNEL, pixel % KERNEL
        ok = inside
        if PAD > 0:
            ok = ok & (y + ky >= 0) & (y + ky < H) & (x + kx >= 0) & (x + kx < W)
        at = base[:, None] + ((ky * W + kx) * CI + (k - pixel * CI))[None, :]
        mask = ok[:, None] & (k < KERNEL * KERNEL * CI)[None, :]
    else:
        ky, rest = k // (KERNEL * CI), k % (KERNEL * CI)
        mask = inside[:, None] & (k < KERNEL * KERNEL * CI)[None, :]
        if PAD > 0:
            yy, xx = y[:, None] + ky[None, :], x[:, None] + (rest // CI)[None, :]
            mask = mask & (yy >= 0) & (yy < H) & (xx >= 0) & (xx < W)
        at = base[:, None] + (ky * (W * CI) + rest)[None, :]
    return at, mask


@triton.jit(do_not_specialize=["rows"])  # a count of 1, or divisible by 16, is no reason to compile anew
def currents_kernel(
    inputs, in_part, weight, part, bias, out, rows,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    PAD: tl.constexpr, HP: tl.constexpr, WP: tl.constexpr, BIAS: tl.constexpr, A_PARTS: tl.constexpr,
    PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """out[row, output channel] of the windows of `inputs` [parts, frame, H, W, CI]."""
    r = tl.program_id(0).to(tl.int64) * MP + tl.arange(0, MP)
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    inside = r < rows
    frame, p = r // (HP * WP), (r % (HP * WP)).to(tl.int32)
    y, x = (p // WP) * STRIDE - PAD, (p % WP) * STRIDE - PAD
    base = frame * (H * W * CI) + (y * W + x) * CI
    K: tl.constexpr = KERNEL * KERNEL * CI
    total = tl.zeros([MP, NP], tl.float32)
    for start in range(0, K, KC):
        at, mask = _window(base, y, x, inside, start, H, W, CI, KERNEL, PAD, KC)
        a0, a1, a2 = _parts(inputs + at, in_part, mask, A_PARTS)
        k = start + tl.arange(0, KC)
        w_at, w_mask = weight + k[:, None] * CO + n[None, :], (k < K)[:, None] & (n < CO)[None, :]
        b0, b1, b2 = _parts(w_at, part, w_mask, PARTS)
        total = _products(total, a0, a1, a2, b0, b1, b2, A_PARTS, PARTS)
    if BIAS:
        total += tl.load(bias + n, mask=n < CO, other=0.0)[None, :]
    tl.store(out + r[:, None] * CO + n[None, :], total, mask=inside[:, None] & (n < CO)[None, :])


@triton.jit
def _turned_products(
    total, g0, g1, g2, a0, a1, a2, here, MASK: tl.constexpr, A_PARTS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """total[tap, channel] and the products of taps [row, tap] with those gradients [row, channel] that are `here`."""
    if MASK:
        g0 = tl.where(here, g0, 0.0)
        if PARTS > 1:
            g1 = tl.where(here, g1, 0.0)
        if PARTS > 2:
            g2 = tl.where(here, g2, 0.0)
    return _products(total, tl.trans(a0), tl.trans(a1), tl.trans(a2), g0, g1, g2, A_PARTS, PARTS)


@triton.jit(do_not_specialize=["rows", "share"])  # as above
def weight_gradient_kernel(
    gradient, part, choices, inputs, in_part, out, rows, share,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    PAD: tl.constexpr, POOL: tl.constexpr, MEAN: tl.constexpr, HP: tl.constexpr, WP: tl.constexpr,
    A_PARTS: tl.constexpr, PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """out[program, place, tap, channel] over `share` rows: for each place of the pooling window, the gradient of the
    windows that chose it with the pixels that they reach."""
    SIDE: tl.constexpr = KERNEL + STRIDE * (POOL - 1)
    K: tl.constexpr = SIDE * SIDE * CI
    MASK: tl.constexpr = POOL > 1 and not MEAN
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    start = tl.program_id(2) * KC
    first = tl.program_id(0).to(tl.int64) * share
    last = tl.minimum(first + share, rows)
    t0 = tl.zeros([KC, NP], tl.float32)
    t1, t2, t3 = t0, t0, t0
    for block in range(first, last, MP):
        r = block + tl.arange(0, MP)
        inside = r < last
        frame, p = r // (HP * WP), (r % (HP * WP)).to(tl.int32)
        at, mask = r[:, None] * CO + n[None, :], inside[:, None] & (n < CO)[None, :]
        g0, g1, g2 = _parts(gradient + at, part, mask, PARTS)
        y, x = (p // WP) * (POOL * STRIDE) - PAD, (p % WP) * (POOL * STRIDE) - PAD
        base = frame * (H * W * CI) + (y * W + x) * CI
        a_at, a_mask = _window(base, y, x, inside, start, H, W, CI, SIDE, PAD, KC)
        a0, a1, a2 = _parts(inputs + a_at, in_part, a_mask, A_PARTS)
        choice = tl.zeros([MP, NP], tl.int32)
        if MASK:
            choice = tl.load(choices + at, mask=mask, other=0).to(tl.int32)
        t0 = _turned_products(t0, g0, g1, g2, a0, a1, a2, choice == 0, MASK, A_PARTS, PARTS)
        if MASK:
            t1 = _turned_products(t1, g0, g1, g2, a0, a1, a2, choice == 1, MASK, A_PARTS, PARTS)
            t2 = _turned_products(t2, g0, g1, g2, a0, a1, a2, choice == 2, MASK, A_PARTS, PARTS)
            t3 = _turned_products(t3, g0, g1, g2, a0, a1, a2, choice == 3, MASK, A_PARTS, PARTS)
    k = start + tl.arange(0, KC)
    PLACES: tl.constexpr = POOL * POOL if MASK else 1
    to = out + tl.program_id(0).to(tl.int64) * (PLACES * CO * K) + k[:, None] * CO + n[None, :]
    known = (k < K)[:, None] & (n < CO)[None, :]
    tl.store(to, t0, mask=known)
    if MASK:
        tl.store(to + K * CO, t1, mask=known)
        tl.store(to + 2 * K * CO, t2, mask=known)
        tl.store(to + 3 * K * CO, t3, mask=known)


@triton.jit(do_not_specialize=["rows"])  # as above
def input_gradient_kernel(
    gradient, g_part, choices, weight, part, out, rows,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    PAD: tl.constexpr, POOL: tl.constexpr, MEAN: tl.constexpr, HP: tl.constexpr, WP: tl.constexpr,
    PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """Gradient of the input in blocks of STEP x STEP pixels, STEP being what pooled windows are apart.

    A row is a block: all of its pixels are reached by the same few windows, whose gradients are read once. `weight` is
    [parts, window, place of the pooling, output channel, pixel of the block and input channel]; KC output channels at a
    time.
    """
    STEP: tl.constexpr = STRIDE * POOL
    REACH: tl.constexpr = (KERNEL + STRIDE * (POOL - 1) - 1) // STEP + 1
    TALL: tl.constexpr = (H + PAD + STEP - 1) // STEP
    WIDE: tl.constexpr = (W + PAD + STEP - 1) // STEP
    N: tl.constexpr = STEP * STEP * CI
    MASK: tl.constexpr = POOL > 1 and not MEAN
    PLACES: tl.constexpr = POOL * POOL
    r = tl.program_id(0).to(tl.int64) * MP + tl.arange(0, MP)
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    inside = r < rows
    frame, q = r // (TALL * WIDE), (r % (TALL * WIDE)).to(tl.int32)
    by, bx = q // WIDE, q % WIDE
    total = tl.zeros([MP, NP], tl.float32)
    for window in range(REACH * REACH):
        py, px = by - window // REACH, bx - window % REACH
        ok = inside & (py >= 0) & (px >= 0) & (py < HP) & (px < WP)
        at = frame * (HP * WP * CO) + (py * WP + px) * CO
        for start in range(0, CO, KC):
            c = start + tl.arange(0, KC)
            mask, g_at = ok[:, None] & (c < CO)[None, :], at[:, None] + c[None, :]
            g0, g1, g2 = _parts(gradient + g_at, g_part, mask, PARTS)
            choice = tl.zeros([MP, KC], tl.int32)
            if MASK:
                choice = tl.load(choices + g_at, mask=mask, other=0).to(tl.int32)
            for place in tl.static_range(PLACES):
                h0, h1, h2 = g0, g1, g2
                if MASK:
                    here = choice == place
                    h0, h1, h2 = tl.where(here, g0, 0.0), tl.where(here, g1, 0.0), tl.where(here, g2, 0.0)
                w_at = weight + ((window * PLACES + place) * CO + c[:, None]) * N + n[None, :]
                w0, w1, w2 = _parts(w_at, part, (c < CO)[:, None] & (n < N)[None, :], PARTS)
                total = _products(total, h0, h1, h2, w0, w1, w2, PARTS, PARTS)
    if MEAN:
        total = total * (1.0 / (POOL * POOL))
    y, x = by[:, None] * STEP + (n // (STEP * CI))[None, :] - PAD, bx[:, None] * STEP + (n // CI % STEP)[None, :] - PAD
    to = out + (frame * (H * W * CI))[:, None] + (y * W + x) * CI + (n % CI)[None, :]
    known = inside[:, None] & (n < N)[None, :] & (y >= 0) & (y < H) & (x >= 0) & (x < W)
    tl.store(to, total, mask=known)
