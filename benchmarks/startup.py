"""How long the command line keeps a person waiting: --help, import, one-image predict."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

REPEATS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run, image = _prepare(Path(folder))
        spikewise = [sys.executable, "-m", "spikewise.cli.main"]
        cases = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import spikewise": [sys.executable, "-c", "import spikewise"],
            "import torch": [sys.executable, "-c", "import torch"],
            "spikewise --help": [*spikewise, "--help"],
            "spikewise compare --help": [*spikewise, "compare", "--help"],
            "spikewise predict RUN IMAGE": [*spikewise, "predict", str(run), str(image)],
        }
        print("| command | median seconds | fastest |\n|---|---|---|")
        for name, command in cases.items():
            times = [_seconds(command) for _ in range(REPEATS)]
            print(f"| `{name}` | {statistics.median(times):.2f} | {min(times):.2f} |")


def _prepare(folder: Path) -> tuple[Path, Path]:
    """A small finished run and an image to classify."""
    import spikewise

    finished = spikewise.train("digits", seeds=1, epochs=1, out=folder)
    image = folder / "digit.png"
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save(image)
    return finished.folder, image


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
