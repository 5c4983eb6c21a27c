"""DeLong's covariance is that of the U-statistic, its intervals cover, and its test keeps its level."""

import numpy as np
import pytest
from simulated import area, images, scores

from spikewise.errors import ShapeError
from spikewise.evaluation.metrics import area_under_curve
from spikewise.evaluation.statistics import (
    Resampling,
    auc_difference,
    auc_interval,
    bootstrap_metric,
    delong,
    delong_test,
    mean_auc_interval,
    one_against_rest,
)

QUICK = Resampling(samples=400)


def kernel(score, positive):
    """1 where a positive is above a negative, 1/2 where they tie [m, n]: the definition, pair by pair."""
    above, below = score[positive][:, None], score[~positive][None]
    return (above > below) + 0.5 * (above == below)


def brute_force(positive, runs, groups):
    """DeLong et al. 1988 and Obuchowski 1997, with loops over clusters and pairs of runs."""
    tables = [kernel(run, positive) for run in runs]
    areas = [table.mean() for table in tables]
    m, n = tables[0].shape
    own = np.arange(positive.size) if groups is None else groups
    rows, columns = own[positive], own[~positive]

    def summed(table, which, axis):
        return {c: (table.mean(axis) - table.mean())[which == c].sum() for c in set(own)}

    above = [summed(table, rows, 1) for table in tables]
    below = [summed(table, columns, 0) for table in tables]
    out = np.zeros((len(runs), len(runs)))
    for r, s in np.ndindex(out.shape):
        i10, i01, i = len(set(rows)), len(set(columns)), len(set(own))
        s10 = i10 / (i10 - 1) / m * sum(above[r][c] * above[s][c] for c in set(own))
        s01 = i01 / (i01 - 1) / n * sum(below[r][c] * below[s][c] for c in set(own))
        s11 = i / (i - 1) * sum(above[r][c] * below[s][c] + above[s][c] * below[r][c] for c in set(own))
        out[r, s] = s10 / m + s01 / n + s11 / (m * n)
    return areas, out


@pytest.mark.parametrize("grouped", [False, True], ids=["images", "subjects"])
@pytest.mark.parametrize("digits", [1, 9], ids=["with ties", "without ties"])
def test_areas_and_their_covariance_are_those_of_the_u_statistic(rng, grouped, digits):
    shown = images(rng, 41, positive=0.3)
    runs = np.round(scores(rng, shown, 0.8), digits)
    groups = rng.integers(0, 9, 41) if grouped else None
    positive = shown.labels == 1
    found, (areas, covariance) = delong(positive, runs, groups), brute_force(positive, runs, groups)
    np.testing.assert_allclose(found.areas, areas, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-10, atol=1e-15)


def test_the_area_is_the_one_of_the_metrics(rng):
    shown = images(rng, 60)
    z = scores(rng, shown, 0.8, seeds=1)
    p = 1 / (1 + np.exp(-z[0]))
    expected = area_under_curve(shown.labels, np.stack([1 - p, p], 1))
    assert delong(shown.labels == 1, z).areas[0] == pytest.approx(expected, abs=1e-12)


def test_the_standard_error_is_the_spread_of_areas_over_test_sets(rng):
    """400 test sets: the standard deviation of a standard deviation is 3.5 %."""
    areas, errors = [], []
    for _ in range(400):
        shown = images(rng, 150, positive=0.3)
        found = delong(shown.labels == 1, scores(rng, shown, 0.85, seeds=1))
        areas.append(found.areas[0])
        errors.append(found.covariance[0, 0])
    assert np.mean(areas) == pytest.approx(area(0.85), abs=0.005)
    assert np.mean(errors) ** 0.5 == pytest.approx(np.std(areas), rel=0.12)


def share_covered(truth, estimates):
    given = [one for one in estimates if one.low is not None]
    assert len(given) > 0.9 * len(estimates)
    return np.mean([one.low <= truth <= one.high for one in given])


@pytest.mark.parametrize(("seeds", "accuracy"), [(1, 0.8), (3, 0.8), (3, 0.95)])
def test_intervals_of_the_area_cover_the_truth(rng, seeds, accuracy):
    """300 repetitions: a true coverage of 95 % gives 91.2 % or less once in 400."""
    found = []
    for _ in range(300):
        shown = images(rng, 200)
        found.append(auc_interval(shown.labels == 1, scores(rng, shown, accuracy, seeds=seeds), resampling=QUICK))
    assert share_covered(area(accuracy), found) > 0.912


def test_intervals_of_a_difference_of_areas_cover_the_truth(rng):
    found = []
    for _ in range(300):
        shown = images(rng, 200)
        a, b = scores(rng, shown, 0.85), scores(rng, shown, 0.8)
        found.append(auc_difference(shown.labels == 1, a, b, resampling=QUICK).estimate)
    assert share_covered(area(0.85) - area(0.8), found) > 0.912


