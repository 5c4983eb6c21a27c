"""Images as a command line names them."""

import io
from pathlib import Path

import pytest

from spikewise.cli.images import named_sources
from spikewise.errors import ConfigError


def test_files_and_standard_input_keep_their_names_and_a_name_too_long_is_left_to_the_decoder():
    found = named_sources(["a.png", "-", "x" * 5000], io.BytesIO(b"bytes"))
    assert found == [("a.png", Path("a.png")), ("-", b"bytes"), ("x" * 5000, Path("x" * 5000))]


def test_a_second_run_is_refused_and_its_pictures_are_no_images_to_answer(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "samples.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"is a run folder.*takes one run"):
        named_sources([str(tmp_path)], io.BytesIO())
