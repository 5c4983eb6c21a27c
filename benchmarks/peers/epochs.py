"""Real `spikewise train` runs: an epoch of the spiking network beside one of the CNN, and what an epoch consists of."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers.measure import Settings, say

__all__ = ["epochs"]

_SNN, _CNN = "fashion-snn", "fashion-cnn"


def epochs(settings: Settings) -> dict[str, Any]:
    """Seconds of one epoch (validation included) of each preset, alternating, in processes of their own."""
    limit = 1000 if settings.quick else None
    runs: dict[str, list[dict[str, float]]] = {_SNN: [], _CNN: []}
    for _ in range(1 if settings.quick else 2):
        for preset, found in runs.items():
            say(f"epochs: {preset}")
            command = [sys.executable, "-m", "benchmarks.peers.epochs", preset, str(settings.threads), str(limit or 0)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
            if done.returncode:
                return {"error": done.stderr.strip().splitlines()[-1][:300]}
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return {"runs": runs, "images": runs[_SNN][0]["images"]}


class _Clock:
    """Adds up the time spent in some functions, outermost calls only."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.marked: dict[str, float] = {}
        self.inside = False

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.inside:
                return function(*arguments, **named)
            self.inside, started = True, time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.inside = False
                self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - started

        return call


def _train(preset: str, threads: int, limit: int) -> dict[str, float]:
    import torch

    import spikewise
    from spikewise.network import Network
    from spikewise.training.epochs import HostEpochs

    torch.set_num_threads(threads)
    clock = _Clock()
    Network.forward = clock.timed("engine_forward", Network.forward)
    torch.autograd.backward = clock.timed("engine_backward", torch.autograd.backward)
    torch.optim.Adam.step = clock.timed("optimizer", torch.optim.Adam.step)
    HostEpochs.collect = _marked(clock, HostEpochs.collect)
    settings = {"split.limit": limit} if limit else {}
    with tempfile.TemporaryDirectory() as out:
        run = spikewise.train(preset=preset, seeds=1, epochs=1, out=Path(out), **settings)
    (epoch,) = run.results.networks[0].runs[0].history
    parts = clock.marked
    return {
        "seconds": epoch.seconds,
        "images_per_second": epoch.images_per_second,
        "images": run.results.data.train.images,
        **parts,
    }


def _marked(clock: _Clock, collect: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what the clock read over the epoch alone: the test afterwards is no part of it."""

    def call(*arguments: Any) -> Any:
        clock.spent.clear()
        done = collect(*arguments)
        clock.marked = dict(clock.spent)
        return done

    return call


if __name__ == "__main__":
    print(json.dumps(_train(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
