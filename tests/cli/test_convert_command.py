"""`spikewise convert` makes a run's twin spike, says what that costs, and refuses in words."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from spikewise.cli.main import app
from spikewise.conversion import Conversion
from spikewise.errors import SpikewiseError


@pytest.fixture
def folder(run, tmp_path):
    """A run of its own: a conversion is noted in it."""
    return shutil.copytree(run.folder, tmp_path / "run")


def test_it_prints_a_table_the_answer_and_where_the_page_is(command, folder):
    done = command("convert", folder, "--steps", "2, 8")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == ["twin", "snn, trained directly", "T = 2", "T = 8"]
    assert "Converted, the same network without spikes" in done.stdout
    assert "if1 loses most: with T = 8" in done.stdout
    assert lines[-1] == f"page: {folder / 'conversions' / 'twin-balance' / 'convert.html'}"
    assert "testing 2 steps" in done.stderr


def test_json_is_what_is_kept_and_the_networks_classify(command, folder, image):
    done = command("convert", folder, "--steps", "4", "--percentile", "100", "--wait", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    place = folder / "conversions" / "twin-balance"
    assert told.pop("folder") == str(place)
    assert told == Conversion.load(place / "convert.json").model_dump(mode="json")
    assert [row["waits"] for row in told["rows"]] == [False, True]
    answer = command("predict", place, image, "--format", "jsonl")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["label"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "4;8"], "--steps takes whole numbers with commas between them, such as 4,8,16; got '4;8'"),
        (["--steps", "-4"], "--steps takes whole numbers"),
        (["--steps", ""], "--steps takes whole numbers"),
        (["--steps", "9" * 400], "--steps takes whole numbers"),
        (["--method", "magic"], "Unknown method 'magic'"),
        (["--network", "snn"], "The network 'snn' cannot be converted: layer lif1 spikes already"),
        (["--network", "cnn"], "layer max_pool1"),
        (["--percentile", "101"], "The percentile lies above 0 and up to 100"),
    ],
)
def test_a_mistake_is_told_in_words(folder, arguments, words):
    """In this process: how `main` ends then is the test below, and that of all commands."""
    done = CliRunner().invoke(app, ["convert", str(folder), *arguments])
    assert isinstance(done.exception, SpikewiseError), done.exception
    assert words in str(done.exception)
    assert done.stdout == ""
    assert not (folder / "conversions").exists()


def test_a_mistake_ends_with_exit_code_2(command, folder):
    done = command("convert", folder, "--network", "cnn")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: The network 'cnn' cannot be converted")
    assert "Traceback" not in done.stderr
