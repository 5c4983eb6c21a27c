"""A fixed sample of damaged NIR files: each ends in a network or in one message in words."""

import pytest

pytest.importorskip("resource")
pytest.importorskip("nir", reason="nir is not installed: pip install 'spikewise[nir]'")

from benchmarks.fuzz import kinds
from benchmarks.fuzz.harness import judged


def test_a_sample_of_nir_files_is_answered_in_words():
    kind = kinds.kind("nir")
    found = [(case.name, *judged(kind, case)) for case in kind.cases(11, 80)]
    assert [one for one in found if one[1] == "failure"] == []
    assert {one[1] for one in found} == {"result", "message"}


def test_a_seed_decides_the_files():
    kind = kinds.kind("nir")
    names = [[case.name for case in kind.cases(seed, 20)] for seed in (3, 3, 4)]
    assert names[0] == names[1] != names[2]
