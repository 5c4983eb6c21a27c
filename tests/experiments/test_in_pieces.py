"""A comparison and a search that an executor does in pieces are those that one process does, to the bit."""

import json

import pytest

from spikewise.errors import BusyError, TrainingError
from spikewise.executors import LocalExecutor
from spikewise.experiments import run_experiment
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.run_folder import LOCK, RunFolder, locked
from spikewise.experiments.tune import tune

TIMES = {"seconds", "train_seconds", "images_per_second", "latency_ms", "created", "environment"}


def weights(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("weights.safetensors"))
    }


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def searched(small):
    """One side with its rate looked for, which trains whole where two are close."""
    train = small.train.replace(learning_rate="auto")
    return small.replace(train=train, sides=("snn", "twin"), sections=())


@pytest.mark.slow
def test_a_comparison_in_pieces_is_the_same(searched, tmp_path):
    whole = run_experiment(searched, out=tmp_path / "one", report=False)
    parts = run_experiment(searched, out=tmp_path / "many", report=False, executor=LocalExecutor(jobs=2))
    assert weights(parts.folder) == weights(whole.folder)
    assert len(weights(whole.folder)) >= 4
    first, second = (json.loads((done.folder / "openings.json").read_text()) for done in (whole, parts))
    assert [(one["network"], one["seed"]) for one in first] == [(one["network"], one["seed"]) for one in second]
    for side in ("snn", "twin"):
        file = f"tuning/{side}.json"
        found = [without_times(json.loads((done.folder / file).read_text())) for done in (whole, parts)]
        assert found[0] == found[1]
    assert {path.name for path in parts.folder.iterdir()} == {path.name for path in whole.folder.iterdir()}


@pytest.mark.slow
def test_a_search_in_pieces_is_the_same(small, tmp_path):
    small = small.replace(sides=("snn", "cnn"))
    whole = tune(small, trials=2, out=tmp_path / "one")
    parts = tune(small, trials=2, out=tmp_path / "many", executor=LocalExecutor(jobs=2))
    assert [one.trials for one in parts.sides] == [one.trials for one in whole.sides]
    assert weights(parts.folder) == weights(whole.folder)


@pytest.mark.slow
def test_a_failed_training_does_not_stop_the_others_and_is_tried_again(small, tmp_path):
    small = small.replace(sides=("snn", "twin"), seeds=(0,), sections=())
    first = run_experiment(small, out=tmp_path / "whole", report=False)
    done = RunFolder.open(first.folder)
    folder = RunFolder.create(
        tmp_path / "runs" / first.folder.name, done.experiment(), "compare", NotedImages.of(done.images())
    )
    blocked = folder.training("snn", 0) / "checkpoint.safetensors"
    blocked.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match=r"snn seed 0 failed: .*checkpoint"):
        run_experiment(small, out=tmp_path / "runs", report=False, executor=LocalExecutor(jobs=1))
    assert (folder.training("twin", 0) / "fit.json").exists()
    blocked.unlink()
    again = run_experiment(small, out=tmp_path / "runs", report=False)
    assert weights(again.folder) == weights(first.folder)


def test_a_process_that_outlived_its_command_keeps_others_out_of_its_training(small, tmp_path):
    done = run_experiment(small, out=tmp_path / "runs", report=False)
    (done.folder / "results.json").unlink()
    at_work = RunFolder.open(done.folder).training("twin", 1)
    (at_work / "fit.json").unlink()
    with locked(at_work / LOCK, at_work), pytest.raises(BusyError, match="seed-1"):
        run_experiment(small, out=tmp_path / "runs", report=False)
