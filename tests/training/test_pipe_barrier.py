"""All wait for the last, and a process that ends is noticed by those that wait for it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from spikewise.training.pipe_barrier import PipeBarrier
from waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="pipes of other processes are Linux's")
OTHER = """import sys
from spikewise.training.pipe_barrier import PipeBarrier
barrier = PipeBarrier.reached(*map(int, sys.argv[2:]))
print("open", flush=True)
for _ in range(int(sys.argv[1])):
    barrier.wait()
sys.stdin.readline()
"""


@pytest.fixture
def meeting():
    """The barrier of this process, and others that wait at it so many times and then for a word."""
    barriers, processes = [], []

    def make(*times):
        barrier, ends = PipeBarrier.opened(len(times))
        for count, (read, write) in zip(times, ends, strict=True):
            words = [sys.executable, "-c", OTHER, *map(str, (count, os.getpid(), read, write))]
            processes.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for process, pair in zip(processes, ends, strict=True):
            assert process.stdout.readline() == b"open\n"
            for end in pair:
                os.close(end)
        barriers.append(barrier)
        return barrier, processes

    yield make
    for process in processes:
        process.kill()
        process.communicate()
    for barrier in barriers:
        barrier.close()


def several(barrier, times):
    for _ in range(times):
        barrier.wait()


def test_none_goes_on_before_all_are_here(meeting):
    barrier, _ = meeting(3, 2)
    several(barrier, 2)
    went_on = threading.Event()
    third = threading.Thread(target=lambda: (_waited(barrier), went_on.set()), daemon=True)
    third.start()  # one of the others does not come
    time.sleep(0.1)
    assert not went_on.is_set()


def _waited(barrier):
    with pytest.raises(RuntimeError, match="closed"):
        barrier.wait()


def test_one_that_ended_is_noticed(meeting):
    barrier, processes = meeting(5, 5)
    barrier.wait()
    processes[1].kill()
    with pytest.raises(RuntimeError, match="closed"):
        several(barrier, 3)


def test_others_notice_that_the_first_has_ended(meeting):
    barrier, processes = meeting(2, 2)
    barrier.wait()
    barrier.close()
    wait_until(lambda: all(process.poll() for process in processes))


def test_what_is_no_pipe_of_that_process_is_not_taken():
    with pytest.raises(OSError, match="99999"):
        PipeBarrier.reached(os.getpid(), 99999, 99998)


def open_files():
    return {int(end.name) for end in Path("/proc/self/fd").iterdir() if end.exists()}


def test_a_process_that_may_not_have_so_many_pipes_has_none_of_them():
    import resource  # Windows has none

    before, limits = open_files(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before) + 40, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            PipeBarrier.opened(100)
        assert open_files() == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_one_that_has_left_does_not_take_other_files_of_the_same_numbers_for_its_pipes():
    barrier, ((read, write),) = PipeBarrier.opened(1)
    barrier.close()
    nothing = os.open(os.devnull, os.O_WRONLY)  # what is opened has the lowest number that is free: where it wrote,
    mine = os.pipe()  # and where it read
    os.write(mine[1], b"..")
    with pytest.raises(RuntimeError, match="closed"):
        barrier.wait()
    assert os.read(mine[0], 9) == b".."
    for end in (read, write, nothing, *mine):
        os.close(end)
