"""Every side's learning rate is found with one budget, on validation images, whatever happens meanwhile."""

import contextlib
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spikewise.data import load_data, split
from spikewise.errors import RunError
from spikewise.evaluation import Results
from spikewise.evaluation.tuning import RateTrial
from spikewise.experiments import Experiment, RunFolder, rates, resolve, run_experiment
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.rates import find_rates, rate_grid
from spikewise.experiments.remedies import _not_learning, _rate
from spikewise.experiments.setting import Setting
from spikewise.report.tuning import tuning_table
from spikewise.training import Silent, TrainConfig, fit, short

GRID = (0.0003, 0.001, 0.003, 0.01)


@pytest.fixture
def tuned(small) -> Experiment:
    """The comparison that takes a second, with the learning rate left open."""
    return small.replace(train={"epochs": 3, "batch_size": 16}, seeds=(0,), sections=())


@pytest.fixture
def setting(tuned, tmp_path) -> Setting:
    """What stays the same, before anything is trained."""
    images = load_data(tuned.data)
    parts = split(images, tuned.split)
    resolved = tuned.resolved("compare", device="cpu", train_images=len(parts.train), image_shape=images.image_shape)
    folder = RunFolder.create(tmp_path / "run", resolved, "compare", NotedImages.of(images))
    return Setting(resolved, images, parts, folder, torch.device("cpu"))


class Ears(Silent):
    """Hears what is said, and may have enough after some epochs."""

    def __init__(self, patience: float = float("inf")):
        self.words, self.patience = [], patience

    def said(self, text):
        self.words.append(text)


def found(setting: Setting) -> dict[str, object]:
    """What was found for each side, without times."""
    out = {}
    for one in candidates_of(setting.experiment, setting.images):
        tuning = setting.tuning(one).model_dump()
        tuning["seconds"] = None
        for trial in (*tuning["trials"], *tuning["whole"]):
            trial["seconds"] = None
        out[one.name] = tuning
    return out


def test_every_side_has_the_same_trials_and_is_trained_with_the_best(tuned, tmp_path):
    ears = Ears()
    done = run_experiment(tuned, out=tmp_path, listener=ears)
    for network in done.results.networks:
        tuning = network.tuning
        assert tuning.tuned
        tried = [trial.learning_rate for trial in tuning.trials]
        assert [rate for rate in tried if rate in GRID] == list(GRID)
        assert len(tried) - 4 == (tuning.learning_rate in (0.0001, 0.03) or tuning.learning_rate in (GRID[0], GRID[-1]))
        best = min(tuning.trials, key=lambda trial: trial.cross_entropy)
        assert best.learning_rate == tuning.learning_rate
        assert (tuning.updates, tuning.images) == (9, 18)
        # The middle of the last of 9 batches stands at 17/18 of half a cosine.
        expected = tuning.learning_rate * 0.5 * (1 + np.cos(np.pi * 17 / 18))
        assert network.runs[0].history[-1].learning_rate == pytest.approx(expected)
    line = next(word for word in ears.words if word.startswith("Learning rates, by"))
    assert all(f"{network.name} {network.tuning.learning_rate:g}" in line for network in done.results.networks)
    assert "9 updates for each side, judged on 18 validation images" in line
    assert not list((done.folder / "tuning").glob("*/*")), "weights of trials are not kept"
    page = (done.folder / "report.html").read_text()
    assert "<h3>Learning rates</h3>" in page


def test_it_is_the_rate_that_a_whole_training_of_that_budget_would_choose(setting):
    find_rates(setting, candidates_of(setting.experiment, setting.images))
    # Three epochs are the whole training here, so that a trial has its bits.
    twin = next(one for one in candidates_of(setting.experiment, setting.images) if one.kind == "twin")
    tuning = setting.tuning(twin)
    whole = fit(setting.network(twin, 0), setting.task(twin, 0), setting.folder.path / "whole")
    best = min(epoch.validation_loss for epoch in whole.history)
    assert best == next(t.cross_entropy for t in tuning.trials if t.learning_rate == tuning.learning_rate)


def test_test_images_and_other_seeds_have_no_say(tuned, setting, columns_writer, tmp_path):
    candidates = candidates_of(setting.experiment, setting.images)
    find_rates(setting, candidates)
    columns_writer(Path(tuned.data.source), test_noise=5)
    images = load_data(tuned.data)
    folder = RunFolder.create(tmp_path / "other", setting.experiment, "compare", NotedImages.of(images))
    other = Setting(setting.experiment, images, setting.split, folder, setting.device)
    find_rates(other, candidates)
    assert found(other) == found(setting)
    assert setting.folder.openings() == []


