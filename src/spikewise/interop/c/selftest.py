"""NAME_test.c: images, what each layer sends for them, and a main that compares."""

from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from spikewise import __version__
from spikewise.interop.c.layout import Layout
from spikewise.interop.c.memory import ConstantArray
from spikewise.interop.c.text import array

__all__ = ["selftest"]


def selftest(
    name: str, layout: Layout, images: UInt8[np.ndarray, "N C H W"], classes: NDArray[Any], counts: NDArray[Any] | None
) -> str:
    """The file.

    Args:
        counts: spikes that each spiking layer sends for each image, [N, L]; None where none spikes.
    """
    spiking = layout.spiking
    tables = [
        ConstantArray("images", images),
        ConstantArray("classes", classes.astype(np.uint16)),
        *([] if counts is None else [ConstantArray("counts", counts.astype(np.uint32))]),
    ]
    layers = len(spiking)
    adding = "".join(f"            sent[{number}] += state.{wire.name}_n; /* {wire.name} */\n"
                     for number, wire in enumerate(spiking))  # fmt: skip
    upper = name.upper()
    sent = f"        uint32_t sent[{layers}] = {{0}};\n" if layers else ""
    compared = f"""\
        for (int layer = 0; layer < {layers}; layer++) {{
            wrong |= sent[layer] != counts[image * {layers} + layer];
        }}
""" if layers else ""  # fmt: skip
    constants = "\n".join(array(table) for table in tables)
    return f"""\
/* Test of {name}.c, by spikewise {__version__}: {len(images)} images, and for each its class and the spikes that every
 * layer sends over all steps. It returns the number of images for which anything differs: 0 is right. */
#include "{name}.h"

#if __STDC_HOSTED__
#include <stdio.h>
#endif

{constants}
int main(void)
{{
    static {name}_state state;
    int failed = 0;
    for (int image = 0; image < {len(images)}; image++) {{
{sent}        int wrong;
        {name}_init(&state);
        for (int t = 0; t < {upper}_STEPS; t++) {{
            {name}_step(&state, images + image * {upper}_PIXELS);
{adding}        }}
        wrong = {name}_answer(&state, 0) != (int)classes[image];
{compared}        failed += wrong;
    }}
#if __STDC_HOSTED__
    printf("{name}: %d of {len(images)} images as expected\\n", {len(images)} - failed);
#endif
    return failed;
}}
"""
