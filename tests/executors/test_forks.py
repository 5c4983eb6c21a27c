"""Processes of this machine end when they are told, even those that are still loading."""

import os

import pytest

from spikewise.executors import local
from spikewise.executors.lines import LineProcess
from spikewise.executors.local import Forks
from waiting import in_time, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

HOLD = """
import os, time

def main():
    time.sleep(600)

def work(folder, arguments, listener):
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def order(tmp_path, monkeypatch):
    (tmp_path / "hold_on.py").write_text(HOLD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    return {"name": "w", "call": "hold_on:work", "folder": str(tmp_path), "arguments": {}, "directory": str(tmp_path),
            "log": str(tmp_path / "log.txt")}  # fmt: skip


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_that_still_loads_is_not_waited_for(order, tmp_path, monkeypatch):
    """On a busy machine Ctrl-C in the first seconds of a sweep had to wait for PyTorch to be loaded."""
    started = []

    def slow(module, arguments, log, environment):
        started.append(LineProcess("hold_on", arguments, log, environment))
        return started[0]

    monkeypatch.setattr(local, "LineProcess", slow)
    forks = Forks(tmp_path / "logs", 1)
    forks.begin(order)
    in_time(forks.close)  # it would wait for ten minutes
    assert started[0].exit_code() is not None


def test_work_ends_with_the_executor(order, tmp_path):
    forks = Forks(tmp_path / "logs", 1)
    forks.begin(order)
    pid = tmp_path / "pid"
    wait_until(lambda: forks.events() or (pid.exists() and pid.read_text()), (tmp_path / "log.txt").read_text)
    worker = int(pid.read_text())
    forks.close()
    assert not lives(worker)
