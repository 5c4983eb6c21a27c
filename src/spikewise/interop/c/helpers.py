"""C functions that layers share; a file gets those that it calls. `$` stands for what floats and integers do apart."""

from typing import Final

from spikewise.interop.runtime import Numbers

__all__ = ["HELPERS", "helper"]

_WINDOW = """\
/* A window that slides over a map. The channels of a place lie side by side. */
typedef struct {
    int32_t channels, height, width;
    int32_t channels_out, height_out, width_out;
    int32_t rows, columns, step_down, step_right, pad_down, pad_right, gap_down, gap_right, groups;
} window;
"""

_DECAY = """\
/* What is left of x: its share of decay / 32768, rounded towards zero. */
static value decayed(value x, int32_t decay)
{
    return (value)((int64_t)x * decay / 32768);
}
"""

_ADD_ROWS = """\
/* Each active input adds its row of weights. */
static void add_rows(const weight *rows, const index_t *at, uint32_t events, uint32_t outputs, value *y)
{
    for (uint32_t k = 0; k < events; k++) {
        const weight *row = rows + (uint32_t)at[k] * outputs;
        for (uint32_t i = 0; i < outputs; i++) {
            y[i] += row[i];
        }
    }
}
"""

_ADD_SCALED_ROWS = """\
/* Each input that is not zero adds its row of weights, x times. */
static void add_scaled_rows(const weight *rows, const value *x, uint32_t inputs, uint32_t outputs, value *y$GIVEN)
{
    for (uint32_t k = 0; k < inputs; k++) {
        const value a = x[k]$BEFORE;
        const weight *row = rows + k * outputs;
        if (a != 0) {
            for (uint32_t i = 0; i < outputs; i++) {
                y[i] += a * row[i];
            }
        }
    }
}
"""

_ADD_GAINED_ROWS = """\
/* The same where each output has a multiple of its own. */
static void add_gained_rows(const weight *rows, const index_t *at, uint32_t events, uint32_t outputs,
                            const int32_t *gain, value *y)
{
    for (uint32_t k = 0; k < events; k++) {
        const weight *row = rows + (uint32_t)at[k] * outputs;
        for (uint32_t i = 0; i < outputs; i++) {
            y[i] += row[i] * gain[i];
        }
    }
}
"""

_PLACES = """\
    const int32_t channel = (int32_t)at % g->channels, place = (int32_t)at / g->channels;
    const int32_t bottom = place / g->width + g->pad_down, side = place % g->width + g->pad_right;
    const int32_t many = g->channels_out / g->groups;
    const int32_t first = channel / (g->channels / g->groups) * many;
    for (int32_t r = 0; r < g->rows; r++) {
        const int32_t down = bottom - r * g->gap_down;
        if (down < 0 || down % g->step_down != 0 || down / g->step_down >= g->height_out) {
            continue;
        }
        for (int32_t q = 0; q < g->columns; q++) {
            const int32_t right = side - q * g->gap_right;
            value *out;
            if (right < 0 || right % g->step_right != 0 || right / g->step_right >= g->width_out) {
                continue;
            }
            out = y + (down / g->step_down * g->width_out + right / g->step_right) * g->channels_out + first;
"""

_SPREAD = """\
/* One active input of a convolution adds its weights wherever the kernel covers it$SO. */
static void $NAME(const window *g, const weight *kernels, uint32_t at$GIVEN, value *y)
{
$PLACES            for (int32_t i = 0; i < many; i++) {
                out[i] += $TERM;
            }
        }
    }
}
"""

_POOL_EVENT = """\
/* One spike counts in every window that covers it. */
static void pool_event(const window *g, uint32_t at, value *y)
{
$PLACES            *out += 1;
        }
    }
}
"""

_POOL = """\
/* The sum or the largest of each window. */
static void pool(const window *g, const value *x, int largest, value *y)
{
    for (int32_t p = 0; p < g->height_out * g->width_out; p++) {
        const int32_t top = p / g->width_out * g->step_down - g->pad_down;
        const int32_t left = p % g->width_out * g->step_right - g->pad_right;
        for (int32_t c = 0; c < g->channels; c++) {
            value found = 0;
            int any = 0;
            for (int32_t r = top < 0 ? 0 : top; r < top + g->rows && r < g->height; r++) {
                for (int32_t q = left < 0 ? 0 : left; q < left + g->columns && q < g->width; q++) {
                    const value here = x[(r * g->width + q) * g->channels + c];
                    if (!largest) {
                        found += here;
                    } else if (!any || here > found) {
                        found = here;
                    }
                    any = 1;
                }
            }
            y[p * g->channels + c] = found;
        }
    }
}
"""

_LIST = """\
/* List the units that are not zero. */
static uint32_t listed(const value *x, uint32_t units, index_t *at)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < units; i++) {
        if (x[i] != 0) {
            at[n++] = (index_t)i;
        }
    }
    return n;
}
"""

_CLEAR = """\
static void clear(value *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = 0;
    }
}
"""

_SET = """\
/* Spikes as numbers. */
static void set_spikes(const index_t *at, uint32_t events, uint32_t units, value *y)
{
    clear(y, units);
    for (uint32_t k = 0; k < events; k++) {
        y[at[k]] = 1;
    }
}
"""

_PHILOX = """\
/* Sixteen random bytes: Philox4x32-10 (Salmon et al., SC 2011) of a block, a step and the key of the network. */
static void philox(uint32_t block, uint32_t step, uint32_t words[4])
{
    uint32_t c0 = block, c1 = step, c2 = 0, c3 = 0, k0 = KEY_LOW, k1 = KEY_HIGH;
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}
"""

HELPERS: Final = {
    "clear": _CLEAR,
    "window": _WINDOW,
    "decayed": _DECAY,
    "add_rows": _ADD_ROWS,
    "add_scaled_rows": _ADD_SCALED_ROWS,
    "add_gained_rows": _ADD_GAINED_ROWS,
    "spread": _SPREAD,
    "spread_scaled": _SPREAD,
    "pool_event": _POOL_EVENT,
    "pool": _POOL,
    "listed": _LIST,
    "set_spikes": _SET,
    "philox": _PHILOX,
}
"""By name, in an order in which each comes after what it uses."""


def helper(name: str, numbers: Numbers) -> str:
    """Text of one."""
    text = HELPERS[name].replace("$PLACES", _PLACES)
    whole = numbers == "int8"
    if name == "add_scaled_rows":
        return text.replace("$GIVEN", ", value before" if whole else "").replace(
            "$BEFORE", " / before" if whole else ""
        )
    scaled = name == "spread_scaled"
    words = {"$NAME": name, "$GIVEN": ", value a" if scaled else "", "$SO": ", a times" if scaled else ""}
    for key, word in words.items():
        text = text.replace(key, word)
    row = "kernels[((channel * g->rows + r) * g->columns + q) * many + i]"
    return text.replace("$TERM", f"a * {row}" if scaled else row)
