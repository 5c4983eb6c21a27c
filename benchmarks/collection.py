"""How long `spikewise runs` takes on thousands of run folders, the first time and again.

python -m benchmarks.collection RUN... --folders 10000
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from spikewise.collection import runs

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    clock, processor = time.perf_counter(), time.process_time()
    found = work()
    print(f"{what}: {time.process_time() - processor:.1f} s of a processor, {time.perf_counter() - clock:.1f} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished runs, of which the folders are copies in turn")
    parser.add_argument("--folders", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        root, cache = Path(name) / "runs", Path(name) / "cache"
        os.environ["SPIKEWISE_CACHE"] = str(cache)
        for number in range(asked.folders):
            place = root / f"run-{number:06}"
            (place / "networks").mkdir(parents=True)
            for file in ("run.json", "results.json"):
                shutil.copyfile(asked.runs[number % len(asked.runs)] / file, place / file)
        size = sum(path.stat().st_size for path in root.rglob("*.json")) / 2**30
        print(f"{asked.folders:,} run folders, {size:.1f} GiB of JSON")
        timed("listed for the first time", lambda: runs(root))
        found = timed("listed again", lambda: runs(root))
        timed("filtered by a column", lambda: found.where("accuracy > 0.9"))
        timed("filtered by a setting", lambda: found.where("train.batch_size = 64"))
        timed("written as a page", lambda: found.export("html"))
        print(f"index: {sum(path.stat().st_size for path in cache.rglob('*.sqlite')) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
