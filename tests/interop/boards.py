"""Exports compiled for small processors and run under QEMU."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).parent / "boards"


class Board(NamedTuple):
    """A machine of QEMU, and what compiles for it."""

    compiler: str
    options: tuple[str, ...]
    start: str
    stack: str
    qemu: tuple[str, ...]
    packages: str


_ARM, _ARM_PACKAGES = "arm-none-eabi-gcc", "gcc-arm-none-eabi qemu-system-arm"
_RISCV, _RISCV_PACKAGES = "riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf qemu-system-misc"
BOARDS = {
    "cortex-m4": Board(
        _ARM, ("-mcpu=cortex-m4", "-mthumb"), "cortex_m", "0x20400000",
        ("qemu-system-arm", "-M", "mps2-an386"), _ARM_PACKAGES,
    ),
    "cortex-m3": Board(
        _ARM, ("-mcpu=cortex-m3", "-mthumb"), "cortex_m", "0x20400000",
        ("qemu-system-arm", "-M", "mps2-an385"), _ARM_PACKAGES,
    ),
    "cortex-m0": Board(
        _ARM, ("-mcpu=cortex-m0plus", "-mthumb"), "cortex_m", "0x20004000",
        ("qemu-system-arm", "-M", "microbit"), _ARM_PACKAGES,
    ),
    "riscv32": Board(
        _RISCV, ("-march=rv32imac", "-mabi=ilp32", "-mcmodel=medany"), "riscv", "0x84000000",
        ("qemu-system-riscv32", "-M", "virt", "-bios", "none"), _RISCV_PACKAGES,
    ),
}  # fmt: skip


def run_on(name: str, folder: Path, export: str) -> int:
    """What the test of an export returns on a board."""
    board = BOARDS[name]
    if not shutil.which(board.compiler) or not shutil.which(board.qemu[0]):
        pytest.skip(f"apt install {board.packages}")
    program = folder / f"{name}.elf"
    sources = [folder / f"{export}.c", folder / f"{export}_test.c", FOLDER / f"{board.start}.c"]
    subprocess.run(
        [
            board.compiler, *board.options, "-std=gnu99", "-O2", "-ffp-contract=off", "-ffreestanding", "-nostdlib",
            "-fno-tree-loop-distribute-patterns", f"-T{FOLDER / board.start}.ld",
            f"-Wl,--defsym=stack_top={board.stack}", f"-I{folder}", "-o", program, *sources, "-lgcc",
        ],
        check=True,
    )  # fmt: skip
    asked = [*board.qemu, "-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config",
             "enable=on,target=native", "-kernel", program]  # fmt: skip
    return subprocess.run(asked, check=False, timeout=120, stdin=subprocess.DEVNULL).returncode
