"""What happens to memory that is freed while networks are trained."""

import ctypes
import json
import os
import resource
import subprocess
import sys

import pytest
import torch

from spikewise.memory import freed_memory_kept, resident_bytes

_HAS_GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
pytestmark = pytest.mark.skipif(not _HAS_GLIBC, reason="asks glibc")

_FLOATS = 48 << 20
_BYTES = 4 * _FLOATS
"""More than glibc ever keeps by itself."""


def _pages() -> int:
    """Pages that the system gave for a tensor which is freed again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(_FLOATS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _measured() -> dict[str, int]:
    found = {"start": resident_bytes()}
    with freed_memory_kept():
        for _ in range(3):  # `malloc` finds room for a block and its alignment in what two have left
            _pages()
        with freed_memory_kept():  # as a training is within a comparison
            pass
        found["within"], found["held"] = _pages(), resident_bytes()
    found["end"] = resident_bytes()
    for _ in range(3):
        _pages()
    found["after"] = _pages()
    return found


def _in_fresh_process(**environment: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, __file__],
        capture_output=True, text=True, check=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip
    return json.loads(done.stdout)


def test_within_it_stays_and_at_the_end_it_goes():
    found = _in_fresh_process()
    assert found["within"] < found["after"] / 100
    assert found["held"] > found["start"] + 0.9 * _BYTES
    assert found["end"] < found["start"] + 0.1 * _BYTES


def test_what_the_environment_says_of_malloc_stands():
    found = _in_fresh_process(MALLOC_MMAP_THRESHOLD_=str(1 << 20))
    assert found["within"] > found["after"] / 2


if __name__ == "__main__":
    print(json.dumps(_measured()))
