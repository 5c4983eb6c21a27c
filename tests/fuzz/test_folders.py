"""Folders of every layout and name end in a set or in words: a sample of what `python -m benchmarks.fuzz` runs."""

import warnings

import pytest

pytest.importorskip("resource")

from benchmarks.fuzz.kinds import folders
from benchmarks.fuzz.words import complaint

from spikewise.errors import SpikewiseError


def test_mutated_folders_are_read_or_refused_in_words():
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in folders.cases(seed=3, count=40):
            try:
                folders.run(case)
            except SpikewiseError as error:
                said.append(str(error))
    assert len(said) <= 35, "some are read"
    assert [(text, complaint(text)) for text in said if complaint(text)] == []
