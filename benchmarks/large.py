"""A folder of very many small image files: time, bytes on disk and peak memory to index, decode, audit and train.

    python -m benchmarks.large FOLDER [--images 1000000]

The files are made below FOLDER once (12 x 12 grey PNGs of ten classes, told by a seed) and used again. Each stage is a
process of its own, so that its peak memory is its own. Needs Linux.
"""

import argparse
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np

SIDE, CLASSES, CHUNK = 12, 10, 10_000
STAGES = ("index", "decode", "load", "split", "audit", "train")
SETTINGS = ("model.hidden=[32]", "encoder.steps=4", "train.batch_size=512", "train.learning_rate=0.001")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--images", type=int, default=1_000_000)
    asked.add_argument("--only", nargs="*", choices=STAGES, default=STAGES)
    asked.add_argument("--stage", choices=STAGES, help="one stage, in this process")
    options = asked.parse_args()
    folder, cache = options.folder / f"images-{options.images}", options.folder / f"cache-{options.images}"
    if options.stage:
        run(options.stage, folder)
        return
    make(folder, options.images)
    print(f"{options.images:,} files, {SIDE} x {SIDE} grey, {os.cpu_count()} cores\n")
    print("| stage | seconds | of a processor | of a processor for 100,000 | peak memory, MiB | cache on disk, MiB |")
    print("|---|---|---|---|---|---|")
    for stage in options.only:
        seconds, busy, peak = _measured(stage, options, cache)
        each, disk = busy / options.images * 1e5, _size(cache) / 2**20
        print(
            f"| {stage} | {seconds:,.1f} | {busy:,.1f} | {each:,.2f} | {peak / 1024:,.0f} | {disk:,.0f} |", flush=True
        )


def make(folder: Path, count: int, seed: int = 0) -> Path:
    """The files of a folder; those that are there already are left."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 200, (CLASSES, SIDE, SIDE))
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
    for start in range(0, count, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, count))
        if (folder / f"class{numbers[-1] % CLASSES}" / f"{numbers[-1]:07}.png").exists():
            continue
        noise = np.random.default_rng([seed, start]).integers(-90, 90, (len(numbers), SIDE, SIDE))
        pixels = (patterns[numbers % CLASSES] + noise).clip(0, 255).astype(np.uint8)
        for number, rows in zip(numbers.tolist(), np.pad(pixels, ((0, 0), (0, 0), (1, 0))), strict=True):
            (folder / f"class{number % CLASSES}" / f"{number:07}.png").write_bytes(png(rows))
    return folder


def png(rows: np.ndarray) -> bytes:
    """A grey image as a PNG file; each row begins with its filter, 0 for none."""
    head = struct.pack(">IIBBBBB", rows.shape[1] - 1, rows.shape[0], 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def run(stage: str, folder: Path) -> None:
    """One stage, in this process."""
    from spikewise.cli.main import app
    from spikewise.data import load_data, split
    from spikewise.data.audit import audit
    from spikewise.data.folder import class_tree, list_folder
    from spikewise.experiments.setting import ALTERED_AMONG

    if stage == "index":
        class_tree(list_folder(folder))
    elif stage in ("decode", "load"):
        load_data(folder)
    elif stage == "split":
        split(load_data(folder))
    elif stage == "audit":
        images = load_data(folder)
        found = audit(images, split(images), root=folder, altered_among=ALTERED_AMONG)
        print(f"{found.seconds:,.1f} s after the headers of the files. {found.headline}.", file=sys.stderr)
    else:
        settings = [f"--set={one}" for one in SETTINGS]
        app(["train", str(folder), "--quick", *settings, "--out", str(folder.with_name("runs"))])


def _measured(stage: str, options: argparse.Namespace, cache: Path) -> tuple[float, float, int]:
    """Seconds, those of a processor, and peak memory (KiB) of a stage in a process of its own."""
    environment = {**os.environ, "SPIKEWISE_CACHE": str(cache)}
    command = [sys.executable, "-m", "benchmarks.large", str(options.folder), "--images", str(options.images)]
    command += ["--stage", stage]
    started = time.perf_counter()
    process, peak = subprocess.Popen(command, env=environment), 0
    # What the kernel remembers as the peak is not all: a program that measures parts of itself sets it back.
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        told = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()
        peak = max(peak, int(told[0]) if told else 0)
        time.sleep(0.05)
    _, status, used = ended
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"The stage '{stage}' failed.")
    return seconds, used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
