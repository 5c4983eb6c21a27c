"""The proposed split is clean, and only the set it was made for takes it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spikewise.data import Role, SplitConfig, part_overlap, split
from spikewise.data.audit import audit, clean_split, look_at
from spikewise.data.split_file import SplitFile, read_split
from spikewise.errors import DataError, MissingDataError


@pytest.fixture
def leaky(make_set):
    """60 images of 20 subjects in published parts; copies across parts, one of them with two labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
    images[50], images[51], images[40] = images[0], images[1], images[2]
    roles = np.r_[np.full(40, Role.TRAIN), np.full(10, Role.VALIDATION), np.full(10, Role.TEST)]
    labels = np.arange(60) % 2
    labels[51] = 0  # and 1 has the other label
    return make_set(labels, images=images, roles=roles)


def mended(image_set, **config) -> SplitFile:
    parts = split(image_set, SplitConfig(grouped=False))
    return clean_split(look_at(image_set, parts), SplitConfig(**config))


def test_a_published_test_part_is_kept_and_what_is_like_it_is_left_out(leaky):
    found = mended(leaky)
    assert set(found.test) == set(range(50, 60)) - {51}
    assert found.left_out == {"identical images with different labels": (1, 51), "like a test image": (0,)}
    assert 40 in found.train  # a validation image that is like a training image joins it
    assert part_overlap(leaky, found.split).clean


def test_subjects_are_kept_on_one_side_whatever_the_config_says(make_set):
    image_set = make_set(np.arange(400) % 2, groups=np.arange(400) // 4)
    found = mended(image_set, grouped=False, limit=30)
    assert part_overlap(image_set, found.split).groups == 0
    assert sum(map(len, found.split)) == 400
    shares = [len(part) / 400 for part in found.split]
    np.testing.assert_allclose(shares, [0.65, 0.15, 0.2], atol=0.03)
    assert all(abs(image_set.labels[part].mean() - 0.5) < 0.05 for part in found.split)


def test_near_duplicates_are_kept_on_one_side(make_set):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 230, (200, 1, 12, 12)).astype(np.uint8)
    images[150:] = images[:50] + rng.integers(0, 12, (50, 1, 12, 12)).astype(np.uint8)
    image_set = make_set(np.arange(200) % 2, images=images)
    parts = split(image_set)
    assert audit(image_set, parts).near_across > 10
    found = clean_split(look_at(image_set, parts), None).split
    assert audit(image_set, found).near_across == 0


def test_a_split_file_is_used_by_split(leaky, tmp_path):
    found = mended(leaky)
    found.save(tmp_path / "clean.json")
    parts = split(leaky, SplitConfig(file=str(tmp_path / "clean.json")))
    for ours, theirs in zip(parts, found.split, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    limited = split(leaky, SplitConfig(file=str(tmp_path / "clean.json"), limit=10))
    assert len(limited.train) == 10
    np.testing.assert_array_equal(limited.test, parts.test)


def test_what_a_split_file_says_of_itself(leaky):
    text = mended(leaky).describe()
    assert "test 9" in text
    assert "1 left out (like a test image)" in text


def test_a_split_file_of_another_set_is_refused(leaky, tmp_path):
    mended(leaky).save(tmp_path / "clean.json")
    with pytest.raises(DataError, match=r"with fingerprint 0 .*this is made up with fingerprint 1"):
        read_split(tmp_path / "clean.json", replace(leaky, fingerprint="1"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test": [50, 60]}, "names image 60"),
        ({"test": [0, 50]}, "names 1 images more than once, such as 0"),
        ({"validation": []}, "the part validation is empty"),
        ({"train": "all"}, "not a split file of this version: 'train"),
        ({"test": [-1]}, "not a split file"),
        ({"format": 2}, "format"),
        ({"extra": 1}, "extra"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_damaged_split_file_says_what_is_wrong(leaky, tmp_path, change, words):
    table = {"format": 1, "name": "made up", "fingerprint": "0", "images": 60, "made_by": ""}
    table |= {"train": [0, 1], "validation": [2, 3], "test": [50, 52]} | change
    (tmp_path / "split.json").write_text(json.dumps(table))
    with pytest.raises(DataError, match=words):
        read_split(tmp_path / "split.json", leaky)


def test_a_split_file_that_is_not_there_or_no_json(leaky, tmp_path):
    with pytest.raises(MissingDataError, match="--fix"):
        read_split(tmp_path / "none.json", leaky)
    (tmp_path / "text.json").write_text("train: all")
    with pytest.raises(DataError, match="not a split file of this version: Invalid JSON"):
        read_split(tmp_path / "text.json", leaky)
    with pytest.raises(DataError, match="cannot be read"):
        read_split(tmp_path, leaky)
