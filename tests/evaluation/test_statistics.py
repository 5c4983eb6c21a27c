"""Intervals cover the truth as often as they say, and tests raise as few false alarms as they say, in simulations."""

import itertools

import numpy as np
import pytest
import scipy.stats

from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation import estimate_metrics, metrics
from spikewise.evaluation.statistics import (
    Resampling,
    bootstrap_metric,
    bootstrap_seeds_and_images,
    mcnemar_exact,
    mean_and_sd,
    paired_bootstrap,
    seeds_only,
    sign_flip_test,
    wilson,
)

QUICK = Resampling(samples=400)


def trained(rng, hard, *, accuracy=0.9, seeds=3, between=0.0):
    """Answers of networks whose true accuracy varies by `between` with the seed; hard images are hard for all."""
    level = accuracy + between * rng.standard_normal((seeds, 1))
    return rng.random((seeds, hard.size)) < level + hard


def images(rng, count):
    return rng.choice([-0.08, 0.08], count)


def coverage(truth, intervals):
    return np.mean([low <= truth <= high for low, high in intervals])


def ends(estimate):
    return estimate.low, estimate.high


@pytest.mark.parametrize("between", [0.0, 0.01, 0.03], ids=lambda s: f"sd between seeds {s}")
@pytest.mark.parametrize("count", [40, 1000], ids=lambda n: f"{n} images")
def test_intervals_of_accuracy_cover_the_truth(rng, between, count):
    """300 repetitions: a true coverage of 95 % gives 91.2 % or less once in 400."""
    intervals = [
        ends(
            bootstrap_seeds_and_images(
                trained(rng, images(rng, count), accuracy=0.85, between=between), resampling=QUICK
            )
        )
        for _ in range(300)
    ]
    assert coverage(0.85, intervals) > 0.912


def test_resampling_three_seeds_would_cover_far_too_seldom_which_is_why_it_is_not_done(rng):
    naive, ours = [], []
    for _ in range(300):
        right = trained(rng, images(rng, 1000), accuracy=0.85, between=0.03)
        means = right.mean(1)[rng.integers(0, 3, (400, 3))].mean(1)
        naive.append(tuple(np.quantile(means, [0.025, 0.975])))
        ours.append(ends(bootstrap_seeds_and_images(right, resampling=QUICK)))
    assert coverage(0.85, naive) < 0.85
    assert 0.912 < coverage(0.85, ours) < 0.995


@pytest.mark.parametrize("between", [0.0, 0.02])
def test_intervals_of_a_difference_cover_the_truth(rng, between):
    intervals = []
    for _ in range(300):
        hard = images(rng, 300)
        a, b = trained(rng, hard, accuracy=0.88, between=between), trained(rng, hard, accuracy=0.84, between=between)
        intervals.append(ends(paired_bootstrap(a, b, resampling=QUICK)))
    assert coverage(0.04, intervals) > 0.912


def test_intervals_over_subjects_cover_where_intervals_over_images_do_not(rng):
    """30 subjects with 20 images each, all of a subject's images equally hard."""
    by_image, by_subject = [], []
    groups = np.repeat(np.arange(30), 20)
    for _ in range(300):
        right = trained(rng, np.repeat(rng.uniform(-0.3, 0.3, 30), 20), accuracy=0.65)
        by_image.append(ends(bootstrap_seeds_and_images(right[:1], resampling=QUICK)))
        by_subject.append(ends(bootstrap_seeds_and_images(right[:1], groups, resampling=QUICK)))
    assert coverage(0.65, by_image) < 0.85
    assert coverage(0.65, by_subject) > 0.912


def test_an_interval_where_every_answer_is_right_still_has_a_width():
    estimate = bootstrap_seeds_and_images(np.ones((3, 20), dtype=bool))
    assert estimate.mean == estimate.high == 1
    assert 0.7 < estimate.low < wilson(20, 20)[0] + 0.05


def test_one_seed_gives_an_interval_that_says_it_covers_images_only(rng):
    estimate = bootstrap_seeds_and_images(trained(rng, images(rng, 200), seeds=1))
    assert estimate.sd is None
    assert "one seed" in estimate.method
    assert estimate.low < estimate.mean < estimate.high


def test_one_subject_gives_no_interval():
    estimate = bootstrap_seeds_and_images(np.eye(3, 10, dtype=bool), np.zeros(10, dtype=int))
    assert ends(estimate) == (None, None)


def test_the_interval_of_identical_answers_is_around_zero(rng):
    right = trained(rng, images(rng, 200))
    estimate = paired_bootstrap(right, right)
    assert estimate.mean == 0
    assert estimate.low < 0 < estimate.high


def test_exchanging_the_sides_turns_the_interval_round(rng):
    hard = images(rng, 500)
    a, b = trained(rng, hard), trained(rng, hard, accuracy=0.85)
    there, back = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low), abs=0.004)


