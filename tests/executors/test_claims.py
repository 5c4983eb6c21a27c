"""A claim is one process's, and nobody's once that is gone; of many who try at once, one gets it."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spikewise.executors.claims import LEASE, Claims


def owned(folder, **changes):
    """A claim as another process wrote it."""
    claim = {"host": socket.gethostname(), "pid": os.getpid(), "begun": "0", "token": "other", **changes}
    folder.mkdir(exist_ok=True)
    (folder / "work.json").write_text(json.dumps(claim))
    return folder / "work.json"


def test_a_claim_is_the_first_ones_until_it_is_given_up(tmp_path):
    first, second = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    assert first.take("work")
    assert first.take("work")
    assert not second.take("work")
    first.release("work")
    assert second.take("work")
    second.close()
    assert not (tmp_path / "claims").exists()


def test_the_claim_of_a_process_that_is_gone_is_nobodys_at_once(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owned(tmp_path / "claims", pid=gone.pid)
    assert Claims(tmp_path / "claims").take("work")


def test_a_process_with_the_number_of_one_that_is_gone_is_another(tmp_path):
    owned(tmp_path / "claims", begun="12345")
    assert Claims(tmp_path / "claims").take("work")


@pytest.mark.parametrize(("age", "free"), [(0, False), (LEASE / 2, False), (LEASE * 2, True)])
def test_the_claim_of_another_machine_is_good_while_it_is_renewed(tmp_path, age, free):
    file = owned(tmp_path / "claims", host="elsewhere")
    os.utime(file, (time.time() - age,) * 2)
    assert Claims(tmp_path / "claims").take("work") == free


def test_of_many_who_take_over_a_claim_one_gets_it(tmp_path):
    for _ in range(20):
        owned(tmp_path / "claims", begun="12345")
        rivals = [Claims(tmp_path / "claims") for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda rival: rival.take("work"), rivals))
        assert sum(got) == 1
        rivals[got.index(True)].release("work")


def test_a_damaged_claim_is_like_one_that_nobody_renews(tmp_path):
    file = owned(tmp_path / "claims")
    file.write_text("{")
    assert not Claims(tmp_path / "claims").take("work")
    os.utime(file, (time.time() - 2 * LEASE,) * 2)
    assert Claims(tmp_path / "claims").take("work")


def test_what_a_dead_owner_left_in_a_queue_is_found(tmp_path):
    first = Claims(tmp_path / "claims")
    first.take("work")
    first.note("work", "job 7")
    assert Claims(tmp_path / "claims").left("work") == ("job 7", first.token)
    assert not Claims(tmp_path / "claims").take("work")


def test_work_that_is_taken_over_finds_in_its_claim_what_it_was_told(tmp_path):
    owned(tmp_path / "claims", begun="12345", handle="job 7")
    second = Claims(tmp_path / "claims")
    handle, token = second.left("work")
    assert second.take("work")
    second.note("work", handle, token)
    assert json.loads((tmp_path / "claims" / "work.json").read_text())["token"] == "other"
    assert not Claims(tmp_path / "claims").take("work")
