"""Runs that grow as a test tells them to."""

import pytest
from tests.written_runs import WrittenRun


@pytest.fixture
def written(tmp_path, monkeypatch) -> WrittenRun:
    """A run that has its folder, and nothing in it yet."""
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    return WrittenRun(tmp_path / "runs" / "compare-digits-12345678")


@pytest.fixture
def finished(written) -> WrittenRun:
    """The same when it is over."""
    written.finish()
    return written
