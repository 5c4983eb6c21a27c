"""The header and the C file of an export."""

from typing import NamedTuple

import numpy as np

from spikewise import __version__
from spikewise.interop.c.encoding import encoder, encoder_uses, moving
from spikewise.interop.c.helpers import HELPERS, helper
from spikewise.interop.c.layers import Writer
from spikewise.interop.c.layout import Layout
from spikewise.interop.c.memory import Field, fields, index_type, state_size, tables, tables_size
from spikewise.interop.c.numbers import Quantities
from spikewise.interop.c.text import array, literal
from spikewise.interop.runtime import Wish
from spikewise.readouts import LastMembrane, MeanMembrane, SpikeCount
from spikewise.ties import PLACE_0

__all__ = ["Code", "score_type", "source"]

_MASK = 0xFFFFFFFF
_ROUNDING = """\
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "floats must be computed as floats: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
"""


class Code(NamedTuple):
    """What an export consists of, and how much memory it takes."""

    header: str
    code: str
    sized: str
    """The same code with large tables of other numbers: it compiles to the same size, and soon."""
    tables: int
    """Bytes of constant tables (flash)."""
    state: int
    """Bytes of the state of one network (RAM)."""


def source(layout: Layout, quantities: Quantities, wish: Wish) -> Code:
    """Write a network in C."""
    constants, members = tables(layout, quantities), fields(layout, quantities.numbers)
    sizes = tables_size(constants), state_size(members)
    code, sized = (
        _code(layout, quantities, wish, "\n".join(array(table, sized=sized) for table in constants))
        for sized in (False, True)
    )
    return Code(_header(layout, quantities, wish, members, sizes), code, sized, *sizes)


def score_type(quantities: Quantities) -> str:
    """C type of a score."""
    return "float" if quantities.numbers == "float32" else "int32_t"


def _header(
    layout: Layout, quantities: Quantities, wish: Wish, members: list[Field], sizes: tuple[int, int]
) -> str:  # fmt: skip
    name, graph = wish.name, layout.graph
    channels, height, width = graph.image_shape
    classes = "".join(f" *   {number} {_comment(label)}\n" for number, label in enumerate(wish.classes))
    declared = "".join(f"    {one.c_type} {one.name}{f'[{one.length}]' if one.length else ''}; /* {one.about} */\n"
                       for one in members)  # fmt: skip
    upper = name.upper()
    return f"""\
/* {name}: a spiking neural network that classifies images, exported by spikewise {__version__}.
 *
 * {_sentence(quantities)}
 * {sizes[0]:,} bytes of constant tables (flash) and {sizes[1]:,} bytes of state (RAM) for each network at work.
 * An image is {channels} x {height} x {width} bytes: channel after channel, row after row.
 * Units of a map are numbered (row * width + column) * channels + channel.
{" * Classes:" + chr(10) + classes if classes else ""} */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_STEPS {graph.steps}
#define {upper}_CLASSES {graph.classes}
#define {upper}_PIXELS {channels * height * width}

typedef {score_type(quantities)} {name}_score;

/* Everything that changes; nothing else does, so that any number of networks can be at work. */
typedef struct {{
{declared}}} {name}_state;

/* Bring a network to rest: once, and before every image. */
void {name}_init({name}_state *state);

/* One time step on an image. */
void {name}_step({name}_state *state, const uint8_t *image);

/* The class after the steps so far (at least one), and the score of each class; scores may be a null pointer.
 * {_score_words(quantities)} */
int {name}_answer(const {name}_state *state, {name}_score *scores);

/* Rest, all steps, answer. */
int {name}_classify({name}_state *state, const uint8_t *image, {name}_score *scores);

/* Bytes of a state, for those who do not read this header. */
uint32_t {name}_state_size(void);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _sentence(quantities: Quantities) -> str:
    if quantities.numbers == "float32":
        return ("Floating point, to be compiled without contraction (-std=c99, or -ffp-contract=off): every\n"
                " * product and every sum is rounded by itself.")  # fmt: skip
    return ("Integers alone: weights of 8 bits, membranes of 32, decays in 1/32768; divisions round towards zero.\n"
            " * No sum can overflow.")  # fmt: skip


def _score_words(quantities: Quantities) -> str:
    if quantities.numbers == "float32":
        return "Where several classes share the highest score, that of the answer is a little raised."
    return f"A score of 1 is worth {quantities.score:.9g} in the network that this one was made of."


def _comment(text: str) -> str:
    """A label in a comment: nothing in it can end the comment."""
    return text.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *")


def _code(layout: Layout, quantities: Quantities, wish: Wish, constants: str) -> str:
    name, whole = wish.name, quantities.numbers == "int8"
    writer = Writer(layout, quantities)
    functions = [writer.function(one) for one in layout.operations]
    end = [] if layout.graph.named[-1].layer.kind == "neuron" else writer.evidence()
    used = writer.used | encoder_uses(layout)
    helpers = [helper(one, quantities.numbers) for one in HELPERS if one in used]
    parts = [
        f'#include "{name}.h"\n\n{"" if whole else _ROUNDING}',
        _names(layout, quantities, wish),
        constants,
        *helpers,
        moving(layout) + encoder(layout),
        *filter(None, functions),
        _step(layout, name, end),
        _answer(layout, quantities, name),
    ]
    return f"/* {name}, exported by spikewise {__version__}: see {name}.h. */\n" + "\n".join(parts)


def _names(layout: Layout, quantities: Quantities, wish: Wish) -> str:
    value, weight = ("float", "float") if quantities.numbers == "float32" else ("int32_t", "int8_t")
    key = ""
    if layout.graph.encoder.kind == "rate":
        key = f"#define KEY_LOW {wish.seed & _MASK:#x}u\n#define KEY_HIGH {wish.seed >> 32 & _MASK:#x}u\n"
    return f"""\
