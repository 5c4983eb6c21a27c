"""What happens to memory that is freed while networks are trained."""

import ctypes
import json
import os
import resource
import subprocess
import sys

import pytest
import torch

from spikewise import memory
from spikewise.memory import freed_memory_kept, resident_bytes, stop_keeping_if_short

_HAS_GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
pytestmark = pytest.mark.skipif(not _HAS_GLIBC, reason="asks glibc")

_FLOATS = 10 << 20
_BYTES = 4 * _FLOATS
"""More than glibc ever keeps by itself."""
_TRIES = 60
"""`malloc` finds room for a block and its alignment once small blocks that stay have found their places."""


def _pages() -> int:
    """Pages that the system gave for a tensor which is freed again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(_FLOATS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _fewest() -> int:
    """Of many, until a block has met no new page."""
    fewest = _pages()
    for _ in range(_TRIES):
        if fewest == 0:
            break
        fewest = min(fewest, _pages())
    return fewest


def _measured() -> dict[str, int]:
    found = {"start": resident_bytes()}
    with freed_memory_kept():
        found["within"], found["held"] = _fewest(), resident_bytes()
        with freed_memory_kept():  # as a training is within a comparison
            pass
        found["still"] = _fewest()
        stop_keeping_if_short()
        found["enough"] = _fewest()
        memory._Holders.most = 1
        stop_keeping_if_short()
        found["given_back"] = resident_bytes()
    with freed_memory_kept():
        _fewest()
    found["end"] = resident_bytes()
    return found


def _in_fresh_process(**environment: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, __file__],
        capture_output=True, text=True, check=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip
    return json.loads(done.stdout)


def test_within_it_stays_and_at_the_end_it_goes():
    found = _in_fresh_process()
    pages = _BYTES // resource.getpagesize()
    assert max(found["within"], found["still"], found["enough"]) < pages / 100
    assert found["held"] > found["start"] + 0.9 * _BYTES
    assert found["given_back"] < found["start"] + 0.5 * _BYTES
    assert found["end"] < found["start"] + 0.5 * _BYTES


def test_what_the_environment_says_of_malloc_stands():
    found = _in_fresh_process(MALLOC_MMAP_THRESHOLD_=str(1 << 20))
    assert found["within"] > 0.9 * _BYTES // resource.getpagesize()


if __name__ == "__main__":
    print(json.dumps(_measured()))
