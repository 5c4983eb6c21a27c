"""A training that only the reference engine can do says before it begins how long it will take."""

import pytest
import torch

from spikewise.data import load_data, split
from spikewise.experiments import RunFolder
from spikewise.experiments import outlook as module
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.outlook import outlook
from spikewise.experiments.setting import Setting


@pytest.fixture
def setting_of(small, tmp_path):
    def make(**changes):
        images = load_data(small.data)
        experiment = small.replace(**changes)
        parts = split(images, experiment.split)
        resolved = experiment.resolved(
            "compare", device="cpu", train_images=len(parts.train), image_shape=images.image_shape
        )
        folder = RunFolder.create(tmp_path / "run", resolved, "compare", NotedImages.of(images))
        return Setting(resolved, images, parts, folder, torch.device("cpu")), candidates_of(resolved, images)

    return make


def test_the_time_is_that_of_all_trainings_that_are_left_at_the_speed_that_was_measured(setting_of, monkeypatch):
    monkeypatch.setattr(module, "training_speed", lambda *_: 2.0)
    setting, sides = setting_of(engine="reference")
    (said,) = outlook(setting, sides)  # the twin has no time steps
    assert said.startswith("snn trains on the reference engine, at 2 images/s: its 2 trainings take about 1 min 36 s.")
    assert "It was asked for" in said
    done = setting.folder.training("snn", 0)
    done.mkdir(parents=True, exist_ok=True)
    (done / "fit.json").write_text("{}")
    assert "its training takes about 48 s" in outlook(setting, sides)[0]


def test_the_reason_is_the_engine_s_own(setting_of, monkeypatch):
    monkeypatch.setattr(module, "training_speed", lambda *_: 1.0)
    setting, sides = setting_of(train={"epochs": 2, "batch_size": 16, "precision": "bfloat16"})
    (said,) = outlook(setting, sides)
    assert "The native engine cannot: " in said


def test_the_speed_is_measured_and_what_a_fast_engine_trains_is_passed_over(setting_of):
    setting, sides = setting_of(engine="reference")
    assert "images/s" in outlook(setting, sides)[0]
