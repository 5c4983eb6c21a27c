"""Threads that wait do not take the machine, and a single image is one thread's work."""

import os
import subprocess
import sys

import pytest
import torch

from spikewise.threads import one_thread


def policy(*code: str, **environment: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    script = "; ".join((*code, "import os", "print(os.environ.get('OMP_WAIT_POLICY'))"))
    there = {**clean, **environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=there, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_waiting_threads_sleep_unless_somebody_said_otherwise():
    assert policy("import spikewise") == "passive"
    assert policy("import spikewise", OMP_WAIT_POLICY="active") == "active"
    # What is loaded has read it already: to set it then would tell only other programs.
    assert policy("import sys, types", "sys.modules['torch'] = types.ModuleType('torch')", "import spikewise") == "None"


def test_the_number_of_threads_is_back_after_one():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with pytest.raises(ValueError, match="inside"), one_thread():
            raise ValueError("inside")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


FORKED = """
import os, signal, sys
import spikewise, torch

def work():
    torch.ones(400, 400).exp().sum()
    torch.nn.functional.cross_entropy(torch.ones(900, 90), torch.ones(900).long())

work()
child = os.fork()
if child == 0:
    signal.alarm(20)  # what hangs ends by it
    work()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_is_forked_after_work_on_several_threads_can_work_too():
    there = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], env=there, check=False)
    assert done.returncode == 0
