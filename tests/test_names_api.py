"""Names from the folder to the figures: runs of classes in capitals, one class alone, other folders, long names."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spikewise
from spikewise.api import Run, evaluate, train
from spikewise.data import DataConfig
from spikewise.errors import ConfigError, DataError, MissingDataError
from spikewise.experiments import Experiment, RunFolder

LETTERS = ("A", "a", "B", "b")


def put(root: Path, classes: dict[str, int], count: int) -> None:
    rng = np.random.default_rng(list(root.name.encode()))  # no image of one folder is another's
    for name, band in classes.items():
        (root / name).mkdir(parents=True)
        for k in range(count):
            pixels = rng.integers(0, 40, (8, 8)).astype(np.uint8)
            pixels[2 * band : 2 * band + 2] = 230
            Image.fromarray(pixels).save(root / name / f"{k}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names")


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Of a set named by a relative path."""
    put(place / "set", {name: band for band, name in enumerate(LETTERS)}, 20)
    before = Path.cwd()
    os.chdir(place)
    try:
        return train(
            "set", seeds=1, epochs=12, out=place / "runs", sections=[], encoder={"kind": "direct", "steps": 4},
            train={"learning_rate": 0.01},
        )  # fmt: skip
    finally:
        os.chdir(before)


def test_classes_that_differ_in_case_are_not_confounded(run: Run, place: Path):
    put(place / "new", {name: band for band, name in enumerate(LETTERS)}, 5)
    (found,) = evaluate(run.folder, place / "new")
    assert found.confusion.sum(1).tolist() == [5, 5, 5, 5]
    assert found.confusion.trace() == 20


def test_one_class_alone_can_be_evaluated(run: Run, place: Path):
    put(place / "one", {"B": 2}, 6)
    (found,) = evaluate(run.folder, place / "one")
    order = run.results.data.classes.index("B")
    assert found.confusion.sum() == found.confusion[order].sum() == 6
    assert found.metrics["accuracy"] == found.confusion[order, order] / 6
    assert found.metrics["auc"] is None


def test_a_few_images_of_an_archive_can_be_evaluated(run: Run, place: Path):
    pixels = np.zeros((3, 8, 8), np.uint8)
    pixels[:, 4:6] = 230
    np.savez(place / "few.npz", images=pixels, labels=np.array(["B", "B", "B"]))
    (found,) = evaluate(run.folder, place / "few.npz")
    assert found.images == 3
    np.savez(place / "numbers.npz", images=pixels, labels=np.array([7, 7, 7]))
    with pytest.raises(DataError, match="does not know: 7"):
        evaluate(run.folder, place / "numbers.npz")


def test_a_name_that_could_be_two_classes_is_asked_about(run: Run, place: Path):
    put(place / "unknown", {"C": 2, "B": 2}, 3)
    with pytest.raises(DataError, match=r"does not know: C\..*The run's classes: A, B, a, b"):
        evaluate(run.folder, place / "unknown")


def test_a_run_finds_its_images_from_another_folder(run: Run, place: Path, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert run.results.data.source == "set"
    assert RunFolder.open(run.folder).experiment().data.source == str(place / "set")
    (found,) = evaluate(run.folder)
    assert found.metrics["accuracy"] == run.results.networks[0].runs[0].test["accuracy"]
    (place / "set").rename(place / "elsewhere")
    try:
        with pytest.raises(MissingDataError, match=rf"lay at {place / 'set'}; they are not there now"):
            evaluate(run.folder)
    finally:
        (place / "elsewhere").rename(place / "set")


def test_a_run_folder_of_a_long_name_can_be_made(tmp_path: Path):
    experiment = Experiment(data=DataConfig(source="digits"))
    for name in ("L" * 250, "日本語" * 40, "plain"):
        folder = experiment.folder_name("compare", name)
        (tmp_path / folder).mkdir()
        assert len(folder.encode()) <= 160
        assert folder.endswith(experiment.identity())
    assert experiment.folder_name("train", "digits") == f"train-digits-{experiment.identity()}"


def test_a_misspelt_argument_is_told_the_argument_and_not_a_setting():
    with pytest.raises(ConfigError, match=r"Unknown argument 'epoch'\. Did you mean 'epochs'\?"):
        spikewise.compare("digits", epoch=3)