def test_the_same_resampling_gives_the_same_interval_and_leaves_the_global_seed_alone(rng):
    right = trained(rng, images(rng, 300))
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the global state is what must not move
    first, second, other = (bootstrap_seeds_and_images(right, resampling=Resampling(seed=s)) for s in (1, 1, 2))
    assert first == second != other
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_metric_of_counts_agrees_with_the_general_bootstrap(rng):
    labels = rng.integers(0, 3, 200)
    probabilities = rng.dirichlet(np.ones(3), (3, 200)) * 0.6 + 0.4 * np.eye(3)[labels]
    found = estimate_metrics(labels, probabilities)
    general = bootstrap_metric(
        lambda y, p: float(metrics.count_metrics(metrics.confusion(y, p.argmax(1), 3))["f1_macro"]),
        labels, probabilities, resampling=Resampling(samples=400),
    )  # fmt: skip
    assert ends(found["f1_macro"]) == pytest.approx(ends(general), abs=0.015)
    assert found["f1_macro"].mean == pytest.approx(general.mean)


def test_every_metric_has_an_estimate_around_its_mean_over_seeds(rng):
    labels = rng.integers(0, 2, 150)
    probabilities = rng.dirichlet(np.ones(2), (3, 150)) * 0.6 + 0.4 * np.eye(2)[labels]
    found = estimate_metrics(labels, probabilities, groups=np.arange(150) // 3)
    runs = [metrics.classification_metrics(labels, run) for run in probabilities]
    assert set(found) == set(runs[0])
    for name, estimate in found.items():
        assert estimate.mean == pytest.approx(np.mean([run[name] for run in runs])), name
        assert estimate.low < estimate.mean < estimate.high, name


def test_no_interval_leaves_the_range_of_its_metric():
    labels = np.arange(30) % 2
    sure = np.eye(2)[labels][None].repeat(3, 0)
    sure[0, 0] = sure[0, 0, ::-1]
    for name, estimate in estimate_metrics(labels, sure).items():
        if estimate.low is None:
            assert "no interval: " in estimate.method
            continue
        assert estimate.low >= 0, name
        assert estimate.high <= 1 or name in {"nll", "brier"}, name


def test_undefined_metrics_have_no_estimate(rng):
    found = estimate_metrics(np.zeros(50, dtype=int), rng.dirichlet(np.ones(2), (2, 50)))
    assert not {"auc", "recall"} & set(found)
    assert "specificity" in found


def test_mcnemar_is_the_binomial_test_of_the_discordant_images():
    a = np.array([True] * 9 + [False] * 2 + [True] * 50 + [False] * 5)
    b = np.array([False] * 9 + [True] * 2 + [True] * 50 + [False] * 5)
    found = mcnemar_exact(a, b)
    assert (found.only_a, found.only_b) == (9, 2)
    assert found.p == pytest.approx(2 * sum(scipy.stats.binom.pmf(k, 11, 0.5) for k in range(3)))
    assert mcnemar_exact(a, a) == (0, 0, 1.0)


def test_the_sign_flip_test_of_one_seed_is_mcnemars(rng):
    for _ in range(20):
        a, b = (trained(rng, images(rng, 60), seeds=1, accuracy=acc) for acc in (0.9, 0.8))
        assert sign_flip_test(a, b) == pytest.approx(mcnemar_exact(a[0], b[0]).p)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_sign_flip_test_agrees_with_trying_every_sign(rng, grouped):
    a, b = rng.random((3, 12)) < 0.8, rng.random((2, 12)) < 0.4
    groups = np.arange(12) // 2 if grouped else np.arange(12)
    units = np.bincount(groups, weights=np.round(6 * (a.mean(0) - b.mean(0))))
    sums = [abs(np.dot(signs, units)) for signs in itertools.product([-1, 1], repeat=units.size)]
    assert sign_flip_test(a, b, groups) == pytest.approx(np.mean(np.array(sums) >= abs(units.sum())))


def test_the_sign_flip_test_raises_no_more_false_alarms_than_it_says(rng):
    """400 repetitions at 5 %: more than 34 alarms would come about once in 1000."""
    alarms = 0
    for _ in range(400):
        hard = images(rng, 150)
        alarms += sign_flip_test(trained(rng, hard), trained(rng, hard)) < 0.05
    assert alarms <= 34


def test_wilson_gives_the_published_interval():
    """Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_seeds_only_is_students_interval():
    values = [0.91, 0.93, 0.95]
    expected = scipy.stats.t.interval(0.95, 2, loc=np.mean(values), scale=scipy.stats.sem(values))
    assert ends(seeds_only(values)) == pytest.approx(expected)
    assert mean_and_sd(values) == pytest.approx((0.93, 0.02))
    assert ends(seeds_only([0.9])) == (None, None)
    assert mean_and_sd([0.9]) == (0.9, None)


def test_bad_input_is_refused_in_words():
    right = np.ones((2, 5), dtype=bool)
    with pytest.raises(ShapeError, match=r"\(2, 5\) and \(2, 4\)"):
        paired_bootstrap(right, right[:, :4])
    with pytest.raises(ShapeError, match="one group for each of 5 images"):
        bootstrap_seeds_and_images(right, np.zeros(4, dtype=int))
    with pytest.raises(ConfigError, match="level"):
        Resampling(level=1.0)
