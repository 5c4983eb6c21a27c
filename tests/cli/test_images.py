"""Images as a command line names them."""

import io
from pathlib import Path

from spikewise.cli.images import named_sources


def test_files_and_standard_input_keep_their_names_and_a_name_too_long_is_left_to_the_decoder():
    found = named_sources(["a.png", "-", "x" * 5000], io.BytesIO(b"bytes"))
    assert found == [("a.png", Path("a.png")), ("-", b"bytes"), ("x" * 5000, Path("x" * 5000))]
