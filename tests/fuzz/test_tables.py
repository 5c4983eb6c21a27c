"""Damaged tables of labels end in a set or in words: a sample of what `python -m benchmarks.fuzz` runs."""

import warnings

import pytest

pytest.importorskip("resource")

from benchmarks.fuzz.kinds import tables
from benchmarks.fuzz.words import complaint

from spikewise.errors import SpikewiseError


def test_mutated_tables_are_read_or_refused_in_words():
    said, read = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in tables.cases(seed=4, count=120):
            try:
                tables.run(case)
                read += 1
            except SpikewiseError as error:
                said.append(str(error))
    assert read >= 10
    assert len(said) >= 60
    assert [(text, complaint(text)) for text in said if complaint(text)] == []
