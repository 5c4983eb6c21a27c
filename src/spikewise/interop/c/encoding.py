"""The C of each encoder: what the pixels send at one step."""

from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.interop.c.layout import INPUT, Layout

__all__ = ["encoder", "encoder_uses", "moving"]


def encoder_uses(layout: Layout) -> set[str]:
    """Helpers that it calls."""
    return {"philox"} if isinstance(layout.graph.encoder, Rate) else set()


def encoder(layout: Layout) -> str:
    """The function `encode`."""
    match layout.graph.encoder:
        case Rate():
            body = _rate(layout)
        case Latency():
            body = _listing(layout, "s->step == input_first[image[j]]")
        case Periodic():
            body = _listing(layout, "s->step > 0 && s->step % input_period[image[j]] == 0")
        case Direct():
            body = _direct(layout)
        case _:
            body = _delta(layout)
    about = f"/* What the pixels send: {layout.graph.encoder.label} code. */"
    return (
        f"{about}\nstatic void encode(state *s, const uint8_t *image)\n{{\n"
        + "".join(f"    {line}\n" for line in body)
        + "}\n"
    )


def _sizes(layout: Layout) -> tuple[int, int, int]:
    """Channels of the image, width, pixels of one channel."""
    channels, height, width = layout.graph.image_shape
    return channels, width, height * width


def _place(layout: Layout, pixel: str = "j") -> str:
    """Where a pixel of the image, whose channels lie one after the other, stands in memory."""
    channels, _, pixels = _sizes(layout)
    return pixel if channels == 1 else f"{pixel} % {pixels} * {channels} + {pixel} / {pixels}"


def _rate(layout: Layout) -> list[str]:
    count = layout.input.size
    return [
        "uint32_t n = 0;",
        f"for (uint32_t block = 0; block < {(count + 15) // 16}; block++) {{",
        f"    const uint32_t first = block * 16, end = first + 16 < {count} ? first + 16 : {count};",
        "    uint32_t words[4], lit = 0;",
        "    for (uint32_t j = first; j < end; j++) {",
        "        lit |= image[j];",
        "    }",
        "    if (lit == 0) { /* black sends nothing, whatever is drawn */",
        "        continue;",
        "    }",
        "    philox(block, s->step, words);",
        "    for (uint32_t j = first; j < end; j++) {",
        "        const uint32_t drawn = words[(j - first) / 4] >> (j % 4 * 8) & 0xFFu, pixel = image[j];",
        "        if (drawn < pixel || (pixel >= 128 && drawn == pixel)) {",
        f"            s->{INPUT}_at[n++] = (index_t)({_place(layout)});",
        "        }",
        "    }",
        "}",
        f"s->{INPUT}_n = n;",
    ]


def _listing(layout: Layout, condition: str) -> list[str]:
    return [
        "uint32_t n = 0;",
        f"for (uint32_t j = 0; j < {layout.input.size}; j++) {{",
        f"    if ({condition}) {{",
        f"        s->{INPUT}_at[n++] = (index_t)({_place(layout)});",
        "    }",
        "}",
        f"s->{INPUT}_n = n;",
    ]


def _direct(layout: Layout) -> list[str]:
    channels, _, pixels = _sizes(layout)
    row = "image[j]" if channels == 1 else f"j / {pixels} * 256 + image[j]"
    return [
        f"value *y = s->work + {layout.places[INPUT]};",
        f"for (uint32_t j = 0; j < {layout.input.size}; j++) {{",
        f"    y[{_place(layout)}] = {INPUT}_currents[{row}];",
        "}",
    ]


def _delta(layout: Layout) -> list[str]:
    channels, width, pixels = _sizes(layout)
    moved = [
        f"const uint8_t *from = image + c * {pixels};",
        f"const int32_t row = (int32_t)(p / {width}), column = (int32_t)(p % {width});",
        "const int32_t before = s->step == 0 ? 0 : at_offset(from, row, column, (s->step - 1) % STEPS);",
        "const int32_t after = at_offset(from, row, column, s->step % STEPS);",
        "if (after >= input_brighter[before]) {",
        f"    s->{INPUT}_at[n++] = (index_t)(p * {2 * channels} + c);",
        "} else if (after < input_darker[before]) {",
        f"    s->{INPUT}_at[n++] = (index_t)(p * {2 * channels} + {channels} + c);",
        "}",
    ]
    return [
        "uint32_t n = 0;",
        f"for (uint32_t p = 0; p < {pixels}; p++) {{",
        f"    for (uint32_t c = 0; c < {channels}; c++) {{",
        *(f"        {line}" for line in moved),
        "    }",
        "}",
        f"s->{INPUT}_n = n;",
    ]


def moving(layout: Layout) -> str:
    """What the sensor of a delta code sees at a place while it moves; empty for other codes."""
    if not isinstance(layout.graph.encoder, Delta):
        return ""
    _, width, pixels = _sizes(layout)
    return f"""\
/* The pixel that the moving sensor sees at a place; black beyond the image. */
static int32_t at_offset(const uint8_t *image, int32_t row, int32_t column, uint32_t step)
{{
    row -= input_down[step];
    column -= input_right[step];
    if (row < 0 || row >= {pixels // width} || column < 0 || column >= {width}) {{
        return 0;
    }}
    return image[row * {width} + column];
}}

"""
