"""Fixtures that every part of the package may need."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from spikewise.shell import in_command

# How long an example takes says something about the machine, not about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real image sets, as laid out by `spikewise download`."""
    named = os.environ.get("SPIKEWISE_DATA")
    if not named:  # they are gigabytes under licences of their own, and no part of the project
        pytest.skip("set SPIKEWISE_DATA to a folder with the real image sets")
    return Path(named)


@pytest.fixture(autouse=True)
def words_of_commands() -> Iterator[None]:
    """Messages are held against what stands in the source; what Python makes of them has tests of its own."""
    with in_command():
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():  # what needs none of it runs under Triton's interpreter
            pytest.skip("needs an NVIDIA GPU")
