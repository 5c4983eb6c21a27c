"""README.md of an exported folder: how to compile it."""

from spikewise import __version__
from spikewise.interop.c.layout import Layout
from spikewise.interop.c.numbers import Quantities
from spikewise.interop.c.source import Code
from spikewise.interop.runtime import Wish

__all__ = ["readme"]


def readme(layout: Layout, quantities: Quantities, made: Code, wish: Wish) -> str:
    """The page."""
    name = wish.name
    numbers = "floating point" if quantities.numbers == "float32" else "weights of 8 bits, everything else integers"
    flags = "-std=c99 -O2 -ffp-contract=off"
    return f"""\
# {name}

A spiking neural network that classifies images, in C99 ({numbers}); exported by spikewise {__version__}.
{made.tables:,} bytes of constant tables, {made.state:,} bytes of state, {layout.graph.steps} time steps.

```c
static {name}_state state;
{name}_score scores[{name.upper()}_CLASSES];
int answer = {name}_classify(&state, image, scores);
```

`{name}_test.c` runs images and compares the spikes of every layer; it returns 0 if all are as they should be.
`spikewise verify` repeats the whole check (check.json, check.html) where this folder lies.

```sh
# on this machine
cc {flags} {name}.c {name}_test.c -o {name}_test && ./{name}_test

# an object file for a microcontroller, and its size
arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb {flags} -ffreestanding -c {name}.c && arm-none-eabi-size {name}.o
arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb {flags} -ffreestanding -c {name}.c && arm-none-eabi-size {name}.o
riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 --specs=picolibc.specs {flags} -c {name}.c

# WebAssembly without a C library (the page gives the memory of the state)
clang --target=wasm32 -nostdlib {flags} -mbulk-memory -Wl,--no-entry -Wl,--export=__heap_base \\
  -Wl,--export={name}_classify -Wl,--export={name}_state_size {name}.c -o {name}.wasm
```

Floating point gives the same bits on every machine only if products and sums are not contracted
(`-ffp-contract=off`, which `-std=c99` implies for gcc).
"""
