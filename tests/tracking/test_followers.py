"""A training with a follower is a training without one, whatever becomes of the tracker."""

import csv
from pathlib import Path

import numpy as np
import pytest

from spikewise.api import Run, execute
from spikewise.errors import ConfigError
from spikewise.experiments import Experiment
from spikewise.tracking import Follower
from spikewise.training import load_weights
from spikewise.training.event_file import EventFile
from waiting import wait_until


@pytest.fixture
def small(tmp_path, monkeypatch) -> Experiment:
    """A training of a second."""
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    return Experiment(
        data={"source": "digits"},
        split={"limit": 100},
        encoder={"kind": "direct", "steps": 3},
        model={"kind": "mlp", "hidden": [8]},
        train={"epochs": 3, "learning_rate": 1e-3},
        seeds=(0,),
        sections=(),
        device="cpu",
    )


def weights_of(run: Run) -> dict[str, np.ndarray]:
    found, _ = load_weights(run.folder / "networks" / "snn" / "seed-0" / "weights.safetensors")
    return {name: value.numpy() for name, value in found.items()}


def test_a_follower_tells_all_epochs_and_the_end_and_a_tracker_that_is_down_changes_nothing(small, tmp_path, capsys):
    told = execute(small, kind="train", out=tmp_path / "told", track="csv")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "csv").write_text("a file where the tracker wants its folder")
    untold = execute(small, kind="train", out=broken, track="csv")
    place = tmp_path / "told" / "csv" / told.folder.name
    wait_until((place / "summary.csv").exists)
    with (place / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    events = EventFile(told.folder / "networks" / "snn" / "seed-0").read()
    assert [float(row["value"]) for row in rows if row["tag"] == "validation/loss"] == [
        event.validation_loss for event in events
    ]
    first, second = weights_of(told), weights_of(untold)
    assert all((first[name] == second[name]).all() for name in first)
    assert (broken / "csv").read_text() == "a file where the tracker wants its folder"
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "tried again" in line]) <= 1  # none where the run was over before it was said
    assert not [line for line in said if "Traceback" in line]


def test_the_follower_says_what_is_wrong_once_and_then_at_the_end(tmp_path, monkeypatch):
    said: list[str] = []
    (tmp_path / "empty").mkdir()
    with Follower("csv", said.append) as follower:
        follower.begin(tmp_path / "empty")
        wait_until(lambda: bool(said))
    assert "empty is not a run folder" in said[0]
    assert said[0].startswith("csv: ")
    assert len(said) == 1


def test_a_tracker_that_there_is_not_is_said_before_anything_is_trained(small, tmp_path):
    with pytest.raises(ConfigError, match="Unknown tracker 'comet'"):
        execute(small, kind="train", out=tmp_path / "out", track="comet")
    assert not Path(tmp_path / "out").exists()


def test_without_a_tracker_nothing_is_started(small, tmp_path):
    with Follower(None, print) as follower:
        follower.begin(tmp_path)
    assert not list(tmp_path.iterdir())
