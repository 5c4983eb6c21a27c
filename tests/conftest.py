"""Fixtures that every part of the package may need."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real image sets, as laid out by `spikewise download`."""
    named = os.environ.get("SPIKEWISE_DATA")
    if not named:
        pytest.skip("set SPIKEWISE_DATA to a folder with the real image sets")
    return Path(named)
