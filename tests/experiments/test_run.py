"""A run's test set is opened once and decides nothing; its folder knows what it belongs to."""

import json
import os
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import spikewise.experiments.run as module
from spikewise.api import evaluate
from spikewise.data import load_data
from spikewise.errors import DataError, RunError, ShapeError, StorageError
from spikewise.experiments import RunFolder, resolve, run_experiment
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.sweep_cells import Cell
from spikewise.experiments.sweep_folder import place
from spikewise.models import readout_gain

WEIGHTS = "weights.safetensors"
NOTED = NotedImages("abc", ("a", "b"), 90, "1", "2", "3")


@pytest.fixture
def finished(small, tmp_path) -> Path:
    return run_experiment(small, out=tmp_path / "runs").folder


@pytest.fixture
def made(small, tmp_path) -> Path:
    """A folder of a run that has not begun."""
    return RunFolder.create(tmp_path / "run", small, "compare", NOTED).path


def test_a_finished_run_is_read_back_and_its_file_asks_for_the_same(finished, small, monkeypatch):
    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "train_all", refuse)
    monkeypatch.setattr(module, "evaluate_candidates", refuse)
    resolved = resolve(config=finished / "experiment.toml")
    assert finished.name.endswith(resolved.identity())
    for experiment in (small, resolved):
        assert run_experiment(experiment, out=finished.parent).folder == finished
    openings = json.loads((finished / "openings.json").read_text())
    assert sorted((one["network"], one["seed"]) for one in openings) == [
        (name, seed) for name in ("cnn", "snn", "twin") for seed in (0, 1)
    ]


def test_other_test_images_change_nothing_that_is_chosen(finished, small, tmp_path, columns_writer):
    columns_writer(Path(small.data.source), test_noise=5)
    other = run_experiment(small, out=tmp_path / "other").folder
    for path in sorted(finished.rglob(WEIGHTS)):
        mine, theirs = load_file(path), load_file(other / path.relative_to(finished))
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
        before, after = (
            np.load(folder.parent / "test.npz")["logits"] for folder in (path, other / path.relative_to(finished))
        )
        assert (before != after).any()


def test_the_global_generators_are_not_touched(small, tmp_path):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global generator is what is watched
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    run_experiment(small.replace(seeds=(0,), augment={"shift": 1}), out=tmp_path)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_twin_has_the_gain_of_the_readout_and_those_of_older_folders_have_none(made, small):
    images = load_data(small.data)
    gain = readout_gain(candidates_of(small, images)[0].graph)
    assert gain > 1.5  # three steps
    twins = {side.name: side for side in candidates_of(RunFolder.open(made).experiment(), images)}
    assert twins["twin"].graph.readout.scale == gain
    facts = json.loads((made / "run.json").read_text())
    del facts["experiment"]["twin_gain"]
    (made / "run.json").write_text(json.dumps(facts))
    older = {side.name: side for side in candidates_of(RunFolder.open(made).experiment(), images)}
    assert older["twin"].graph.readout.scale == 1
    assert small.replace(twin_gain=2.0).identity() != small.identity()


def test_changed_images_are_refused(made, small):
    with pytest.raises(RunError, match="have changed"):
        RunFolder.create(made, small, "compare", NOTED._replace(fingerprint="def"))


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"classes": ("a", "c")}, "the names of classes: 'c' in place of 'b'. Choose"),
        ({"classes": ("b", "a")}, "the order of the classes: b, a, in place of a, b. Choose"),
        ({"subjects": ""}, "who is on an image. Choose"),
        (
            {"classes": ("a", "c"), "subjects": ""},
            "the names of classes: 'c' in place of 'b'; who is on an image. Choose",
        ),
        ({"fingerprint": "def", "classes": ("a",), "labels": "9"}, "the classes: a, in place of a, b. Choose"),
        ({"fingerprint": "def", "total": 89, "labels": "9"}, "89 images in place of 90. Choose"),
        ({"fingerprint": "def", "labels": "9", "subjects": ""}, "the labels of images; who is on an image. Choose"),
        ({"fingerprint": "def", "parts": "9"}, "the parts of the split. Choose"),
        ({"fingerprint": "def"}, "the pixels of images. Choose"),
    ],
)
def test_what_of_the_images_has_changed_is_said(made, small, now, says):
    with pytest.raises(RunError, match=f"have changed since .* was begun: {re.escape(says)}"):
        RunFolder.create(made, small, "compare", NOTED._replace(**now))


