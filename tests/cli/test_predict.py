"""`predict`: a table for few images, CSV for many, JSON with evidence for who asks."""

import csv
import io
import json
import shutil
import sys
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from spikewise.api import Run
from spikewise.cli import main as entry
from spikewise.data import load_data


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run a command in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["spikewise", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        return Done(int(stop.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path):
    """Twenty-five digits."""
    where = tmp_path / "digits"
    where.mkdir()
    for at, digit in enumerate(load_data("digits").images[:25, 0]):
        Image.fromarray(digit).save(where / f"{at:02}.png")
    return where


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_many_images_are_csv_of_the_same_answers(command, run: Run, folder):
    done = command("predict", run.folder, folder)
    assert done.returncode == 0
    said = [line.split(",")[0] for line in done.stderr.splitlines()]
    assert said == ["9 of 25 images are ones that this run learned from", "Answered by snn"]
    answers = rows(done.stdout)
    assert list(answers[0]) == ["image", "label", "probability", "unlike"]
    told = json.loads(command("predict", run.folder, folder, "--json").stdout)
    assert [one["label"] for one in answers] == [one["label"] for one in told]
    assert [float(one["probability"]) for one in answers] == pytest.approx(
        [one["probability"] for one in told], rel=1e-5
    )
    assert set(told[0]) >= {"evidence", "layer_spikes", "spikes", "probabilities", "unlike"}


def test_few_images_are_a_table(command, run: Run, folder):
    out = command("predict", run.folder, folder / "00.png", folder / "01.png", "--top", 2).stdout
    header, *lines = out.splitlines()
    assert header.split() == ["image", "label", "probability", "label_2", "probability_2"]
    assert len(lines) == 2


def test_answers_go_to_a_file_whose_name_says_the_format(command, run: Run, folder, tmp_path):
    assert command("predict", run.folder, folder, "--out", "a.csv", "--top", 3).stdout == "a.csv\n"
    answers = rows((tmp_path / "a.csv").read_text())
    assert len(answers) == 25
    for one in answers:
        ranked = [float(one[name]) for name in ("probability", "probability_2", "probability_3")]
        assert ranked == sorted(ranked, reverse=True)
        assert len({one[name] for name in ("label", "label_2", "label_3")}) == 3
    command("predict", run.folder, folder, "--out", "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [one["label"] for one in lines] == [one["label"] for one in answers]
    assert "evidence" not in lines[0]
    command("predict", run.folder, folder, "--evidence", "--out", "a.jsonl")
    assert len(json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])["evidence"]) == 4  # time steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "xml"), "Unknown format 'xml'. Available: csv, jsonl, table."),
        (("--evidence", "--format", "csv"), "give --format jsonl"),
        (("--json", "--format", "csv"), "give --format jsonl"),
    ],
)
def test_what_cannot_be_written_is_an_error_and_nothing_is(command, run: Run, folder, tmp_path, options, words):
    done = command("predict", run.folder, folder, *options, "--out", "a.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "a.txt").exists()


def test_a_damaged_image_is_named_with_the_way_round_it(command, run: Run, folder):
    (folder / "07.png").write_bytes(b"no image")
    done = command("predict", run.folder, folder)
    assert done.returncode == 2
    assert "07.png" in done.stderr
    assert "--skip-bad" in done.stderr
    assert len(rows(command("predict", run.folder, folder, "--skip-bad").stdout)) == 24


def test_a_link_to_nowhere_in_a_folder_is_a_damaged_file_and_no_wrong_path(command, run: Run, folder):
    (folder / "lost.png").symlink_to(folder / "nowhere.png")
    done = command("predict", run.folder, folder)
    assert done.returncode == 2
    assert "lost.png is a link to a file that does not exist. Repair or remove it, or leave" in done.stderr
    assert "--skip-bad" in done.stderr
    assert len(rows(command("predict", run.folder, folder, "--skip-bad").stdout)) == 25


def test_an_image_that_is_not_there_is_not_called_bad(command, run: Run):
    done = command("predict", run.folder, "nowhere.png")
    assert done.returncode == 2
    assert "nowhere.png does not exist. Check the path." in done.stderr
    assert "--skip-bad" not in done.stderr


def test_an_image_in_colour_and_one_far_from_all_are_named(command, run: Run, tmp_path):
    red = np.zeros((8, 8, 3), np.uint8)
    red[1:7, 3:5, 0] = 255
    Image.fromarray(red).save(tmp_path / "red.png")
    bars = np.zeros((8, 8), np.uint8)
    bars[[0, 1, 6, 7]] = 220
    Image.fromarray(bars).save(tmp_path / "bars.png")
    done = command("predict", run.folder, tmp_path / "red.png", tmp_path / "bars.png", "--format", "csv")
    told = {one["image"].rpartition("/")[2]: one["unlike"] for one in rows(done.stdout)}
    assert "in colour, which was dropped" in told["red.png"]
    assert "far" in told["bars.png"]
    assert "do not trust the answer" in done.stderr


def test_a_damaged_file_of_likeness_is_told(command, run: Run, folder, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(run.folder, broken)
    (broken / "likeness.npz").write_bytes(b"PK")
    done = command("predict", broken, folder / "00.png")
    assert done.returncode == 2
    assert "likeness.npz" in done.stderr
    (broken / "likeness.npz").unlink()  # as in runs of earlier versions
    assert command("predict", broken, folder / "00.png").returncode == 0
