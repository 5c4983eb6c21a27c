"""Facts about the real sets; skipped where they are not."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from spikewise.data import FileState, Role, SplitConfig, load_data, part_overlap, split, verify
from spikewise.data.idx import encode_idx, read_idx

pytestmark = pytest.mark.real


def counts(found) -> list[int]:
    return [int((found.roles == role).sum()) for role in (Role.TRAIN, Role.VALIDATION, Role.TEST)]


@pytest.mark.parametrize(("name", "mean"), [("mnist", 0.131), ("fashion-mnist", 0.286)])
def test_idx_sets_are_whole_and_as_published(real_data: Path, name, mean):
    found = load_data(name, data_dir=real_data)
    assert counts(found) == [60_000, 0, 10_000]
    assert found.image_shape == (1, 28, 28)
    assert found.images.mean() / 255 == pytest.approx(mean, abs=0.001)
    assert {file.verdict for file in verify(name, real_data)} == {FileState.OK}


def test_repacked_fashion_files_are_the_same_images(real_data: Path, tmp_path: Path):
    (tmp_path / "fashion-mnist").mkdir()
    for file in (real_data / "fashion-mnist").glob("t10k*"):
        repacked = gzip.compress(gzip.decompress(file.read_bytes()), 1)
        (tmp_path / "fashion-mnist" / file.name).write_bytes(repacked)
    verdicts = [found.verdict for found in verify("fashion-mnist", tmp_path) if found.name.startswith("t10k")]
    assert verdicts == [FileState.REPACKED] * 2


def test_emnist_is_read_as_mnist_stored_transposed(real_data: Path, tmp_path: Path):
    (tmp_path / "emnist").mkdir()
    for ours, theirs in (("train", "train"), ("test", "t10k")):
        labels = read_idx(real_data / "mnist" / f"{theirs}-labels-idx1-ubyte.gz")[:500]
        images = read_idx(real_data / "mnist" / f"{theirs}-images-idx3-ubyte.gz")[:500]
        prefix = tmp_path / "emnist" / f"emnist-digits-{ours}"
        Path(f"{prefix}-images-idx3-ubyte").write_bytes(encode_idx(np.ascontiguousarray(images.transpose(0, 2, 1))))
        Path(f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx(labels))
    mnist, emnist = load_data("mnist", data_dir=real_data), load_data("emnist-digits", data_dir=tmp_path)
    np.testing.assert_array_equal(emnist.images[:500], mnist.images[:500])
    np.testing.assert_array_equal(emnist.labels[500:], mnist.labels[60_000:60_500])


def test_pneumoniamnist_leaks_eight_images_into_validation(real_data: Path):
    found = load_data("pneumoniamnist", data_dir=real_data)
    assert counts(found) == [4708, 524, 624]
    report = part_overlap(found, split(found))
    assert report.duplicate_pairs == {"train/validation": 8, "train/test": 0, "validation/test": 0}
    assert part_overlap(found, split(found, SplitConfig(published=False))).clean
    balanced = split(found, SplitConfig(published=False, undersample="all"))
    assert np.bincount(found.labels[np.concatenate(balanced)]).tolist() == [1583, 1583]


def test_chest_xrays_know_their_patients(real_data: Path, tmp_path: Path):
    found = load_data("chest-xray", data_dir=real_data, cache_dir=tmp_path, size=32, grey=True)
    assert counts(found) == [5216, 0, 624]
    assert found.classes == ("NORMAL", "PNEUMONIA")
    anew = part_overlap(found, split(found, SplitConfig(published=False)))
    assert (anew.groups, anew.duplicates) == (0, 0)
    published = split(found)
    assert part_overlap(found, published).duplicate_pairs["train/test"] == 0
    by_path = load_data(real_data / "chest_xray", cache_dir=tmp_path, size=32, grey=True)
    np.testing.assert_array_equal(by_path.groups, found.groups)
    inside = published._replace(test=published.test[:0])
    assert part_overlap(found, inside).groups == 0


def test_socofing_has_ten_fingers_of_600_people(real_data: Path, tmp_path: Path):
    found = load_data("socofing", data_dir=real_data, cache_dir=tmp_path)
    assert (len(found), found.image_shape, found.publishable) == (6000, (1, 97, 97), False)
    assert len(np.unique(found.groups)) == 600
    assert np.bincount(found.labels).tolist() == [600] * 10
    parts = split(found)
    assert part_overlap(found, parts).clean
    assert part_overlap(found, parts).contradictions > 0  # one print under two people and two fingers
    assert all(set(np.bincount(found.labels[part])) <= {len(part) // 10} for part in parts)


def test_real_and_altered_prints_look_alike(real_data: Path, tmp_path: Path):
    found = load_data("socofing", data_dir=real_data, cache_dir=tmp_path, target="altered", subjects=60)
    assert np.bincount(found.labels).tolist() == [600, 4884]
    places = {source: position for position, source in enumerate(found.sources)}
    real = next(source for source in places if "Real/" in source)
    easy = next(source for source in places if "Altered-Easy/" in source and Path(real).stem in source)
    both = found.images[[places[real], places[easy]]].astype(int)
    assert (np.abs(both[0] - both[1]) > 20).mean() < 0.2