def test_a_search_that_was_stopped_goes_on_and_finds_the_same(setting, tmp_path):
    candidates = candidates_of(setting.experiment, setting.images)
    find_rates(setting, candidates)
    folder = RunFolder.create(tmp_path / "stopped", setting.experiment, "compare", NotedImages.of(setting.images))
    other = Setting(setting.experiment, setting.images, setting.split, folder, setting.device)

    class Stopped(Exception):
        pass

    stops = 0
    for epochs in (1, 2, 4, 5, 9, 11, 40):

        def tell(what: str, done: int, total: int, left: list[int] = [epochs]) -> None:  # noqa: B006
            left[0] -= 1
            if left[0] < 0:
                raise Stopped

        try:
            find_rates(other, candidates, tell=tell)
        except Stopped:
            stops += 1
    assert stops >= 4
    find_rates(other, candidates)
    assert found(other) == found(setting)
    assert [path.name for path in (folder.path / "tuning").iterdir() if path.is_dir()] == []


def test_what_is_found_is_not_looked_for_again(setting, monkeypatch):
    candidates = candidates_of(setting.experiment, setting.images)
    find_rates(setting, candidates)
    monkeypatch.setattr(rates, "fit_all", lambda *_, **__: pytest.fail("trained again"))
    ears = Ears()
    find_rates(setting, candidates, ears)
    assert ears.words == []


def test_a_rate_that_diverges_loses_and_the_others_go_on(setting, monkeypatch):
    monkeypatch.setattr(rates, "_RATES", (1e-3, 1e30))
    candidates = [one for one in candidates_of(setting.experiment, setting.images) if one.kind == "cnn"]
    find_rates(setting, candidates)
    tuning = setting.tuning(candidates[0])
    failed = tuning.trials[-1]
    assert (tuning.tuned, tuning.learning_rate < 1, failed.learning_rate) == (True, True, 1e30)
    assert failed.cross_entropy is None
    assert "diverged" in failed.failure


def test_where_all_diverge_the_usual_rate_is_taken_with_a_word(setting, monkeypatch):
    monkeypatch.setattr(rates, "_RATES", (1e30, 2e30))
    monkeypatch.setattr(rates, "_BEYOND", (5e29, 4e30))
    candidates = [one for one in candidates_of(setting.experiment, setting.images) if one.kind == "cnn"]
    ears = Ears()
    find_rates(setting, candidates, ears)
    tuning = setting.tuning(candidates[0])
    assert (tuning.tuned, tuning.learning_rate, tuning.why) == (False, 1e-3, "every trial diverged")
    assert "cnn 0.001 (every trial diverged)" in ears.words[-1]


@pytest.mark.parametrize(
    ("figures", "more"),
    [
        ({3e-4: 0.9, 1e-3: 0.5, 3e-3: 0.4, 1e-2: 0.6}, []),
        ({3e-4: 0.1, 1e-3: 0.5, 3e-3: 0.4, 1e-2: 0.6}, [1e-4]),
        ({3e-4: 0.9, 1e-3: 0.5, 3e-3: 0.4, 1e-2: 0.3}, [3e-2]),
        ({3e-4: 0.9, 1e-3: 0.5, 3e-3: 0.4, 1e-2: 0.3, 3e-2: 0.2}, [3e-2]),  # one step, and the same after a restart
        ({3e-4: 0.9, 1e-3: 0.4, 3e-3: 0.4, 1e-2: None}, []),
        ({3e-4: None, 1e-3: None, 3e-3: None, 1e-2: None}, [1e-4]),
    ],
)
def test_one_step_is_gone_beyond_an_end_of_the_grid(setting, figures, more):
    search = rates._Search(setting, candidates_of(setting.experiment, setting.images)[0])
    for rate, loss in figures.items():
        place = search.place(rate)
        place.mkdir(parents=True)
        trial = RateTrial(learning_rate=rate, cross_entropy=loss, accuracy=None, seconds=1.0)
        (place / "trial.json").write_text(json.dumps(trial.model_dump(mode="json")))
    assert search.beyond() == more
    if figures[1e-3] == figures[3e-3] == 0.4:
        assert search.best().learning_rate == 1e-3, "of equals the lower rate"


@pytest.fixture
def cut(monkeypatch):
    """Trials of two updates, less than a quarter of the nine that a training has."""
    monkeypatch.setattr(short, "_MOST_UPDATES", 2)


