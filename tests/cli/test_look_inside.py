"""`spikewise diagnose` and `spikewise explain`: what they print is what the run holds."""

import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from spikewise.api import Run
from spikewise.cli import main as entry


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a command in this process."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["spikewise", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        return Done(int(stop.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory) -> Path:
    """A copy of a run that was made without these sections; the first command that asks for one makes it."""
    return Path(shutil.copytree(run.folder, tmp_path_factory.mktemp("copy") / "run"))


def stored(folder: Path, name: str):
    return json.loads((folder / "results.json").read_text())["sections"][name]


def test_a_section_that_was_switched_off_is_made_once_and_the_page_shows_it(command, folder: Path):
    assert stored(folder, "diagnosis") is None
    made = json.loads(command("diagnose", folder, "--json").stdout)
    assert made == stored(folder, "diagnosis")
    assert 'id="diagnosis"' in (folder / "report.html").read_text()
    seconds = stored(folder, "seconds")["diagnosis"]
    assert json.loads(command("diagnose", folder, "--json").stdout) == made
    assert stored(folder, "seconds")["diagnosis"] == seconds


def test_diagnose_prints_findings_with_their_settings_and_every_layer(command, folder: Path):
    done = command("diagnose", folder)
    assert done.returncode == 0
    found = stored(folder, "diagnosis")
    assert found["findings"]  # one epoch on 200 images is too little
    for finding in found["findings"]:
        assert f"{finding['severity']}: {finding['code'].replace('_', ' ')} ({finding['network']}" in done.stdout
        assert all(f"--set {setting}" in done.stdout for setting in finding["settings"])
    rows = [line.split()[:2] for line in done.stdout.splitlines()]
    layers = [[one["network"], layer["layer"]] for one in found["networks"] for layer in one["seeds"][0]["layers"]]
    assert len(layers) >= 3
    assert all(row in rows for row in layers)
    assert json.loads(command("diagnose", folder, "--json").stdout) == found


def test_explain_without_images_shows_the_check_of_the_maps(command, folder: Path):
    done = command("explain", folder)
    assert done.returncode == 0
    found = stored(folder, "explanations")
    for network in found["networks"]:
        for check in network["deletion"]:
            line = next(
                line
                for line in done.stdout.splitlines()
                if line.startswith(network["network"]) and check["method"].replace("_", " ") in line
            )
            assert f"{100 * check['top']['mean']:.1f}" in line.split()
    assert json.loads(command("explain", folder, "--json").stdout) == found


def test_explain_draws_the_maps_of_an_image_and_tells_what_is_left_of_the_answer(
    command, folder: Path, image, tmp_path
):
    done = command("explain", folder, image, "--out", tmp_path / "maps", "--format", "svg")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(str(image))]
    assert [row[1] for row in rows] == ["snn", "twin"]
    assert (tmp_path / "maps" / "0-stripe.svg").read_text().startswith("<?xml")
    with np.load(tmp_path / "maps" / "maps.npz") as maps:
        shapes = {name: maps[name].shape for name in maps.files}
    assert shapes == {
        f"{network}.{method}": (1, 8, 8)
        for network in ("snn", "twin")
        for method in ("occlusion", "integrated_gradients")
    }


def test_explain_as_json_has_the_maps_and_answers_as_predict_does(command, folder: Path, image):
    (found,) = json.loads(command("explain", folder, image, "-n", "snn", "--json").stdout)
    (said,) = json.loads(command("predict", folder, image, "--json").stdout)
    assert found["label"] == said["label"]
    assert found["probability"] == pytest.approx(said["probability"], abs=1e-5)
    assert np.array(found["maps"]["occlusion"]).shape == (8, 8)
    assert len(found["over_time"]) == 4


@pytest.mark.parametrize("name", ["diagnose", "explain"])
def test_what_is_no_run_ends_in_one_message(command, tmp_path, name):
    done = command(name, tmp_path)
    assert done.returncode == 2
    assert "is not a run folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_that_is_none_ends_in_one_message(command, folder: Path, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    done = command("explain", folder, tmp_path / "text.png")
    assert done.returncode == 2
    assert "text.png" in done.stderr
    assert "Traceback" not in done.stderr
