"""A folder of photos of all sizes is run without a word about sizes, and later photos are read as it was."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.api import Run, evaluate, load_data, train
from spikewise.data import split
from spikewise.experiments import run as module


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide and tall pictures of two classes, bright above or bright below."""
    root, rng = tmp_path_factory.mktemp("sets") / "photos", np.random.default_rng(2)
    for label, name in enumerate(("above", "below")):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 80, (8 + number % 3, 10 - 2 * (number % 4)), np.uint8)
            half = len(pixels) // 2
            pixels[slice(0, half) if label == 0 else slice(half, None)] += 150
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    (root / "nothing").mkdir()
    return root


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs")
    return train(photos, seeds=1, epochs=2, out=out, model={"hidden": [8]}, encoder={"steps": 3}, sections=["audit"])


def test_the_run_keeps_what_was_done_to_the_images(run: Run):
    data = run.results.data
    assert (data.image_shape, data.aspect) == ((1, 10, 10), "keep")
    assert any(
        one.startswith("Images of 12 sizes") and "brought to 10x10, in proportion" in one for one in data.cautions
    )
    assert "Class folders without images were left out: nothing." in data.cautions


def test_a_file_is_read_as_the_set_was(run: Run, photos: Path):
    found, trained = load_data(photos), run.load()
    files = [photos / name for name in found.sources]
    np.testing.assert_array_equal(trained.pixels(files), found.images)


def test_the_folder_is_known_again_as_the_run_s_own(run: Run, photos: Path):
    (own,) = evaluate(run.folder, data=photos)
    test = split(load_data(photos)).test
    assert own.images == len(test), "all of its images if it were taken for another set"


def test_large_images_of_one_size_are_said_to_be_dear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for label, name in enumerate("ab"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((96, 192), 40 * label + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    said: list[str] = []

    class Enough(Exception):
        pass

    def stop(*_: object) -> None:
        raise Enough

    class Ears(module.Silent):
        def said(self, text: str) -> None:
            said.append(text)

    monkeypatch.setattr(module, "train_all", stop)
    for size in ("auto", "none"):
        data = {"source": str(tmp_path / "set"), "size": size}
        experiment = module.Experiment(data=data, train={"learning_rate": 1e-3}, sections=(), device="cpu")
        with pytest.raises(Enough):
            module.run_experiment(experiment, out=tmp_path / size, listener=Ears())
    hint = (
        "Images of 96x192 pixels are taken as they are: an epoch costs about 9 times what it would with --set "
        "data.size=64."
    )
    assert said.count(hint) == 1, "not where the size was asked for"