def test_where_trials_are_too_short_close_rates_are_trained_whole_and_the_better_training_stays(
    cut, monkeypatch, setting
):
    monkeypatch.setattr(rates, "_CLOSE", 10.0)
    candidates = candidates_of(setting.experiment, setting.images)
    ears = Ears()
    find_rates(setting, candidates, ears)
    for one in candidates:
        tuning = setting.tuning(one)
        assert tuning.updates == 2
        two = sorted(sorted(tuning.trials, key=lambda trial: trial.cross_entropy)[:2], key=lambda t: t.learning_rate)
        assert [trial.learning_rate for trial in tuning.whole] == [trial.learning_rate for trial in two]
        assert tuning.learning_rate == min(tuning.whole, key=lambda trial: trial.cross_entropy).learning_rate
        pair = " and ".join(f"{trial.learning_rate:g}" for trial in two)
        said = f"{one.name}: learning rates {pair} are close after 2 updates"
        assert any(word.startswith(said) for word in ears.words)
        kept = setting.folder.training(one.name, 0)
        again = setting.folder.path / f"again-{one.name}"
        fit(setting.network(one, 0), setting.task(one, 0), again)
        assert (kept / "weights.safetensors").read_bytes() == (again / "weights.safetensors").read_bytes()
    assert not [path for path in (setting.folder.path / "tuning").iterdir() if path.is_dir()]


def test_rates_that_are_apart_or_trials_that_are_long_enough_need_no_whole_training(cut, monkeypatch, setting):
    monkeypatch.setattr(rates, "_CLOSE", 1.0)
    candidates = candidates_of(setting.experiment, setting.images)[1:2]
    find_rates(setting, candidates)
    assert setting.tuning(candidates[0]).whole == ()
    monkeypatch.setattr(short, "_MOST_UPDATES", 400)
    monkeypatch.setattr(rates, "_CLOSE", 10.0)
    other = candidates_of(setting.experiment, setting.images)[2:]
    find_rates(setting, other)
    assert setting.tuning(other[0]).whole == ()


def test_a_search_that_was_stopped_in_a_whole_training_goes_on(cut, monkeypatch, setting, tmp_path):
    monkeypatch.setattr(rates, "_CLOSE", 10.0)
    candidates = candidates_of(setting.experiment, setting.images)[:1]
    find_rates(setting, candidates)
    folder = RunFolder.create(tmp_path / "stopped", setting.experiment, "compare", NotedImages.of(setting.images))
    other = Setting(setting.experiment, setting.images, setting.split, folder, setting.device)

    class Stopping(Silent):
        def epoch(self, record):
            raise KeyboardInterrupt

    for _ in range(9):
        with contextlib.suppress(KeyboardInterrupt):
            find_rates(other, candidates, Stopping())
    assert found(other)["snn"]["learning_rate"] == found(setting)["snn"]["learning_rate"]
    assert [t["cross_entropy"] for t in found(other)["snn"]["whole"]] == [
        t["cross_entropy"] for t in found(setting)["snn"]["whole"]
    ]
    assert (folder.training("snn", 0) / "fit.json").exists()


def test_steps_of_gradient_descent_are_tried_longer():
    assert rate_grid(TrainConfig()) == GRID
    assert rate_grid(TrainConfig(optimizer={"kind": "sgd"})) == (0.003, 0.01, 0.03, 0.1)


def test_a_rate_that_is_given_is_that_of_every_side(small, tmp_path):
    given = small.replace(train={"epochs": 1, "learning_rate": 2e-3}, seeds=(0,), sections=())
    done = run_experiment(given, out=tmp_path)
    assert not (done.folder / "tuning").exists()
    for network in done.results.networks:
        assert (network.tuning.tuned, network.tuning.learning_rate, network.tuning.trials) == (False, 2e-3, ())
    assert tuning_table(done.results) is None


def test_some_sides_may_be_tuned_and_the_others_have_the_given_rate(small, tmp_path):
    asked = small.replace(train={"epochs": 1, "learning_rate": 2e-3}, tuned=("twin",), seeds=(0,), sections=())
    done = run_experiment(asked, out=tmp_path)
    state = {network.name: network.tuning.tuned for network in done.results.networks}
    assert state == {"snn": False, "twin": True, "cnn": False}
    assert done.results.networks[0].tuning.learning_rate == 2e-3
    table = tuning_table(done.results)
    assert [row.how for row in table.rows] == ["given", "tuned", "given"]
    assert {cell.text for cell in table.rows[0].cells} == {"–"}
    assert sum(cell.chosen for cell in table.rows[1].cells) == 1


def test_without_validation_images_the_usual_rate_is_taken_with_a_word(setting):
    bare = Setting(setting.experiment, setting.images, setting.split._replace(validation=np.empty(0, np.int64)),
                   setting.folder, setting.device)  # fmt: skip
    candidates = candidates_of(bare.experiment, bare.images)
    ears = Ears()
    find_rates(bare, candidates, ears)
    assert ears.words == ["Learning rates were not tuned: there are no validation images to choose on."]
    assert {bare.tuning(one).learning_rate for one in candidates} == {1e-3}


