"""Memory of several processes: found by those of this machine, and by no others."""

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from spikewise.errors import ProcessesError
from spikewise.training import common_memory, group
from spikewise.training.common_memory import CommonRows, Note, _found, _mapped
from spikewise.training.group import ProcessGroup

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


TERMINAL = """import os
from spikewise.training.common_memory import _found
mine, others = os.openpty()
try:
    _found(os.ttyname(others), 1 << 16, 12345)
except FileNotFoundError:
    pass
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError:
    print("none")
"""


def test_a_terminal_at_the_same_place_does_not_become_this_process_s():
    """Its Ctrl-C and its end would be this process's, too."""
    command = [sys.executable, "-c", TERMINAL]
    said = subprocess.run(command, start_new_session=True, capture_output=True, text=True, check=True).stdout
    assert said == "none\n"


class Connection:
    """What two threads of this process tell each other as if they were two."""

    def __init__(self, *breaks: str) -> None:
        self._places, self._found, self._breaks = queue.Queue(), [], breaks
        self._all_here = threading.Barrier(2)

    def broadcast(self, place, first):
        if "broadcast" in self._breaks:
            raise RuntimeError("broken")
        if threading.current_thread().name == "0":
            self._places.put(place.clone())
        else:
            place.copy_(self._places.get())

    def all_reduce(self, reached, how):
        self._found.append(int(reached))
        self._all_here.wait()
        if "all_reduce" in self._breaks:
            raise RuntimeError("broken")
        reached.fill_(min(self._found))


def two_rooms(connection, monkeypatch):
    """What each of two processes gets: its rows, none, or an error."""
    monkeypatch.setattr("torch.distributed.broadcast", connection.broadcast)
    monkeypatch.setattr("torch.distributed.all_reduce", connection.all_reduce)
    got = {}

    def one(rank):
        try:
            got[rank] = CommonRows.of_all(rank, 2, 1)
        except RuntimeError as error:
            got[rank] = str(error)

    both = [threading.Thread(target=one, args=(rank,), name=str(rank)) for rank in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    return [got[0], got[1]]


def pipes():
    return sorted(str(end.readlink()) for end in Path("/proc/self/fd").iterdir() if end.is_fifo())


@pytest.mark.parametrize("broken", ["broadcast", "all_reduce"])
def test_a_connection_that_breaks_leaves_no_pipe_open(broken, monkeypatch):
    before = pipes()
    assert two_rooms(Connection(broken), monkeypatch) == ["broken", "broken"]
    assert pipes() == before


def test_none_has_room_where_one_does_not_reach_it(monkeypatch):
    before = pipes()

    def unreached(*arguments):
        raise PermissionError

    monkeypatch.setattr(common_memory, "_found", unreached)
    assert two_rooms(Connection(), monkeypatch) == [None, None]
    assert pipes() == before


def test_rows_stay_while_another_process_is_an_exchange_ahead(monkeypatch):
    before = pipes()
    first, second = two_rooms(Connection(), monkeypatch)

    def quick():
        for value in (1.0, 2.0, 3.0):
            first.exchange(torch.full((100,), value))

    ahead = threading.Thread(target=quick)
    ahead.start()
    for value in (1.0, 2.0):
        table = second.exchange(torch.full((100,), -value))
        ahead.join(0.1)  # it writes what comes next, and waits
        assert table.tolist() == [[value] * 100, [-value] * 100]
    second.exchange(torch.zeros(100))
    ahead.join()
    first.close()
    second.close()
    assert pipes() == before


def test_others_are_told_at_once_that_one_has_ended(monkeypatch):
    """Not when this process has said it and is about to go: they would say it again."""
    before = pipes()
    first, second = two_rooms(Connection(), monkeypatch)
    group = ProcessGroup(0, 3)
    group._common = first
    second.close()
    with pytest.raises(ProcessesError, match="One of the 3 processes"):
        group.gather(torch.zeros(1))
    assert pipes() == before


def test_what_was_noted_is_known_when_who_noted_it_has_ended(monkeypatch):
    first, second = two_rooms(Connection(), monkeypatch)
    first.note(Note.WORD)
    first.close()
    assert (second.noted(Note.WORD), second.noted(Note.OVER)) == (True, False)
    second.close()
    assert first.noted(Note.WORD)


def broken(*arguments):
    raise RuntimeError("broken")


def test_nobody_is_missed_when_the_first_has_let_the_others_go(monkeypatch):
    """Its word reaches some through others, which may end as soon as they have it."""
    first, second = two_rooms(Connection(), monkeypatch)
    here, there = ProcessGroup(0, 2), ProcessGroup(1, 2)
    here._common, there._common = first, second
    monkeypatch.setattr("torch.distributed.broadcast", broken)
    with pytest.raises(ProcessesError, match="One of the 2 processes"):
        there.hear()
    with pytest.raises(ProcessesError, match="One of the 2 processes"):
        here.let_go()
    assert there.hear() == ({}, {})


@pytest.mark.parametrize("together", [True, False])
def test_others_are_let_go_where_all_are_on_one_machine_and_stay_where_they_are_not(monkeypatch, together):
    told = []
    one = ProcessGroup(0, 2)
    monkeypatch.setattr(ProcessGroup, "is_on_one_machine", together)
    monkeypatch.setattr(one, "let_go", lambda: told.append("over"))
    monkeypatch.setattr(group, "_group", one)
    monkeypatch.setattr(group, "_let_go", False)
    group.let_others_go()
    assert told == ["over"] * together
    assert (group.current_group() is None) == together
    assert group.group_size() == 2
