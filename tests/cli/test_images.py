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


def test_images_of_a_folder_stand_as_people_count_them(tmp_path):
    names = ["Bild 2.png", "Bild 10.png", "Bild 10/a9.png", "Bild 10/a12.png", "x.png"]
    for name in reversed(names):
        (tmp_path / name.replace("10/", "9/")).parent.mkdir(exist_ok=True)
        (tmp_path / name.replace("10/", "9/")).write_bytes(b"")
    found = [Path(name).relative_to(tmp_path).as_posix() for name, _ in named_sources([str(tmp_path)], io.BytesIO())]
    assert found == ["Bild 2.png", "Bild 9/a9.png", "Bild 9/a12.png", "Bild 10.png", "x.png"]
