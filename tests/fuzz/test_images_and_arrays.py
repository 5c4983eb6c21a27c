"""A fixed sample of damaged images and arrays: each ends in a result or in one message in words."""

from collections import Counter

import pytest

pytest.importorskip("resource")

from benchmarks.fuzz import kinds
from benchmarks.fuzz.harness import judged


@pytest.mark.parametrize(("kind", "count"), [("arrays", 120), ("images", 120)])
def test_a_sample_is_answered_in_words(kind, count):
    module = kinds.kind(kind)
    found = [(case.name, *judged(module, case)) for case in module.cases(11, count)]
    assert [one for one in found if one[1] == "failure"] == []
    assert min(Counter(outcome for _, outcome, _, _ in found).values()) > 8  # results, and messages


@pytest.mark.parametrize("kind", ["arrays", "images"])
def test_a_seed_decides_the_cases(kind):
    module = kinds.kind(kind)
    assert list(module.cases(3, 30)) == list(module.cases(3, 30)) != list(module.cases(4, 30))
