"""An export compiled on this machine, and run through ctypes: the foreign runtime of the check."""

import ctypes
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8
from numpy.typing import NDArray

from spikewise.errors import DataError, DependencyError
from spikewise.files import temporary_folder
from spikewise.interop.c.answers import answered
from spikewise.interop.c.layout import Layout, Wire
from spikewise.interop.c.numbers import Quantities
from spikewise.interop.runtime import Sent

__all__ = ["FLAGS", "CompiledExport", "compile_library", "find_compiler"]

FLAGS: Final = ("-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
_COMPILERS: Final = ("gcc", "cc", "clang")
_PATIENCE: Final = 600
"""Seconds that a compiler, or the compiled test, may take."""
_BYTES_A_SECOND: Final = 2**15
"""Of source: a compiler may take so much longer, on a machine that does much else."""


class _Compiler(NamedTuple):
    path: str
    version: str


def find_compiler() -> _Compiler:
    """The C compiler of this machine.

    Raises:
        DependencyError: there is none.
    """
    for name in _COMPILERS:
        path = shutil.which(name)
        if path is not None:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
            if said.returncode == 0:
                return _Compiler(path, said.stdout.splitlines()[0])
    raise DependencyError(
        f"The check of a C export compiles it, and none of {', '.join(_COMPILERS)} is on the PATH. "
        "Install a C compiler (Debian and Ubuntu: apt install gcc)."
    )


_SHIM = """\
/* Runs images through an export, and notes every spike. */
#include "{name}.h"

void check_run({name}_state *s, const uint8_t *images, uint32_t count, {name}_score *scores, int32_t *classes,
               int16_t *const *spikes);
void check_run({name}_state *s, const uint8_t *images, uint32_t count, {name}_score *scores, int32_t *classes,
               int16_t *const *spikes)
{{
    (void)spikes;
    for (uint32_t b = 0; b < count; b++) {{
        {name}_init(s);
        for (uint32_t t = 0; t < {upper}_STEPS; t++) {{
            {name}_step(s, images + (size_t)b * {upper}_PIXELS);
{notes}        }}
        classes[b] = {name}_answer(s, scores + b * {upper}_CLASSES);
    }}
}}

void check_time({name}_state *s, const uint8_t *image, {name}_score *scores);
void check_time({name}_state *s, const uint8_t *image, {name}_score *scores)
{{
    (void){name}_classify(s, image, scores);
}}
"""
_NOTE = """\
            for (uint32_t k = 0; k < s->{layer}_n; k++) {{
                spikes[{number}][((size_t)t * count + b) * {size} + s->{layer}_at[k]] = 1;
            }}
"""


def compile_library(folder: Path, name: str, layout: Layout, into: Path) -> Path:
    """Compile an export and what runs images through it.

    Raises:
        DataError: it does not compile.
        DependencyError: there is no compiler.
    """
    notes = "".join(_NOTE.format(layer=wire.name, number=number, size=wire.size)
                    for number, wire in enumerate(layout.spiking))  # fmt: skip
    shim = into / "check_run.c"
    text = _SHIM.format(name=name, upper=name.upper(), notes=notes).replace(
        "#include", "#include <stddef.h>\n#include", 1
    )
    shim.write_text(text, encoding="utf-8")
    library = into / "check_run.so"
    sources = [str((folder / f"{name}.c").resolve()), str(shim)]
    _compile(folder, name, ["-shared", "-fPIC", "-o", str(library), *sources])
    return library


def _compile(folder: Path, name: str, more: list[str]) -> None:
    compiler = find_compiler()
    asked = [compiler.path, *FLAGS, f"-I{folder.resolve()}", *more]
    seconds = _PATIENCE + (folder / f"{name}.c").stat().st_size // _BYTES_A_SECOND
    try:
        said = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise DataError(f"{folder / name}.c: {compiler.version} did not finish in {seconds} s.") from None
    if said.returncode:
        first = next((line for line in said.stderr.splitlines() if "error" in line), said.stderr[:200])
        raise DataError(f"{folder / name}.c does not compile with {compiler.version}: {first.strip()}")


def survives(folder: Path, name: str) -> None:
    """Run the export's own test in a process of its own: files from elsewhere may do anything.

    Raises:
        DataError: it does not compile, crashes, or does not end.
    """
    test = folder / f"{name}_test.c"
    if not test.is_file():
        raise DataError(f"{test} is missing; export the run again.")
    with temporary_folder() as into:
        program = into / "check_test"
        _compile(folder, name, ["-o", str(program), str((folder / f"{name}.c").resolve()), str(test.resolve())])
        try:
            ended = subprocess.run([program], capture_output=True, check=False, timeout=_PATIENCE).returncode
        except subprocess.TimeoutExpired:
            raise DataError(f"{test}: the compiled test did not end in {_PATIENCE} s; export the run again.") from None
    if ended < 0:
        raise DataError(f"{test}: the compiled test was ended by signal {-ended}; export the run again.")


class CompiledExport:
    """A compiled export as a runtime."""

    def __init__(self, folder: Path, name: str, layout: Layout, quantities: Quantities) -> None:
        self._layout, self._unit = layout, quantities.score
        self._score = np.float32 if quantities.numbers == "float32" else np.int32
        with temporary_folder() as into:  # what is loaded needs its file no more
            self._library: Any = ctypes.CDLL(str(compile_library(folder, name, layout, into)))
        size = getattr(self._library, f"{name}_state_size")
        size.restype = ctypes.c_uint32
        self.state_size = int(size())
        self._state = np.zeros(self.state_size // 8 + 1, np.int64)

    @property
    def name(self) -> str:
        """The compiler."""
        return find_compiler().version

    def __call__(self, images: UInt8[np.ndarray, "B C H W"]) -> Sent:
        """Scores and spikes."""
        scores, classes, spikes = self.run(images)
        sent = {wire.name: in_order(one, wire) for wire, one in zip(self._layout.spiking, spikes, strict=True)}
        return Sent(answered(scores, classes, self._unit), sent)

    def run(
        self, images: UInt8[np.ndarray, "B C H W"]
    ) -> tuple[NDArray[Any], Int32[np.ndarray, " B"], list[NDArray[Any]]]:
        """Scores as the export counts them, classes, and each layer's spikes, [T, B, N], as it numbers its units."""
        graph, count = self._layout.graph, len(images)
        images = np.ascontiguousarray(images)
        scores = np.zeros((count, graph.classes), self._score)
        classes = np.zeros(count, np.int32)
        spikes = [np.zeros((graph.steps, count, wire.size), np.int16) for wire in self._layout.spiking]
        pointers = (ctypes.c_void_p * max(len(spikes), 1))(*(one.ctypes.data for one in spikes))
        self._library.check_run(
            *(_address(self._state), _address(images), ctypes.c_uint32(count)),
            *(_address(scores), _address(classes), pointers),
        )
        return scores, classes, spikes

    def milliseconds(self, images: UInt8[np.ndarray, "N C H W"], times: int = 20) -> float:
        """Median time of one image, in the compiled code alone."""
        scores = np.zeros(self._layout.graph.classes, self._score)
        taken = []
        for at in range(times + 1):
            one = np.ascontiguousarray(images[at % len(images)])
            start = time.perf_counter()
            self._library.check_time(_address(self._state), _address(one), _address(scores))
            taken.append(time.perf_counter() - start)
        return 1e3 * float(np.median(taken[1:]))


def _address(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def in_order(spikes: NDArray[Any], wire: Wire) -> NDArray[Any]:
    """Spikes [T, B, N] as the graph counts its units, [T, B, *F]."""
    found = np.empty_like(spikes)
    found[..., wire.order] = spikes
    return found.reshape(*spikes.shape[:2], *wire.shape)


def counts_of(spikes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Spikes of each layer for each image, [B, L], of arrays [T, B, N]; at least one layer."""
    return np.stack([one.sum((0, 2)) for one in spikes], axis=1)