def test_what_decides_is_asked_for_in_one_way():
    plain = resolve("digits").resolved("compare", device="cpu", train_images=1_000, image_shape=(1, 8, 8))
    assert plain.tuned == ("snn", "twin", "cnn")
    assert resolve("digits").resolved("train", device="cpu", train_images=1_000, image_shape=(1, 8, 8)).tuned == (
        "snn",
    )
    given = resolve("digits", overrides=["train.learning_rate=0.002"])
    assert given.resolved("compare", device="cpu", train_images=1_000, image_shape=(1, 8, 8)).tuned == ()
    again = resolve("digits", overrides=["train.learning_rate=0.002", "tuned=twin"])
    assert again.resolved("compare", device="cpu", train_images=1_000, image_shape=(1, 8, 8)).tuned == ("twin",)


def test_conventional_sides_of_published_systems_are_tuned_unless_asked_otherwise():
    def tuned_sides(**asked):
        return (
            resolve(preset="fashion-snn", **asked)
            .resolved("compare", device="cpu", train_images=9, image_shape=(1, 28, 28))
            .tuned
        )

    assert tuned_sides() == ("twin", "cnn")
    assert tuned_sides(as_published=True) == ()
    assert tuned_sides(overrides=["train.learning_rate=0.002"]) == ()
    assert tuned_sides(overrides=["train.learning_rate=auto"]) == ("snn", "twin", "cnn")
    assert resolve(preset="fashion-snn").train.learning_rate == 8.5e-5


def test_folders_of_runs_without_tuning_mean_what_they_meant(small, tmp_path):
    given = small.replace(train={"epochs": 1, "learning_rate": 1e-3}, seeds=(0,), sections=())
    done = run_experiment(given, out=tmp_path)
    facts = json.loads((done.folder / "run.json").read_text())
    del facts["experiment"]["tuned"]
    (done.folder / "run.json").write_text(json.dumps(facts))
    results = json.loads((done.folder / "results.json").read_text())
    for network in results["networks"]:
        del network["tuning"]
    (done.folder / "results.json").write_text(json.dumps(results))
    experiment = RunFolder.open(done.folder).experiment()
    images = load_data(experiment.data)
    setting = Setting(experiment, images, split(images, experiment.split), RunFolder(done.folder), torch.device("cpu"))
    for one in candidates_of(experiment, images):
        assert (setting.tuning(one).tuned, setting.task(one, 0).train.learning_rate) == (False, 1e-3)
    assert {network.tuning for network in Results.load(done.folder / "results.json").networks} == {None}


def test_an_advised_rate_is_one_side_s_own_and_leaves_the_others_theirs(setting):
    snn, twin, cnn = candidates_of(setting.experiment, setting.images)
    for one, others in ((snn, ("twin", "cnn")), (twin, ("snn", "cnn")), (cnn, ("snn", "twin"))):
        advised = _rate(SimpleNamespace(experiment=setting.experiment, candidate=one), 0.03)
        path = setting.folder.path / "experiment.toml"
        again = resolve(config=path, overrides=advised)
        assert (again.train.learning_rate, again.tuned) == (0.03, others)
    alone = setting.experiment.replace(tuned=("snn",))
    assert _rate(SimpleNamespace(experiment=alone, candidate=snn), 0.03) == ("train.learning_rate=0.03",)


def test_before_it_was_looked_for_a_run_can_be_diagnosed_and_nothing_is_trained(setting):
    one = candidates_of(setting.experiment, setting.images)[0]
    assert (setting.tuning(one).learning_rate, setting.tuning(one).why) == (1e-3, "not looked for yet")
    with pytest.raises(RunError, match=r"tuning/snn\.json is missing"):
        setting.task(one, 0)


def test_damage_is_told(setting):
    candidates = candidates_of(setting.experiment, setting.images)
    find_rates(setting, candidates)
    setting.tuning_file(candidates[0]).write_text('{"tuned": 3}')
    with pytest.raises(RunError, match=r"tuning/snn\.json is damaged"):
        setting.task(candidates[0], 0)


def test_where_a_rate_was_given_and_nothing_is_learned_the_advice_is_to_look_for_one(setting):
    side = candidates_of(setting.experiment, setting.images)[0]
    for tuned_sides, word in (("auto", "try other"), ((), "=auto")):
        experiment = setting.experiment.replace(tuned=tuned_sides)
        changed = dataclasses.replace(setting, experiment=experiment)
        asked = SimpleNamespace(experiment=experiment, candidate=side, setting=changed)
        assert word in _not_learning(None, asked).advice
