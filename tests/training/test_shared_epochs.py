"""Real processes that share a training write what one writes."""

import os
import socket
import subprocess
import sys

import torch
from tests.training import shared_script

from spikewise.training import load_weights
from spikewise.training.loop import CHECKPOINT, WEIGHTS


def start(rank: int, folder, port: int) -> subprocess.Popen[str]:
    known = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    return subprocess.Popen(
        [sys.executable, shared_script.__file__, str(folder)],
        env={**os.environ, **{name: str(value) for name, value in known.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_write_what_one_writes(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [start(rank, tmp_path / "two", port) for rank in range(2)]
    shared_script.train(tmp_path / "one")
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    shared, *threads = zip(*(out.split("\n") for out, _ in said), strict=True)
    assert shared == ("in common" if hasattr(os, "memfd_create") else "by connection",) * 2
    if sys.platform == "linux":  # a thread of its own that the interpreter does not know may abort it at its end
        assert not any("tcpstore" in named or "gloo" in named for named in threads[0]), threads
    for name in (CHECKPOINT, WEIGHTS):
        mine, alone = load_weights(tmp_path / "two" / name)[0], load_weights(tmp_path / "one" / name)[0]
        assert mine.keys() == alone.keys()
        assert all(torch.equal(value, alone[key]) for key, value in mine.items())
