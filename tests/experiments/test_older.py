"""A run folder of an older version stays readable, and its networks answer as they did."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from spikewise.data import load_data, split
from spikewise.evaluation.prediction import predict
from spikewise.experiments import RunFolder, resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.setting import Setting

FIXTURE = Path(__file__).parents[1] / "fixtures" / "older_run"


@pytest.fixture
def older(tmp_path, columns_writer, monkeypatch):
    columns_writer(tmp_path / "columns.npz")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FIXTURE, tmp_path / "run")
    return RunFolder.open(tmp_path / "run")


def test_its_networks_give_the_logits_that_they_gave(older):
    experiment, images = older.experiment(), older.images()
    setting = Setting(experiment, images, split(images, experiment.split), older, torch.device("cpu"))
    sides = candidates_of(experiment, images)
    assert [side.name for side in sides] == ["snn", "twin", "cnn"]
    for side in sides:
        gave = np.load(older.path / "networks" / side.name / "seed-0" / "test.npz")
        found = predict(setting.trained(side, 0), images, setting.split.test, seed=0)
        assert (found.index == gave["index"]).all()
        np.testing.assert_allclose(found.logits, gave["logits"], rtol=1e-5, atol=1e-6)


def test_its_experiment_file_asks_for_what_was_done_there(older):
    again = resolve(config=older.path / "experiment.toml")
    assert again == older.experiment()
    assert again.identity() == older.facts()["identity"]


def test_it_is_what_is_run_again(older, tmp_path):
    again = resolve(config=older.path / "experiment.toml")
    assert RunFolder.create(older.path, again, "compare", NotedImages.of(load_data(again.data))).path == older.path
