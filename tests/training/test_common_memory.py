"""Memory of several processes: found by those of this machine, and by no others."""

import os

import pytest
import torch

from spikewise.training.common_memory import CommonRows, _found, _mapped

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory without a name is Linux's")
LENGTH, TOKEN = 1 << 16, 12345


@pytest.fixture
def shown():
    """The memory of a process, and where others find it."""
    file = os.memfd_create("test")
    yield _mapped(file, LENGTH, TOKEN), f"/proc/{os.getpid()}/fd/{file}"
    os.close(file)


def test_what_one_writes_others_read(shown):
    memory, path = shown
    other = _found(path, LENGTH, TOKEN)
    memory[10:15] = b"hello"
    assert other[10:15] == b"hello"


@pytest.mark.parametrize(("length", "token"), [(LENGTH, TOKEN + 1), (2 * LENGTH, TOKEN)], ids=["token", "length"])
def test_other_memory_at_the_same_place_is_not_taken(shown, length, token):
    """As where the number of the first process is another's on another machine."""
    with pytest.raises(FileNotFoundError):
        _found(shown[1], length, token)


@pytest.mark.parametrize("place", ["/proc/self/fd/99999", "/proc/self/status", "/proc/1/fd/999"])
def test_a_place_that_is_not_there_is_not_taken(place):
    with pytest.raises(OSError, match=place):
        _found(place, LENGTH, TOKEN)


class Here:
    """A barrier of one."""

    def wait(self):
        pass


def test_rows_stay_until_the_next_exchange_but_one(shown):
    rows = CommonRows(shown[0], Here(), rank=1, size=2, room=LENGTH // 4)
    first = rows.exchange(torch.full((100,), 1.0, dtype=torch.float64))[1]
    second = rows.exchange(torch.full((100,), 2.0, dtype=torch.float64))[1]
    assert first.tolist() == [1.0] * 100
    assert second.tolist() == [2.0] * 100
    rows.exchange(torch.full((100,), 3.0, dtype=torch.float64))
    assert first.tolist() == [3.0] * 100