typedef {value} value;
typedef {weight} weight;
typedef {index_type(layout)} index_t;
typedef {wish.name}_state state;

#define STEPS {layout.graph.steps}
#define CLASSES {layout.graph.classes}
{key}"""


def _step(layout: Layout, name: str, end: list[str]) -> str:
    done = [one for one in layout.operations if one.works]
    once = [f"run_{one.at.name}(s);" for one in done if one.once]
    each = [f"run_{one.at.name}(s);" for one in done if not one.once]
    if layout.input.constant:
        lines = ["if (s->step == 0) { /* the same at every step */", "    encode(s, image);",
                 *(f"    {line}" for line in once), "}"]  # fmt: skip
    else:
        lines = ["encode(s, image);"]
    body = "".join(f"    {line}\n" for line in [*lines, *each, *end, "s->step++;"])
    return f"""\
void {name}_init({name}_state *s)
{{
    unsigned char *bytes = (unsigned char *)s;
    for (uint32_t i = 0; i < sizeof *s; i++) {{
        bytes[i] = 0;
    }}
}}

void {name}_step({name}_state *s, const uint8_t *image)
{{
{body}}}

uint32_t {name}_state_size(void)
{{
    return (uint32_t)sizeof({name}_state);
}}
"""


def _answer(layout: Layout, quantities: Quantities, name: str) -> str:
    score, whole = score_type(quantities), quantities.numbers == "int8"
    raised = ""
    if not whole:
        raised = """\
    if (scores != 0 && tied > 1) {
        const value size = scores[chosen] < 0 ? -scores[chosen] : scores[chosen];
        scores[chosen] += size > 16.0f ? size / 1024.0f : 1.0f / 64.0f;
    }
"""
    count = "    int32_t tied = 0;\n" if raised else ""
    counted = "            tied++;\n" if raised else ""
    return f"""\
static {score} score_of(const state *s, int32_t k)
{{
    return {_score(layout, quantities)};
}}

int {name}_answer(const {name}_state *s, {name}_score *scores)
{{
    {score} best = score_of(s, 0);
    int32_t highest = 0, equals = 0, chosen = 0;
{count}    for (int32_t k = 0; k < CLASSES; k++) {{
        const {score} here = score_of(s, k);
        if (scores != 0) {{
            scores[k] = here;
        }}
        if (here > best) {{
            best = here;
            highest = k;
        }}
    }}
    /* Of the best the one whose membrane was highest on average; of equals one is drawn, always the same. */
    for (int32_t k = 0; k < CLASSES; k++) {{
        if (!(score_of(s, k) < best)) {{
{counted}            if (s->sum[k] > s->sum[highest]) {{
                highest = k;
            }}
        }}
    }}
    for (int32_t pass = 0; pass < 2; pass++) {{
        int32_t drawn = pass == 0 ? 0 : (int32_t)({PLACE_0}u % (uint32_t)equals);
        for (int32_t k = 0; k < CLASSES; k++) {{
            if (!(score_of(s, k) < best) && !(s->sum[k] < s->sum[highest])) {{
                equals += pass == 0;
                if (pass == 1 && drawn-- == 0) {{
                    chosen = k;
                }}
            }}
        }}
    }}
{raised}    return (int)chosen;
}}

int {name}_classify({name}_state *s, const uint8_t *image, {name}_score *scores)
{{
    {name}_init(s);
    for (uint32_t t = 0; t < STEPS; t++) {{
        {name}_step(s, image);
    }}
    return {name}_answer(s, scores);
}}
"""


def _score(layout: Layout, quantities: Quantities) -> str:
    readout, whole = layout.graph.readout, quantities.numbers == "int8"
    match readout:
        case SpikeCount():
            return "s->count[k]" if whole else "(value)s->count[k]"
        case MeanMembrane():
            return "(value)(s->sum[k] / (int64_t)s->step)" if whole else "s->sum[k] / (value)s->step"
        case LastMembrane(scale=scale) if scale != 1 and not whole:
            return f"{literal(np.float32(scale))} * s->seen[k]"
        case _:
            return "s->seen[k]"
