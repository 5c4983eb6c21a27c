"""Several processes share a training: one result, one message, and nothing that each would do by itself."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import spikewise
from spikewise import processes as seats
from spikewise.cli import processes
from spikewise.errors import ConfigError, ProcessesError
from spikewise.experiments import resolve
from spikewise.experiments.shared import agree
from spikewise.training import group, load_weights
from spikewise.training.common_memory import Note
from spikewise.training.group import ProcessGroup
from waiting import LONG, wait_until

SETTINGS = ("model.hidden=[8]", "encoder.steps=2", "split.limit=200", "train.learning_rate=0.01", "train.shards=4")
WHERE = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


def arguments(out: Path, epochs: int) -> list[str]:
    asked = ["train", "digits", "--quick", "--epochs", str(epochs), "--out", str(out), "--device", "cpu"]
    return [*asked, *(f"--set={one}" for one in SETTINGS)]


def started(count: int, *each: list[str]) -> list[subprocess.Popen[str]]:
    """So many processes that know of each other, as torchrun starts them; the last command is that of all others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    commands = [each[min(rank, len(each) - 1)] for rank in range(count)]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "spikewise", *command],
            env={**os.environ, **WHERE, "RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_PORT": str(port)}
            | {"OMP_NUM_THREADS": "1", "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, command in enumerate(commands)
    ]


def weights(out: Path) -> dict[str, torch.Tensor]:
    (file,) = out.glob("train-digits-*/networks/snn/seed-0/weights.safetensors")
    return load_weights(file)[0]


@pytest.fixture
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_two_processes_write_what_one_writes(tmp_path):
    both = started(2, arguments(tmp_path / "two", 2))
    settings = {"model.hidden": [8], "encoder.steps": 2, "split.limit": 200}
    rules = {"train.learning_rate": 0.01, "train.shards": 4}
    spikewise.train("digits", quick=True, epochs=2, out=tmp_path / "one", device="cpu", **settings, **rules)
    said = [process.communicate(timeout=LONG) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "test accuracy" in said[0][0]
    assert said[1] == ("", "")  # one shows what came of it, and writes
    mine, alone = weights(tmp_path / "two"), weights(tmp_path / "one")
    assert mine.keys() == alone.keys()
    assert all(torch.equal(value, alone[name]) for name, value in mine.items())


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all_in_one_message_and_the_same_command_goes_on(tmp_path, victim):
    undisturbed = started(1, arguments(tmp_path / "whole", 40))[0]
    command = arguments(tmp_path / "killed", 40)
    both = started(2, command)
    wait_until(lambda: list((tmp_path / "killed").glob("*/networks/snn/seed-0/checkpoint.safetensors")))
    both[victim].send_signal(signal.SIGKILL)
    out, said = both[1 - victim].communicate(timeout=LONG)
    assert both[1 - victim].returncode == 2
    assert said.count("has ended, and so all end. The same command goes on") == 1
    everything = out + said + both[victim].communicate()[1]
    assert not any(word in everything for word in ("Traceback", "Exception", "frame #"))
    again = started(2, command)
    words = [process.communicate(timeout=LONG)[1] for process in again]
    assert "goes on after epoch" in words[0]
    undisturbed.communicate(timeout=LONG)
    mine, whole = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in mine.items())


class Said(ProcessGroup):
    """A group in which another process was started with other words."""

    def __init__(self, change=None, size: int = 2) -> None:
        super().__init__(0, size)
        self._change = change or {}

    def words(self, text: str) -> list[str]:
        return [text, *[json.dumps({**json.loads(text), **self._change})] * (self.size - 1)]


def experiment(*settings: str, **changes):
    return resolve("digits", overrides=settings, **changes)


def test_processes_with_other_settings_are_told_which():
    with pytest.raises(ProcessesError, match=r"Process 1 .* train\.batch_size is 7, not 128"):
        agree(Said({"train.batch_size": 7}), experiment("train.shards=8"), "train")
    with pytest.raises(ProcessesError, match="command is 'compare', not 'train'"):
        agree(Said({"command": "compare"}), experiment("train.shards=8"), "train")
    agree(Said(size=8), experiment("train.shards=8"), "train")


@pytest.mark.parametrize(
    ("settings", "size", "words"),
    [
        ((), 2, r"2 processes .* 1 shard .*--set train\.shards=2,"),
        (("train.shards=8",), 3, "1, 2, 4, 8 can"),
        (("train.shards=8", "device=mps"), 2, "not on 'mps'"),
        (("train.shards=8", "device=cuda:1"), 2, "GPU of its own"),
    ],
)
def test_what_processes_cannot_share_is_said_before_anything_is_read(settings, size, words):
    with pytest.raises((ConfigError, ProcessesError), match=words):
        agree(Said(size=size), experiment(*settings), "train")


def test_commands_that_work_in_one_process_say_so(monkeypatch):
    processes.check_command("audit")  # alone
    for name, value in WHERE.items():
        monkeypatch.setenv(name, value)
    processes.check_command("compare")
    with pytest.raises(ConfigError, match="`spikewise audit` works in one"):
        processes.check_command("audit")
    with pytest.raises(ProcessesError, match="from Python, start one"):
        spikewise.train("digits", epochs=1)


def test_programs_that_a_process_starts_are_nobodys_others(monkeypatch):
    for name, value in {**WHERE, "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(seats, "_taken", None)
    assert seats.take_seat() == seats.seat() == (1, 2)
    monkeypatch.setattr(seats, "_taken", None)
    assert seats.seat() == (0, 1)  # what a program that is started now would find


def test_the_first_of_several_processes_with_a_reason_says_it(monkeypatch):
    class Store:
        count = 0

        def add(self, key: str, amount: int) -> int:
            Store.count += amount
            return Store.count

    assert group.claim_word()  # alone
    for name, value in WHERE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(group, "_store", Store())
    monkeypatch.setattr(group, "_has_word", None)
    assert group.claim_word()
    assert group.claim_word()  # it has the word still
    monkeypatch.setattr(group, "_has_word", None)  # another process
    assert not group.claim_word()
    monkeypatch.setattr(group, "_store", Gone())
    assert not group.claim_word()  # what it was told once is true when the first process is gone


class Gone:
    """The store of a process that has ended."""

    def add(self, key: str, amount: int) -> int:
        raise RuntimeError(f"no connection for {key}, {amount}")


@pytest.mark.parametrize(("rank", "noted", "speaks"), [(1, False, True), (1, True, False), (2, False, False)])
def test_where_the_first_process_is_gone_nobody_repeats_what_it_said(monkeypatch, rank, noted, speaks):
    class Noted(ProcessGroup):
        def noted(self, what: Note) -> bool:
            return noted and what is Note.WORD

    for name, value in {**WHERE, "RANK": str(rank)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(group, "_store", Gone())
    monkeypatch.setattr(group, "_has_word", None)
    monkeypatch.setattr(group, "_group", Noted(rank, 2))
    assert group.claim_word() == speaks


def test_all_that_decides_a_training_is_told():
    """A field that a task gets later must not be forgotten: it would change the updates of one process alone."""
    from spikewise.training.shared_epochs import _Lesson
    from spikewise.training.update import Task

    told = {*_Lesson.model_fields, "images", "split", "name"}  # the images are checked, the name decides nothing
    assert {field.name for field in dataclasses.fields(Task)} <= told
