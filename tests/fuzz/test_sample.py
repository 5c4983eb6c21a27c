"""A small fixed sample of the fuzzer's own cases."""

import pytest

pytest.importorskip("resource")

from benchmarks.fuzz import kinds
from benchmarks.fuzz.harness import judged


def test_settings_are_answered_in_words():
    kind = kinds.kind("settings")
    ends = [(case.name, *judged(kind, case)) for case in kind.cases(seed=11, count=40)]
    assert [end for end in ends if end[1] == "failure"] == []
    assert {end[1] for end in ends} == {"result", "message"}
