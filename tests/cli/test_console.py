"""What reaches the terminal."""

import pytest

from spikewise.cli.console import complain


def test_a_name_from_a_file_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    complain("class '\x1b[31mred\x07' is empty,\nremove it: é")
    assert capsys.readouterr().err == "Error: class '\\x1b[31mred\\x07' is empty,\nremove it: é\n"