def test_intervals_over_subjects_cover_where_intervals_over_images_do_not(rng):
    """25 subjects with 20 images each; the classes are apart by subject, as patients are ill or not."""
    by_image, by_subject = [], []
    for _ in range(200):
        shown = images(rng, 500, subjects=25)
        shown = shown._replace(labels=(shown.groups < 12).astype(np.int64))
        z = scores(rng, shown, 0.8, seeds=1)
        by_image.append(auc_interval(shown.labels == 1, z, resampling=QUICK))
        by_subject.append(auc_interval(shown.labels == 1, z, shown.groups, resampling=QUICK))
    assert share_covered(area(0.8), by_image) < 0.8
    assert share_covered(area(0.8), by_subject) > 0.9


def test_delongs_test_keeps_its_level_and_finds_what_is_there(rng):
    """500 repetitions at 5 %: more than 42 alarms would come about once in 1000."""
    alarms = finds = 0
    for _ in range(500):
        shown = images(rng, 150)
        a, b, worse = (scores(rng, shown, accuracy, seeds=2) for accuracy in (0.85, 0.85, 0.75))
        alarms += delong_test(shown.labels == 1, a, b) < 0.05
        finds += delong_test(shown.labels == 1, a, worse) < 0.05
    assert alarms <= 42
    assert finds > 400


def test_runs_that_order_all_images_alike_leave_nothing_to_test(rng):
    shown = images(rng, 50)
    z = scores(rng, shown, 0.8)
    assert delong_test(shown.labels == 1, z, np.exp(z)) is None
    assert auc_difference(shown.labels == 1, z, z).estimate.mean == 0


def test_perfect_order_gives_no_interval_and_says_why():
    labels = np.arange(20) % 2
    found = auc_interval(labels == 1, labels[None].astype(float))
    assert (found.mean, found.low, found.high) == (1, None, None)
    assert "every image of one class before every image of the other" in found.method


def test_one_image_of_a_class_gives_no_interval():
    found = auc_interval(np.arange(20) == 3, np.cos(np.arange(20.0))[None])
    assert found.low is None
    assert "no interval" in found.method


def test_bad_input_is_refused_in_words(rng):
    with pytest.raises(ShapeError, match="both classes; got 5 positive and 0 negative"):
        delong(np.ones(5, dtype=bool), rng.random((1, 5)))
    with pytest.raises(ShapeError, match=r"\(5,\) and \(1, 4\)"):
        delong(np.ones(5, dtype=bool), rng.random((1, 4)))


def answers(rng, count, classes, seeds=1, edge=1.2):
    """Softmax of noisy scores, of which the label's is higher by `edge`; part of the noise is the images' own."""
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    scores = rng.normal(size=(count, classes)) + 0.6 * rng.normal(size=(seeds, count, classes))
    scores += edge * np.eye(classes)[labels]
    return labels, np.exp(scores) / np.exp(scores).sum(2, keepdims=True)


def test_of_two_classes_the_mean_area_has_delongs_covariance(rng):
    labels, said = answers(rng, 41, 2, seeds=3)
    found, delongs = one_against_rest(labels, said), delong(labels == 1, said[:, :, 1])
    np.testing.assert_allclose(found.areas, delongs.areas, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, delongs.covariance, rtol=1e-10)
    one, other = mean_auc_interval(labels, said), auc_interval(labels == 1, said[:, :, 1])
    assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.1)  # other random numbers


def test_of_more_classes_the_standard_error_is_the_spread_of_the_mean_area_over_test_sets(rng):
    """300 test sets: the standard deviation of a standard deviation is 4 %."""
    areas, errors = [], []
    for _ in range(300):
        labels, said = answers(rng, 120, 4)
        found = one_against_rest(labels, said)
        assert found.areas[0] == pytest.approx(area_under_curve(labels, said[0]), abs=1e-12)
        areas.append(found.areas[0])
        errors.append(found.covariance[0, 0])
    assert np.mean(errors) ** 0.5 == pytest.approx(np.std(areas), rel=0.13)


def test_the_interval_of_the_mean_area_is_about_as_wide_as_that_of_a_bootstrap(rng):
    labels, said = answers(rng, 150, 3, seeds=3)
    groups = np.arange(150) // 3
    for of in (None, groups):
        quick = mean_auc_interval(labels, said, of, resampling=QUICK)
        slow = bootstrap_metric(area_under_curve, labels, said, of, bounds=(0, 1), resampling=Resampling(samples=200))
        assert quick.mean == pytest.approx(slow.mean, abs=1e-12)
        assert quick.high - quick.low == pytest.approx(slow.high - slow.low, rel=0.2)


def test_intervals_of_the_mean_area_cover_the_truth(rng):
    truth = np.mean([area_under_curve(labels, said[0]) for labels, said in (answers(rng, 20_000, 3) for _ in range(3))])
    found = [mean_auc_interval(*answers(rng, 80, 3), resampling=QUICK) for _ in range(300)]
    assert 0.9 < np.mean([one.low <= truth <= one.high for one in found]) < 0.99


def test_a_mean_area_over_a_class_that_is_absent_is_refused():
    with pytest.raises(ShapeError, match="none of class 2"):
        one_against_rest(np.array([0, 1, 0, 1]), np.full((1, 4, 3), 1 / 3))
