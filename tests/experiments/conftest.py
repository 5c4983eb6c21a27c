"""Experiments that take a second, in this process or in one that may be killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikewise.experiments import Experiment
from waiting import wait_until

SERVER = """
import json, os, sys
from pathlib import Path
import matplotlib.backends.backend_svg, torch
torch.set_num_threads(1)
torch.optim.Adam([torch.zeros(1)])  # imports half of PyTorch
from spikewise.errors import SpikewiseError
from spikewise.experiments import resolve, run_experiment
from spikewise.training.progress import LineProgress

def work(config, out, kind, log):
    with open(log, "w", buffering=1) as lines:
        try:
            experiment = resolve(config=Path(config))
            # Whole sections: what fits into a budget of time depends on the clock, and so on when a run was killed.
            done = run_experiment(experiment, out=Path(out), kind=kind, listener=LineProgress(lines), thorough=True)
        except SpikewiseError as error:
            print(f"{type(error).__name__}: {error}", file=lines)
            return 2
        print(done.folder, file=lines)
    return 0

for order in sys.stdin:
    child = os.fork()
    if child == 0:
        os._exit(work(*json.loads(order)))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Server:
    """A process that has imported everything, and forks one process for each run: no time goes into imports."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.orders, self.replies = self.process.stdin, self.process.stdout

    def start(self, config: Path, out: Path, kind: str = "train") -> "Run":
        """Begin an experiment; it says a line for each epoch."""
        log = Path(f"{out}.log")
        log.unlink(missing_ok=True)
        print(json.dumps([str(config), str(out), kind, str(log)]), file=self.orders, flush=True)
        return Run(self, int(self.replies.readline()), log)


class Run:
    """An experiment in a process of its own."""

    def __init__(self, server: Server, pid: int, log: Path) -> None:
        self.server, self.pid, self.log = server, pid, log

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, met: Callable[[list[str]], bool]) -> None:
        """Until what it has said is enough."""
        wait_until(lambda: met(self.lines()), self.lines, pause=0.002)

    def kill(self) -> bool:
        """Whether it was still alive."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        """Its exit status."""
        return int(self.server.replies.readline())

    def finish(self) -> Path:
        """Its run folder."""
        status = self.wait()
        assert status == 0, self.lines()
        return Path(self.lines()[-1])


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.orders.close()
    server.replies.close()
    server.process.wait()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def columns_file(tmp_path) -> Path:
    """An .npz of 90 images of three classes that one bright column tells apart, with its own split."""
    return write_columns(tmp_path / "columns.npz")


@pytest.fixture
def columns_writer():
    return write_columns


@pytest.fixture(scope="session")
def set_writer():
    """As `columns_writer`, for fixtures that outlive a test."""
    return write_columns


def write_columns(path: Path, *, test_noise: int = 0) -> Path:
    rng = np.random.default_rng(3)
    parts: dict[str, Any] = {}
    for part, count in {"train": 48, "val": 18, "test": 24}.items():
        labels = np.arange(count) % 3
        images = rng.integers(0, 100, (count, 8, 8), dtype=np.uint8)
        images[np.arange(count), :, 2 * labels] = rng.integers(90, 250, (count, 8))
        if part == "test" and test_noise:
            images = np.random.default_rng(test_noise).integers(0, 256, images.shape, dtype=np.uint8)
        parts |= {f"{part}_images": images, f"{part}_labels": labels[:, None]}
    np.savez(path, **parts)
    return path


@pytest.fixture
def small(columns_file) -> Experiment:
    """A comparison that takes a second."""
    return Experiment(
        data={"source": str(columns_file)},
        encoder={"kind": "direct", "steps": 3},
        model={"kind": "mlp", "hidden": [8]},
        standardise=False,
        cnn={"kind": "mlp", "hidden": [8], "cell": {"kind": "activation"}, "output": "none"},
        train={"epochs": 2, "batch_size": 16, "learning_rate": 1e-3},
        seeds=(0, 1),
        sections=("audit", "calibration"),
        device="cpu",
    )
