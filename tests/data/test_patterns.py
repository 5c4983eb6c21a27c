"""A pattern finds what `re` finds, and ends: however it nests, however it backtracks."""

import re

import numpy as np
import pytest

from spikewise.data import patterns
from spikewise.data.patterns import check_pattern, first_groups
from spikewise.data.subjects import pattern_subjects
from spikewise.errors import DataError

NAMES = ["person12_3.png", "img_007_person1_a.png", "none.png", "p" * 60]


@pytest.mark.parametrize("pattern", [r"(person\d+)_", r"^(?:[a-z]+_)*\d*_?(person\d+)", r"(p|q)", r"(?i)_?(PERSON1)"])
def test_a_pattern_finds_what_re_finds(pattern):
    assert first_groups(pattern, NAMES) == [found and found[1] for found in (re.search(pattern, n) for n in NAMES)]


def test_a_pattern_that_backtracks_for_ever_is_stopped(monkeypatch):
    monkeypatch.setattr(patterns, "_SECONDS", 0.5)
    with pytest.raises(DataError, match=r"needs more than 0\.5 s for 1 file names"):
        pattern_subjects(["a" * 60 + "b"], "(a+)+$")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", r"(a)(?:.*.*.*.*)c", "(?:a{1,60})+(b)", r"(a)\1*(?:x*)*"])
def test_what_may_backtrack_for_ever_is_kept_apart(pattern):
    assert patterns._may_backtrack(pattern)


@pytest.mark.parametrize("pattern", [r"(person\d+)_", r"^[a-z]*_(\d{2,4})_.*\.png$", "(a|b|c)x?"])
def test_what_cannot_is_searched_at_once(pattern):
    assert not patterns._may_backtrack(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(" * 10_000 + ")" * 10_000, "(a" + "(?:" * 240 + ")" * 241, "(a){99999}{99999}{99999}", "(a", "a", "(a)(b)"],
)
def test_what_is_no_pattern_is_told(pattern):
    with pytest.raises(ValueError, match=r"regular expression|characters|capturing group"):
        check_pattern(pattern)


def test_a_name_of_another_encoding_comes_through():
    assert first_groups("^(?:.|..)*(x)", ["\udce9x"]) == ["x"]
    np.testing.assert_array_equal(pattern_subjects(["a10_", "a9_"], r"(a\d+)_").numbers, [1, 0])
