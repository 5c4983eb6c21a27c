"""The fuzzer sees every way in which an input can fail to be answered."""

import os
import time
import warnings
from typing import NamedTuple

import pytest

pytest.importorskip("resource")

from benchmarks.fuzz.harness import Limits, outcomes
from benchmarks.fuzz.words import complaint

from spikewise.errors import ConfigError


class Planted(NamedTuple):
    name: str


class Faults:
    """A kind whose cases end as their names say."""

    def cases(self, seed, count):
        names = ("result", "message", "raw", "mute", "warning", "hang", "memory", "exit", "panic", "loop")
        return (Planted(name) for name in names[:count])

    def run(self, case):
        match case.name:
            case "message":
                raise ConfigError("The number of seeds is at least 1; got 0.")
            case "raw":
                raise ConfigError("'epochs': Input should be a valid integer")
            case "mute":
                raise IndexError
            case "warning":
                warnings.warn("of a library", UserWarning, stacklevel=1)
            case "hang":
                time.sleep(60)
            case "loop":
                while True:
                    pass
            case "memory":
                bytearray(2**31)
            case "exit":
                os._exit(3)
            case "panic":
                raise BaseException("of another language")


def test_each_way_to_fail_is_a_failure():
    found = {
        one.name: one
        for one in outcomes(Faults(), seed=0, count=10, limits=Limits(seconds=1.5, patience=1, memory_mib=256))
    }
    assert {name for name, one in found.items() if one.outcome == "failure"} == {*found} - {"result", "message"}
    assert (found["result"].outcome, found["message"].outcome) == ("result", "message")
    assert "more than 1.5 s" in found["hang"].text
    assert "time.sleep" in found["hang"].detail or "in run" in found["hang"].detail
    assert "MemoryError" in found["memory"].text
    assert "status 3" in found["exit"].text


def test_what_ends_or_fails_in_a_shared_process_is_run_again_in_its_own():
    class Shared(Faults):
        TOGETHER = 7
        run_within = Faults.run

        def run(self, case):
            """As a kind whose processes keep what hangs and what exits from it."""
            if case.name not in {"hang", "exit"}:
                super().run(case)

    limits = Limits(seconds=1.5, patience=1, memory_mib=256)
    found = {one.name: one for one in outcomes(Shared(), seed=0, count=10, limits=limits)}
    assert [one.number for one in found.values()] == list(range(10))
    assert {name for name, one in found.items() if one.outcome == "failure"} == {
        "raw", "mute", "warning", "memory", "panic", "loop",
    }  # fmt: skip
    assert {name for name, one in found.items() if not one.again} == {"result", "message"}


def test_a_case_can_be_run_alone():
    found = list(outcomes(Faults(), seed=0, count=9, limits=Limits(seconds=5), only=frozenset({1})))
    assert [one.name for one in found] == ["message"]


@pytest.mark.parametrize(
    "text",
    ["", "x" * 5000, "Input should be a valid list", "half \ud800", "bell \x07", "at <function f at 0x7f0000000000>"],
)
def test_a_message_that_no_user_can_read_is_told(text):
    assert complaint(text)


def test_a_plain_message_is_none():
    assert complaint("Unknown preset 'mnist-alf'. Did you mean 'mnist-alif'?") is None
