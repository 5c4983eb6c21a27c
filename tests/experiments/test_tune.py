"""Tuning gives every side the same budget, never looks at a test image, and can be killed and extended."""

import json

import pytest

from spikewise.errors import ConfigError
from spikewise.experiments.experiment import parse_experiment
from spikewise.experiments.run_folder import RunFolder
from spikewise.experiments.settings import read_table
from spikewise.experiments.tune import drawn_settings, tune


@pytest.fixture
def tuned(small, tmp_path):
    return tune(small, trials=3, out=tmp_path / "runs")


def test_every_side_has_the_same_budget_and_the_best_of_it_is_written(small, tuned):
    assert [one.kind for one in tuned.sides] == ["snn", "twin", "cnn"]
    for one in tuned.sides:
        assert [trial.number for trial in one.trials] == [0, 1, 2]
        assert one.trials[0].settings == {}
        assert one.best.score == max(trial.score for trial in one.trials)
        assert one.best.score == one.best.validation["accuracy"]
        written = parse_experiment(read_table(one.file))
        assert written.sides == (one.kind,)
        assert written.train.learning_rate == pytest.approx(
            one.best.settings.get("train.learning_rate", small.train.learning_rate)
        )


def test_a_search_shows_itself_in_a_line(tuned):
    best = [f"{one.kind} accuracy {one.best.score:.4g} of 3 trials" for one in tuned.sides]
    assert repr(tuned) == f"<search in {tuned.folder}: {', '.join(best)}>"


def test_what_is_common_to_all_sides_is_drawn_alike_and_the_rest_is_the_spiking_sides_own(small):
    snn, twin, cnn = (drawn_settings(small, side, 4) for side in ("snn", "twin", "cnn"))
    assert {key: snn[key] for key in twin} == twin
    assert snn.keys() - twin.keys() == {"model.cell.beta", "model.cell.threshold"}
    assert cnn["train.learning_rate"] == snn["train.learning_rate"]
    assert "cnn.width" in cnn


def test_draws_stay_in_their_ranges(small):
    for number in range(1, 200):
        drawn = drawn_settings(small, "snn", number)
        assert 1e-4 <= drawn["train.learning_rate"] <= 1e-2
        assert drawn["train.optimizer.weight_decay"] == 0 or 1e-6 <= drawn["train.optimizer.weight_decay"] <= 1e-2
        assert 0.5 <= drawn["model.width"] <= 2
        assert 0.5 <= drawn["model.cell.beta"] <= 0.99
        assert 0.5 <= drawn["model.cell.threshold"] <= 2


def test_other_test_images_change_nothing(small, columns_writer, tmp_path, tuned):
    """The fact itself: with noise in place of the test images every trial ends the same."""
    (tmp_path / "noise").mkdir()
    other = columns_writer(tmp_path / "noise" / "columns.npz", test_noise=5)
    again = tune(small.replace(data={"source": str(other)}), trials=3, out=tmp_path / "other")
    assert [one.trials for one in again.sides] == [one.trials for one in tuned.sides]
    assert RunFolder.open(tuned.folder).openings() == []


def test_more_trials_go_on_where_fewer_ended(small, tmp_path, tuned):
    file = tuned.folder / "trials" / "snn" / "trial-001" / "trial.json"
    before = file.stat().st_mtime_ns
    more = tune(small, trials=4, out=tmp_path / "runs")
    assert more.folder == tuned.folder
    assert file.stat().st_mtime_ns == before
    assert [one.trials[:3] for one in more.sides] == [one.trials for one in tuned.sides]
    assert len(json.loads((more.folder / "tune.json").read_text())["snn"]) == 4


def test_a_model_without_a_width_is_tuned_in_what_it_has(small):
    layers = [{"kind": "flatten"}, {"kind": "linear", "features": 4}]
    plain = small.replace(model={"kind": "layers", "sequence": layers})
    assert drawn_settings(plain, "snn", 1).keys() == {"train.learning_rate", "train.optimizer.weight_decay"}


def test_a_search_without_trials_is_refused(small, tmp_path):
    with pytest.raises(ConfigError, match="at least 1; got 0"):
        tune(small, trials=0, out=tmp_path)
