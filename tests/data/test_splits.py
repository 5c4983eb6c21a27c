import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikewise.data import Role, SplitConfig, class_weights, part_overlap, split
from spikewise.data.duplicates import identical_images
from spikewise.errors import ConfigError, DataError

SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
BALANCED = np.arange(300) % 3


def assert_disjoint(parts) -> None:
    everything = np.concatenate(parts)
    assert len(np.unique(everything)) == len(everything)
    for part in parts:
        assert (np.diff(part) > 0).all()


@given(sizes=st.lists(st.integers(3, 200), min_size=2, max_size=6), seed=st.integers(0, 2**32))
@SETTINGS
def test_single_images_are_divided_exactly_by_class(make_set, sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = make_set(labels)
    parts = split(images, SplitConfig(seed=seed))
    assert_disjoint(parts)
    assert sum(map(len, parts)) == len(labels)
    for part, share in zip(parts, (0.65, 0.15, 0.2), strict=True):
        counts = np.bincount(labels[part], minlength=len(sizes))
        assert (counts >= 1).all()
        assert (np.abs(counts - share * np.array(sizes)) <= np.where(np.array(sizes) < 14, 2, 1)).all()


@given(subjects=st.integers(30, 80), seed=st.integers(0, 2**32))
@SETTINGS
def test_subjects_stay_together_and_shares_hold(make_set, subjects, seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(subjects), rng.integers(1, 12, subjects))
    labels = rng.integers(0, 2, len(groups))
    images = make_set(labels, groups=groups)
    parts = split(images, SplitConfig(seed=seed))
    assert_disjoint(parts)
    assert part_overlap(images, parts).clean
    for part, share in zip(parts, (0.65, 0.15, 0.2), strict=True):
        assert abs(len(part) / len(labels) - share) < 0.06
        assert abs(labels[part].mean() - labels.mean()) < 0.12


def test_the_same_seed_gives_the_same_split_and_another_another(make_set):
    images = make_set(BALANCED)
    one, same, other = (split(images, SplitConfig(seed=seed)) for seed in (7, 7, 8))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(one.test) != set(other.test)


def test_the_split_of_a_seed_is_fixed_for_good(make_set):
    assert split(make_set(np.arange(30) % 2), SplitConfig(seed=1)).test.tolist() == [5, 17, 18, 20, 21, 28]


def test_global_random_state_is_neither_used_nor_changed(make_set):
    before = np.random.get_state()[1].copy()  # noqa: NPY002  (the very thing that must not change)
    split(make_set(BALANCED))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_identical_images_stay_together_across_subjects(make_set):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (100, 1, 3, 3), np.uint8)[np.arange(300) // 3]
    order = rng.permutation(300)
    images = make_set((np.arange(300) // 3 % 2)[order], images=pixels[order], groups=rng.integers(0, 150, 300))
    alone = make_set(images.labels, images=images.images)
    assert part_overlap(alone, split(alone)).clean
    few = make_set(images.labels, images=images.images, groups=np.repeat(np.arange(100), 3)[order])
    assert part_overlap(few, split(few)).clean


def test_ungrouped_splits_may_separate_subjects(make_set):
    images = make_set(BALANCED, groups=np.arange(300) // 10)
    report = part_overlap(images, split(images, SplitConfig(grouped=False)))
    assert report.groups > 0
    assert not report.clean


ROLES = np.repeat([Role.TRAIN, Role.TEST], [200, 100])


def test_published_parts_are_kept_and_validation_comes_from_train(make_set):
    images = make_set(BALANCED, roles=ROLES, groups=np.arange(300) // 5)
    parts = split(images)
    np.testing.assert_array_equal(parts.test, np.arange(200, 300))
    assert set(parts.train) | set(parts.validation) == set(range(200))
    assert len(parts.validation) == pytest.approx(30, abs=3)
    assert part_overlap(images, parts).clean
    anew = split(images, SplitConfig(published=False))
    assert set(anew.test) != set(range(200, 300))


def test_three_published_parts_stay_as_they_are(make_set):
    roles = np.repeat([Role.TRAIN, Role.VALIDATION, Role.TEST], 100)
    parts = split(make_set(BALANCED, roles=roles))
    for part, start in zip(parts, (0, 100, 200), strict=True):
        np.testing.assert_array_equal(part, np.arange(start, start + 100))


def test_a_published_split_that_leaks_is_kept_and_counted(make_set):
    pixels = np.arange(300, dtype=">u4").view(np.uint8).reshape(300, 1, 2, 2).copy()
    pixels[250] = pixels[0]
    pixels[260] = pixels[1]
    images = make_set(BALANCED, roles=ROLES, images=pixels, groups=np.r_[np.arange(299), 0])
    parts = split(images)
    report = part_overlap(images, parts)
    assert (report.duplicates, report.duplicate_images, report.groups, report.group_images) == (2, 4, 1, 2)
    assert sum(report.duplicate_pairs.values()) == 2
    assert report.contradictions == 2 - (BALANCED[0] == BALANCED[250]) - (BALANCED[1] == BALANCED[260])
    assert "1 subject straddles" in report.describe()


def test_undersampling_balances_train_or_everything(make_set):
    labels = np.repeat([0, 1], [300, 60])
    images = make_set(labels)
    train = split(images, SplitConfig(undersample="train"))
    assert len(set(np.bincount(labels[train.train]))) == 1
    assert np.bincount(labels[train.test]).tolist() == [60, 12]
    whole = split(images, SplitConfig(undersample="all"))
    assert sum(map(len, whole)) == 120
    assert all(len(set(np.bincount(labels[part]))) == 1 for part in whole)


@given(limit=st.integers(3, 250), seed=st.integers(0, 99))
@SETTINGS
def test_a_limit_is_met_and_keeps_the_proportions(make_set, limit, seed):
    labels = np.repeat([0, 1, 2], [200, 90, 10])
    images = make_set(labels)
    full = split(images, SplitConfig(seed=seed))
    parts = split(images, SplitConfig(seed=seed, limit=limit))
    assert len(parts.train) == min(limit, len(full.train))
    assert set(parts.train) <= set(full.train)
    np.testing.assert_array_equal(parts.test, full.test)
    counts = np.bincount(labels[parts.train], minlength=3)
    assert (counts >= 1).all()
    assert (np.abs(counts - np.bincount(labels[full.train]) * len(parts.train) / len(full.train)) < 2).all()


@pytest.mark.parametrize(
    ("labels", "groups", "says"),
    [
        ([0] * 20 + [1], None, r"'class 1' has 1 image to divide into train, .* too few"),
        (
            [0] * 20 + [1] * 20,
            [0] * 20 + [1] * 10 + [2] * 10,
            "'class 0' has 20 images of 1 separate subject to divide",
        ),
    ],
)
def test_too_few_images_or_subjects_of_a_class(make_set, labels, groups, says):
    with pytest.raises(DataError, match=says):
        split(make_set(labels, groups=groups))


def test_a_class_missing_from_a_published_part_is_named(make_set):
    labels = np.r_[BALANCED[:200], np.zeros(100, np.int64)]
    with pytest.raises(DataError, match="made up do not have the same classes: test lacks class 1, class 2"):
        split(make_set(labels, roles=ROLES))


def test_a_set_of_test_images_alone_is_refused(make_set):
    with pytest.raises(DataError, match="no images to train on"):
        split(make_set([0, 1] * 10, roles=[Role.TEST] * 20))


def test_a_rare_class_reaches_every_part(make_set):
    labels = np.r_[np.zeros(500, np.int64), np.ones(3, np.int64)]
    groups = np.r_[np.arange(500) // 5, [200, 201, 202]]
    assert all(labels[part].any() for part in split(make_set(labels, groups=groups)))
    bundled = np.r_[np.arange(500) // 5, [200, 5, 60]]
    assert all(labels[part].any() for part in split(make_set(labels, groups=bundled)))


def test_impossible_shares_and_limits_are_refused(make_set):
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        split(make_set(BALANCED), SplitConfig(validation=0.5, test=0.5))
    with pytest.raises(ConfigError, match="below the number of classes"):
        split(make_set(BALANCED), SplitConfig(limit=2))
    with pytest.raises(ConfigError, match="test"):
        SplitConfig(test=0)


def test_class_weights_are_inverse_to_shares():
    labels = np.repeat([0, 1, 2], [10, 20, 70])
    weights = class_weights(labels, 3)
    np.testing.assert_allclose(weights * [10, 20, 70], 100 / 3, rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1, rel=1e-6)
    with pytest.raises(DataError, match="images of all 4 classes"):
        class_weights(labels, 4)


def test_identical_images_are_numbered_by_first_occurrence():
    pixels = np.array([3, 1, 3, 2, 1], np.uint8).reshape(5, 1, 1, 1)
    assert identical_images(pixels, np.arange(5)).tolist() == [0, 1, 0, 2, 1]
    assert identical_images(pixels, np.array([1, 4, 0])).tolist() == [0, 0, 1]