def test_a_run_does_not_go_on_under_other_names_of_its_classes(small, tmp_path):
    source = Path(small.data.source)
    arrays = dict(np.load(source))

    def call_them(*names):
        np.savez(source, **{key: np.array(names)[of] if "labels" in key else of for key, of in arrays.items()})

    call_them("left", "middle", "right")
    done = run_experiment(small, out=tmp_path / "runs", report=False)
    call_them("left", "mid", "right")
    with pytest.raises(RunError, match="the names of classes: 'mid' in place of 'middle'"):
        run_experiment(small, out=tmp_path / "runs", report=False)
    with pytest.raises(RunError, match="'mid' in place of 'middle'"):
        RunFolder.open(done.folder).images()
    with pytest.raises(DataError, match="classes that the run does not know: mid"):
        evaluate(done.folder, source)
    # Folders of versions that noted no names have them in their results.
    facts = json.loads((done.folder / "run.json").read_text())
    del facts["images"]
    (done.folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(RunError, match="'mid' in place of 'middle'"):
        run_experiment(small, out=tmp_path / "runs", report=False)
    arrays["train_images"][0] += 1
    call_them("left", "middle", "right")
    with pytest.raises(RunError, match="was begun: their pixels, labels, parts or subjects"):
        run_experiment(small, out=tmp_path / "runs", report=False)
    arrays["train_images"][0] -= 1
    call_them("left", "middle", "right")
    assert run_experiment(small, out=tmp_path / "runs", report=False).folder == done.folder


def test_a_sweep_takes_no_cell_that_was_run_on_other_images(small, tmp_path, columns_writer):
    done = run_experiment(small, out=tmp_path / "runs", report=False)
    (placed,) = place([Cell({}, small)], tmp_path / "runs", "compare")
    assert (placed.run, placed.finished) == (done.folder, True)
    columns_writer(Path(small.data.source), test_noise=5)
    with pytest.raises(RunError, match=r"have changed since .* was begun: the pixels of images"):
        place([Cell({}, small)], tmp_path / "runs", "compare")


def test_names_of_classes_that_are_none_are_damage(made, small):
    facts = json.loads((made / "run.json").read_text())
    for found in ("abc", {}, {"classes": [1]}):
        (made / "run.json").write_text(json.dumps({**facts, "images": found}))
        with pytest.raises(RunError, match=r"run.json is damaged \('images' is"):
            RunFolder.create(made, small, "compare", NOTED)


def test_another_experiment_is_refused(made, small):
    with pytest.raises(RunError, match="holds another experiment"):
        RunFolder.create(made, small.replace(seeds=(7,)), "compare", NOTED)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "damaged"),
        ("[]", "run format None"),
        ('{"format": 99, "spikewise_version": "9.9"}', "run format 99, written by spikewise 9.9"),
        ('{"format": 1}', "damaged .it lacks experiment, fingerprint, identity, kind"),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(content, words, made, small):
    (made / "run.json").write_text(content)
    with pytest.raises(RunError, match=words):
        RunFolder.open(made)
    with pytest.raises(RunError, match=words):
        RunFolder.create(made, small, "compare", NOTED)


def test_a_path_that_no_system_takes_is_refused(small):
    with pytest.raises(RunError, match="cannot be read"):
        RunFolder.open(Path("x" * 5000))
    with pytest.raises(StorageError, match="Cannot write"):
        RunFolder.create(Path("x" * 5000), small, "compare", NOTED)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"no run\.json"):
        RunFolder.open(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_a_second_process_is_kept_out_until_the_first_has_gone(made):
    folder = RunFolder.open(made)
    with folder.lock(), pytest.raises(RunError, match="Another process"), RunFolder.open(made).lock():
        pass
    with folder.lock():
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_what_a_killed_process_left_half_written_is_removed_and_errors_pass_through(made):
    half = made / ".results.json.abc.part"
    half.write_text("{")
    os.utime(half, (0, 0))
    folder = RunFolder.open(made)
    with folder.lock():
        assert not half.exists()
    with pytest.raises(FileExistsError, match="of the caller"), folder.lock():
        raise FileExistsError("of the caller")


def test_a_network_too_large_for_the_machine_leaves_no_folder(tmp_path):
    asked = resolve("digits", overrides=["model.hidden=[2000000000]", "sections=[]"], seeds=1, epochs=1)
    with pytest.raises(ShapeError, match=r"weights take [\d,.]+ GiB"):
        run_experiment(asked, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_training_that_cannot_fit_is_refused_before_its_folder_is_made_and_a_finished_run_is_read(
    finished, small, monkeypatch, tmp_path
):
    monkeypatch.setattr("spikewise.training.memory.memory_limit", lambda: 1000)
    with pytest.raises(ShapeError, match=r"An update of 'snn' takes at least .*data\.size"):
        run_experiment(small, out=tmp_path / "others")
    assert not (tmp_path / "others").exists()
    assert run_experiment(small, out=finished.parent).folder == finished
