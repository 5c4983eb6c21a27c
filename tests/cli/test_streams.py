"""The console is whatever it is: of another alphabet, closed, narrow; the program is right all the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Classes whose names no Western console knows."""
    root = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    for name in ("gruen 日本", "żółty"):
        (root / name).mkdir()
        for k in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8)).astype(np.uint8)).save(root / name / f"ü{k}日.png")
    return root


# A shell closes streams and sets limits before the interpreter starts; nothing in Python can do that from within.
needs_sh = pytest.mark.skipif(os.name != "posix", reason="Windows has no sh to close a stream or set a limit")


def spikewise(*arguments, tail="", **environment):
    words = [sys.executable, "-m", "spikewise.cli.main", *map(str, arguments)]
    given = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
    return subprocess.run(["sh", "-c", f'"$@" {tail}', "sh", *words], capture_output=True, check=False, env=given)


@needs_sh
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["cp1252", "C"],
)
def test_names_beyond_the_console_are_escaped_and_json_stays_json(images, environment, tmp_path):
    cache = {"SPIKEWISE_CACHE": str(tmp_path)}
    plain = spikewise("data", "info", images, **environment, **cache)
    # Where file names are no text either, their bytes stand for them.
    escaped = rb"\xe6\x97\xa5\xe6\x9c\xac" if "LC_ALL" in environment else rb"\u65e5\u672c"
    assert (plain.returncode, escaped in plain.stdout) == (0, True)
    told = spikewise("data", "info", images, "--json", **environment, **cache)
    name = escaped.decode() if "LC_ALL" in environment else "日本"
    assert f"class gruen {name}" in json.loads(told.stdout.decode("ascii"))


@needs_sh
@pytest.mark.parametrize("tail", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_leads_nowhere(tail):
    done = spikewise("presets", tail=tail)
    assert done.returncode == 0
    assert (b"mnist-alif" in done.stdout) == (">&-" not in tail.split())


@needs_sh
def test_few_files_no_home_and_a_narrow_terminal_do(tmp_path):
    done = spikewise("presets", tail="", COLUMNS="20", HOME="", SPIKEWISE_CACHE=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, b"")


@needs_sh
@pytest.mark.parametrize("arguments", [("evaluate", "RUN"), ("audit", "digits")], ids=lambda words: words[0])
def test_a_folder_that_is_gone_is_named(tmp_path, arguments):
    here = tmp_path / "gone"
    here.mkdir()
    words = [sys.executable, "-m", "spikewise.cli.main", *(str(tmp_path) if one == "RUN" else one for one in arguments)]
    given = {**os.environ, "PYTHONPATH": str(SOURCE), "SPIKEWISE_CACHE": str(tmp_path / "cache")}
    line = f'cd "{here}"; rmdir "{here}"; "$@"'
    done = subprocess.run(["sh", "-c", line, "sh", *words], capture_output=True, check=False, env=given, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: The folder in which this command was given is not there any more: go to another, and give it again.\n"
    )
