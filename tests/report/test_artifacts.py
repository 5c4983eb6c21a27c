"""`artifacts.npz`: what is saved is what is loaded, and damage is said in words."""

import dataclasses

import numpy as np
import pytest
from fake import ROLES, artifacts, blobs, results, traces

from spikewise.errors import RunError, ShapeError
from spikewise.report import Artifacts
from spikewise.report.agreement import check_artifacts


def flat(value, name=""):
    """Every array and number of nested artifacts, by its path."""
    if dataclasses.is_dataclass(value):
        return {k: v for f in vars(value) for k, v in flat(getattr(value, f), f"{name}.{f}").items()}
    if isinstance(value, dict):
        return {k: v for f in value for k, v in flat(value[f], f"{name}.{f}").items()}
    return {name: value}


@pytest.mark.parametrize("spiking_output", [True, False])
def test_what_is_saved_is_what_is_loaded(tmp_path, spiking_output):
    made = artifacts(spiking_output=spiking_output)
    made.save(tmp_path / "artifacts.npz")
    before, after = flat(made), flat(Artifacts.load(tmp_path / "artifacts.npz"))
    assert list(before) == list(after)  # layers keep their order
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_parts_that_were_not_stored_are_none(tmp_path):
    Artifacts(np.zeros((0, 1, 8, 8), np.uint8), np.zeros(0, np.int64)).save(tmp_path / "a.npz")
    loaded = Artifacts.load(tmp_path / "a.npz")
    assert loaded.traces is None
    assert loaded.disagreements is None


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "no array", "pickle"])
def test_damage_is_said_in_words(tmp_path, damage):
    path = tmp_path / "artifacts.npz"
    artifacts().save(path)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("not an archive")
    elif damage == "no array":
        np.savez(path, grid_images=np.zeros(1))
    else:
        np.savez(path, grid_images=np.array([{"a": 1}], dtype=object), grid_labels=np.zeros(1))
    with pytest.raises(RunError, match=r"artifacts\.npz"):
        Artifacts.load(path)


def test_without_images_nothing_is_left_to_rebuild_one_from():
    bare = artifacts().without_images()
    assert bare.grid_images.size == bare.traces.images.size == bare.traces.encoded.size == 0
    assert bare.disagreements.images.size == 0
    assert len(bare.disagreements) == 18


def test_arrays_that_do_not_fit_together_are_refused():
    made = traces(blobs(np.arange(3), 3), np.arange(3), 3)
    with pytest.raises(ShapeError):
        dataclasses.replace(made, labels=np.arange(2))
    with pytest.raises(ShapeError):
        dataclasses.replace(made, layers={"lif1": np.zeros((3, 7, 5), np.uint8)})


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"classes": ("cat", "dog", "cow")}, "classes beyond the 2"),
        ({"size": 9}, "images .1, 9, 9.; those of the run are .1, 8, 8."),
        ({"steps": 6}, "traces of 6 steps"),
    ],
)
def test_artifacts_of_another_run_are_told_as_such(other, words, tmp_path):
    told = results(classes=("cat", "dog"), epochs=2, steps=5, data={"image_shape": (1, 8, 8)}, networks=ROLES[:2])
    path = tmp_path / "artifacts.npz"
    check_artifacts(path, artifacts(**{"classes": ("cat", "dog"), "size": 8, "steps": 5}), told)
    with pytest.raises(RunError, match=f"{path} is damaged .*({words})"):
        check_artifacts(path, artifacts(**{"classes": ("cat", "dog"), "size": 8, "steps": 5, **other}), told)


def test_artifacts_of_a_network_that_the_run_lacks_are_told_as_such(tmp_path):
    told = results(classes=("cat", "dog"), epochs=2, steps=5, data={"image_shape": (1, 8, 8)}, networks=ROLES[:1])
    with pytest.raises(RunError, match="answers of 'twin', which is no network of the run"):
        check_artifacts(tmp_path / "artifacts.npz", artifacts(("cat", "dog"), size=8, steps=5), told)
