"""The format "c": C99 for microcontrollers, web pages and any program."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8

from spikewise.errors import ConfigError, DataError
from spikewise.files import write_text
from spikewise.interop.c.compiled import CompiledExport, counts_of, survives
from spikewise.interop.c.integers import quantised
from spikewise.interop.c.layout import Layout, lay_out
from spikewise.interop.c.numbers import Quantities, as_trained
from spikewise.interop.c.readme import readme
from spikewise.interop.c.selftest import selftest
from spikewise.interop.c.simulator import Simulator
from spikewise.interop.c.sizes import MOST_WEIGHTS
from spikewise.interop.c.source import Code, source
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Format, Opened, Wish, Written

__all__ = ["FORMAT", "CFormat", "quantities_of"]

_TESTED: Final = 16
_TAKEN: Final = frozenset(
    {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float",
     "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof",
     "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "main"}
)  # fmt: skip


class _Target(NamedTuple):
    """A processor whose code is measured where its compiler is installed."""

    name: str
    compiler: str
    size: str
    options: tuple[str, ...]


_TARGETS: Final = (
    _Target("Cortex-M4", "arm-none-eabi-gcc", "arm-none-eabi-size", ("-mcpu=cortex-m4", "-mthumb")),
    _Target("Cortex-M0+", "arm-none-eabi-gcc", "arm-none-eabi-size", ("-mcpu=cortex-m0plus", "-mthumb")),
    _Target("RV32IMAC", "riscv64-unknown-elf-gcc", "riscv64-unknown-elf-size",
            ("-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs")),
)  # fmt: skip


class CFormat:
    """C99: a header, a source file, and a test of both."""

    name = "c"
    title = "C"
    about = "C99 without memory allocation, for microcontrollers and any other program"
    exact = False
    """In floating point sums are rounded in another order than ours; the integers must equal their simulator."""

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        """Write the files, compile them, and note what they answer to the first images in the test.

        Raises:
            ConfigError: C has no word for a layer, or the name is none in C.
            DependencyError: there is no C compiler.
        """
        wish.only(self.name, integers=True)
        check_name(wish.name)
        layout = lay_out(network.graph)
        quantities = quantities_of(network, layout, wish)
        made = source(layout, quantities, wish)
        name = wish.name
        files = [f"{name}.c", f"{name}.h", f"{name}_test.c", "README.md"]
        write_text(folder / files[0], made.code)
        write_text(folder / files[1], made.header)
        compiled = CompiledExport(folder, name, layout, quantities)
        assert compiled.state_size == made.state
        images = wish.samples if len(wish.samples) else _made_up(layout)
        _, classes, spikes = compiled.run(images)
        counts = counts_of(spikes) if spikes else None
        write_text(folder / files[2], selftest(name, layout, images, classes, counts))
        write_text(folder / files[3], readme(layout, quantities, made, wish))
        told = facts(folder, name, made, compiled.milliseconds(images))
        return Written(files[0], tuple(files), (), told, _opened(compiled, layout, quantities, wish))

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        """Compile the files.

        Raises:
            DataError: they do not compile.
            DependencyError: there is no C compiler.
        """
        layout = lay_out(network.graph)
        quantities = quantities_of(network, layout, wish)
        for suffix in (".c", ".h"):
            if not (folder / f"{wish.name}{suffix}").is_file():
                raise DataError(f"{folder / wish.name}{suffix} is missing; export the run again.")
        del main
        if wish.foreign:
            survives(folder, wish.name)
        return _opened(CompiledExport(folder, wish.name, layout, quantities), layout, quantities, wish)


def _opened(compiled: CompiledExport, layout: Layout, quantities: Quantities, wish: Wish) -> Opened:
    whole = quantities.numbers == "int8"
    return Opened(compiled, Simulator(layout, quantities, seed=wish.seed) if whole else None, whole)


def quantities_of(network: Deployed, layout: Layout, wish: Wish) -> Quantities:
    """The numbers that were wished for.

    Raises:
        ConfigError: there are more than C source should hold, or they cannot be integers of 32 bits.
    """
    weights = sum(value.numel() for value in network.weights.values())
    if weights > MOST_WEIGHTS:
        raise ConfigError(
            f"The network has {weights:,} weights; as C source at most {MOST_WEIGHTS:,} are written. "
            "Make model.hidden or data.size smaller, or export to onnx."
        )
    return quantised(network, layout) if wish.numbers == "int8" else as_trained(network, layout)


def _made_up(layout: Layout) -> UInt8[np.ndarray, "N C H W"]:
    """Noise of growing brightness, for the test of a network whose images may not be passed on."""
    drawn = np.random.default_rng(0).integers(0, 256, (_TESTED, *layout.graph.image_shape))
    return (drawn * np.linspace(0.1, 1, _TESTED)[:, None, None, None]).astype(np.uint8)


def check_name(name: str) -> None:
    """Refuse a name that C cannot use.

    Raises:
        ConfigError: it is none.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name) or name in _TAKEN:
        raise ConfigError(
            f"--name {name!r} cannot be a name in C: use a letter, then letters, digits and _, 31 at most."
        )


def facts(folder: Path, name: str, made: Code, milliseconds: float) -> dict[str, int | float | str]:
    """Sizes and times for the table of the check."""
    found: dict[str, int | float | str] = {
        "constant tables, bytes": made.tables,
        "state (RAM), bytes": made.state,
        "one image, C alone, ms": float(f"{milliseconds:.3g}"),
    }
    for target in _TARGETS:
        size = code_size(folder, made.sized, target)
        if size is not None:
            found[f"{target.name}: flash, bytes"] = size
    return found


def code_size(folder: Path, code: str, target: _Target) -> int | None:
    """Code and tables of the compiled export, without the C library; None where the compiler is not installed.

    Args:
        folder: where its header lies.
    """
    if shutil.which(target.compiler) is None or shutil.which(target.size) is None:
        return None
    with tempfile.TemporaryDirectory(prefix="spikewise-c-") as into:
        source_file, compiled = Path(into) / "code.c", Path(into) / "code.o"
        source_file.write_text(code, encoding="utf-8")
        asked = [target.compiler, *target.options, "-std=c99", "-Os", "-ffp-contract=off", "-ffreestanding"]
        asked += [f"-I{folder}", "-c", str(source_file), "-o", str(compiled)]
        if subprocess.run(asked, capture_output=True, check=False, timeout=600).returncode:
            return None
        told = subprocess.run([target.size, str(compiled)], capture_output=True, text=True, check=True, timeout=60)
    text, data, bss = (int(word) for word in told.stdout.splitlines()[1].split()[:3])
    assert not data
    assert not bss
    return text


FORMAT: Format = CFormat()
