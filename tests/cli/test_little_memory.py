"""A process that may have little memory is told so in words, and with what it can do."""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits addresses as Linux counts them")

_ROOM = 400 << 20
"""Bytes beyond the loaded program: more than the images and the weights need, less than a batch of 128."""
_LIMITED = f"""
import resource, sys
import spikewise.api.runs, spikewise.report, torch
from pathlib import Path
from spikewise.cli.main import main
torch.ones(1, requires_grad=True).sum().backward()
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + {_ROOM}, resource.RLIM_INFINITY))
main()
"""


def _train(folder, *settings):
    arguments = ["train", "digits", "--quick", "--epochs", "1", "--out", str(folder), "-q", "--set", "engine=reference"]
    layers = ["--set", "model.hidden=[4096]", "--set", "encoder.steps=100", *settings]
    words = [sys.executable, "-c", _LIMITED, *arguments, *layers]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(tmp_path):
    done = _train(tmp_path, "--set", "train.batch_size=128")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    said = " ".join(done.stderr.split())
    assert re.search(
        r"does not hold an update with a batch of 128 images; (\d+) fit\. Use --set train\.batch_size=\1\.", said
    )


@pytest.mark.parametrize(
    "refusal",
    [
        "MemoryError('std::bad_alloc')",
        "OSError(12, 'Cannot allocate memory')",
        "RuntimeError('[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can\\'t allocate memory')",
        "RuntimeError('unable to mmap 8 bytes from file <x>: Cannot allocate memory (12)')",
    ],
)
def test_what_nothing_nearer_has_caught_ends_in_words(refusal):
    program = f"import spikewise.cli.main as m\ndef app(**_): raise {refusal}\nm.app = app\nm.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The memory was too small for this (")
    assert "Traceback" not in done.stderr


def test_any_other_fault_stays_one():
    program = "import spikewise.cli.main as m\ndef app(**_): raise RuntimeError('a shape')\nm.app = app\nm.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError: a shape" in done.stderr
