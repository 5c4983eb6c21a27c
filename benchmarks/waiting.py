"""What threads that wait cost: one image and a small fit, with threads that spin, that sleep, and with one; alone and
beside other work.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ROUNDS = 3
_SETTINGS = {
    "all threads, spinning (OMP_WAIT_POLICY=active)": {"OMP_WAIT_POLICY": "active"},
    "all threads, asleep (Spikewise's default)": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
_WORK = """
import statistics, time
from spikewise import SpikingClassifier
import numpy as np, torch
from spikewise.encoders import Rate
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.types import Draw

def seconds(work, repeats):
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)

graph = build(MLP(hidden=(512,)), Rate(), MeanMembrane(), image_shape=(1, 28, 28), classes=10)
network = Network(graph, seed=0).eval().frozen()
rng = np.random.default_rng(0)
image = torch.from_numpy(rng.integers(0, 256, (1, 1, 28, 28), dtype=np.uint8))
with torch.no_grad():
    one = seconds(lambda: network(image, Draw.first(1)), 100)
X, y = rng.integers(0, 256, (200, 8, 8), dtype=np.uint8), np.arange(200) % 4
fit = seconds(lambda: SpikingClassifier(hidden=(32,), epochs=3).fit(X, y), 3)
print(1000 * one, fit)
"""


def main() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = f"load average {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"{cores} cores, {load} before; the best of {ROUNDS} interleaved rounds.\n")
    header = ("", "one image, ms", "a small fit, s", "beside other work: one image, ms", "a small fit, s")
    print(f"| {' | '.join(header)} |\n{'|---' * len(header)}|")
    alone, beside = _rounds(), {}
    with _others(cores):
        beside = _rounds()
    for name in _SETTINGS:
        figures = [*_best(alone[name]), *_best(beside[name])]
        print(f"| {name} | " + " | ".join(f"{one:.2f}" for one in figures) + " |")


def _rounds() -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {name: [] for name in _SETTINGS}
    for _ in range(ROUNDS):
        for name, setting in _SETTINGS.items():
            clean = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
            done = subprocess.run([sys.executable, "-c", _WORK], env={**clean, **setting}, check=True,
                                  capture_output=True, text=True)  # fmt: skip
            found[name].append([float(one) for one in done.stdout.split()])
    return found


def _best(rounds: list[list[float]]) -> list[float]:
    return [min(column) for column in zip(*rounds, strict=True)]


@contextmanager
def _others(count: int) -> Iterator[None]:
    """As many processes that compute as there are cores."""
    others = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(count)]
    for one in others:
        one.start()
    try:
        yield
    finally:
        for one in others:
            one.terminate()
            one.join()


def _burn() -> None:
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    main()
