"""Every export format is what the command expects of one."""

from importlib import import_module

import pytest

from spikewise.errors import DependencyError
from spikewise.interop import FORMATS
from spikewise.interop.formats import format_named


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_known_by_the_name_that_it_gives_itself(name):
    try:
        found = format_named(name)
    except DependencyError as error:
        pytest.skip(str(error))
    assert found.name == name
    assert found.title
    assert not found.about.endswith(".")
    # declared as a format, so that mypy holds it against the protocol
    assert import_module(FORMATS[name]).FORMAT is found
