"""Decoding a folder of JPEG files: `load_data` against a bare Pillow loop, in one run, after a parity check."""

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from spikewise.data import load_data

SIZE, REPEATS, MADE = 100, 3, 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = _folder(Path(scratch))
        files = sorted(p for p in folder.rglob("*") if p.suffix in (".jpeg", ".jpg"))
        _check(files[0])
        rows: dict[str, list[float]] = {
            "Pillow, one thread": [],
            "Pillow, all cores": [],
            "load_data": [],
            "cached": [],
        }
        for repeat in range(REPEATS):
            cache = Path(scratch) / f"cache{repeat}"
            rows["Pillow, one thread"].append(_seconds(lambda: [_pillow(f) for f in files]))
            rows["Pillow, all cores"].append(_seconds(lambda: _threads(files)))
            for row in ("load_data", "cached"):
                load = lambda at=cache: load_data(folder, size=SIZE, grey=True, cache_dir=at)  # noqa: E731
                rows[row].append(_seconds(load))
        base = statistics.median(rows["Pillow, all cores"])
        print(f"{len(files)} files of {folder.name}, to {SIZE}x{SIZE} grey, {os.cpu_count()} cores\n")
        print("| reader | images/s | against Pillow on all cores |\n|---|---|---|")
        for name, times in rows.items():
            seconds = statistics.median(times)
            print(f"| {name} | {len(files) / seconds:,.0f} | {base / seconds:.2f}x |")


def _folder(scratch: Path) -> Path:
    """The real chest X-rays where SPIKEWISE_DATA has them, else noise of the same size."""
    real = Path(os.environ.get("SPIKEWISE_DATA", "")) / "chest_xray"
    if real.is_dir():
        return real
    rng = np.random.default_rng(0)
    for number in range(MADE):
        at = scratch / "noise" / f"class{number % 2}"
        at.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (224, 224, 3), np.uint8)).save(at / f"{number}.jpeg")
    return scratch / "noise"


def _check(file: Path) -> None:
    from spikewise.data import decode_image

    ours = decode_image(file, size=(SIZE, SIZE), grey=True)[0].astype(float)
    assert np.abs(ours - _pillow(file).astype(float)).mean() < 2, "load_data and Pillow see different images"


def _pillow(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def _threads(files: list[Path]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_pillow, files))


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
