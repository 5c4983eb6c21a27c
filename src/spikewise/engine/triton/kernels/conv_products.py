"""Convolutions of all frames as products: the currents, and the two gradients.

Maps lie channels last. A row is one position of one frame, and rows go on from a frame to the next. Operands come in
parts (see `matmul`), so that nothing is split where it is used, once for each tap of each window.
"""

import triton
import triton.language as tl

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
        second = tl.load(at + stride, mask=mask, other=0.0)
    if PARTS > 2:
        third = tl.load(at + 2 * stride, mask=mask, other=0.0)
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


@triton.jit(do_not_specialize=["rows", "share"])  # as above
def weight_gradient_kernel(
    gradient, part, choices, inputs, in_part, out, rows, share,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    PAD: tl.constexpr, POOL: tl.constexpr, MEAN: tl.constexpr, HP: tl.constexpr, WP: tl.constexpr,
    A_PARTS: tl.constexpr, PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """out[program, channel, tap] over `share` rows: at each place, the gradient of the windows that chose it."""
    K: tl.constexpr = KERNEL * KERNEL * CI
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    start = tl.program_id(2) * KC
    first = tl.program_id(0).to(tl.int64) * share
    last = tl.minimum(first + share, rows)
    total = tl.zeros([NP, KC], tl.float32)
    for block in range(first, last, MP):
        r = block + tl.arange(0, MP)
        inside = r < last
        frame, p = r // (HP * WP), (r % (HP * WP)).to(tl.int32)
        at, mask = r[:, None] * CO + n[None, :], inside[:, None] & (n < CO)[None, :]
        g0, g1, g2 = _parts(gradient + at, part, mask, PARTS)
        choice = tl.zeros([MP, NP], tl.int32)
        if POOL > 1 and not MEAN:
            choice = tl.load(choices + at, mask=mask, other=0).to(tl.int32)
        for place in tl.static_range(POOL * POOL):
            y = ((p // WP) * POOL + place // POOL) * STRIDE - PAD
            x = ((p % WP) * POOL + place % POOL) * STRIDE - PAD
            base = frame * (H * W * CI) + (y * W + x) * CI
            a_at, a_mask = _window(base, y, x, inside, start, H, W, CI, KERNEL, PAD, KC)
            a0, a1, a2 = _parts(inputs + a_at, in_part, a_mask, A_PARTS)
            h0, h1, h2 = g0, g1, g2
            if POOL > 1 and not MEAN:
                here = choice == place
                h0, h1, h2 = tl.where(here, g0, 0.0), tl.where(here, g1, 0.0), tl.where(here, g2, 0.0)
            total = _products(total, tl.trans(h0), tl.trans(h1), tl.trans(h2), a0, a1, a2, PARTS, A_PARTS)
    if MEAN:
        total = total * (1.0 / (POOL * POOL))
    k = start + tl.arange(0, KC)
    to = out + tl.program_id(0).to(tl.int64) * (CO * K) + n[:, None] * K + k[None, :]
    tl.store(to, total, mask=(n < CO)[:, None] & (k < K)[None, :])


@triton.jit(do_not_specialize=["rows"])  # as above
def input_gradient_kernel(
    gradient, g_part, choices, weight, part, out, rows,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    PAD: tl.constexpr, POOL: tl.constexpr, MEAN: tl.constexpr, HP: tl.constexpr, WP: tl.constexpr,
    PARTS: tl.constexpr, KC: tl.constexpr, MP: tl.constexpr, NP: tl.constexpr,
):  # fmt: skip
    """out[row, input channel], rows being pixels of the input; KC output channels at a time."""
    r = tl.program_id(0).to(tl.int64) * MP + tl.arange(0, MP)
    n = tl.program_id(1) * NP + tl.arange(0, NP)
    inside = r < rows
    frame, p = r // (H * W), (r % (H * W)).to(tl.int32)
    y, x = p // W + PAD, p % W + PAD
    base = frame * (HP * WP * CO)
    total = tl.zeros([MP, NP], tl.float32)
    for tap in range(KERNEL * KERNEL):
        yy, xx = y - tap // KERNEL, x - tap % KERNEL
        row, column = yy // STRIDE, xx // STRIDE
        ok = inside & (yy >= 0) & (xx >= 0) & (yy - row * STRIDE == 0) & (xx - column * STRIDE == 0)
        py, px = row // POOL, column // POOL
        ok = ok & (py < HP) & (px < WP)
        place = (row - py * POOL) * POOL + column - px * POOL
        at = base + (py * WP + px) * CO
        for start in range(0, CO, KC):
            c = start + tl.arange(0, KC)
            mask, g_at = ok[:, None] & (c < CO)[None, :], at[:, None] + c[None, :]
            g0, g1, g2 = _parts(gradient + g_at, g_part, mask, PARTS)
            if POOL > 1 and not MEAN:
                here = tl.load(choices + g_at, mask=mask, other=0).to(tl.int32) == place[:, None]
                g0, g1, g2 = tl.where(here, g0, 0.0), tl.where(here, g1, 0.0), tl.where(here, g2, 0.0)
            w_at, w_mask = weight + (tap * CI + n[None, :]) * CO + c[:, None], (c < CO)[:, None] & (n < CI)[None, :]
            w0, w1, w2 = _parts(w_at, part, w_mask, PARTS)
            total = _products(total, g0, g1, g2, w0, w1, w2, PARTS, PARTS)
    if MEAN:
        total = total * (1.0 / (POOL * POOL))
    tl.store(out + r[:, None] * CI + n[None, :], total, mask=inside[:, None] & (n < CI)[None, :])
