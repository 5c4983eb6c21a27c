"""Several pairs at once keep the level together; sizes of effects, and what a test set could have shown."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from simulated import images, right, scores

from spikewise.errors import ConfigError
from spikewise.evaluation.statistics import (
    Resampling,
    effect_size,
    holm,
    paired_difference,
    planned,
    sign_flip_test,
    smallest_detectable,
)

QUICK = Resampling(samples=400)
PS = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_holm_by_hand():
    """Multiply by 4, 3, 2, 1 in the order of size, never decreasing."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(PS)
def test_holm_rejects_what_the_closed_test_of_bonferroni_rejects(p):
    """Holm is the closure of Bonferroni: reject i if every set of hypotheses with i has min p * size < 0.05."""
    adjusted = holm(p)
    for i, value in enumerate(adjusted):
        others = [p[j] for j in range(len(p)) if j != i]
        sets = itertools.chain.from_iterable(itertools.combinations(others, k) for k in range(len(p)))
        worst = max(min([p[i], *rest]) * (len(rest) + 1) for rest in sets)
        assert value == pytest.approx(min(1.0, worst), abs=1e-12)


@given(PS)
def test_holm_keeps_the_order_and_never_helps(p):
    adjusted = np.array(holm(p))
    assert (adjusted >= p).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_refuses_what_is_no_probability():
    with pytest.raises(ConfigError, match=r"between 0 and 1; got 0\.1, nan"):
        holm([0.1, float("nan")])


def test_three_equal_networks_raise_no_more_alarms_than_one_pair_may(rng):
    """400 repetitions at 5 %: more than 34 would come about once in 1000; uncorrected there are more."""
    corrected = plain = 0
    for _ in range(400):
        shown = images(rng, 150)
        runs = [right(scores(rng, shown, 0.85), shown) for _ in range(3)]
        p = [sign_flip_test(a, b) for a, b in itertools.combinations(runs, 2)]
        plain += min(p) < 0.05
        corrected += min(holm(p)) < 0.05
    assert corrected <= 34 < plain


def test_effect_sizes_by_hand():
    a = np.array([[True] * 9 + [False] * 2 + [True] * 50 + [False] * 5])
    b = np.array([[False] * 9 + [True] * 2 + [True] * 50 + [False] * 5])
    found = effect_size(a, b)
    assert found.odds_ratio == pytest.approx(9 / 2)
    assert found.cohens_g == pytest.approx(9 / 11 - 0.5)
    assert found.discordant == pytest.approx(11 / 66)
    assert found.cohens_h == pytest.approx(2 * np.arcsin(np.sqrt(59 / 66)) - 2 * np.arcsin(np.sqrt(52 / 66)))


def test_the_effect_size_of_several_seeds_is_over_all_pairs_of_runs(rng):
    a, b = rng.random((3, 40)) < 0.8, rng.random((2, 40)) < 0.6
    only_a = sum((x & ~y).sum() for x in a for y in b)
    only_b = sum((y & ~x).sum() for x in a for y in b)
    found = effect_size(a, b)
    assert found.odds_ratio == pytest.approx(only_a / only_b)
    assert found.discordant == pytest.approx((only_a + only_b) / 6 / 40)


def test_identical_answers_have_no_odds():
    right = np.ones((2, 10), dtype=bool)
    found = effect_size(right, right)
    assert (found.cohens_h, found.cohens_g, found.odds_ratio) == (0, None, None)


@pytest.mark.parametrize("freedom", [2.0, 4.0, 30.0, 1e6])
def test_the_detectable_difference_has_the_power_it_promises(freedom):
    """Over this run's standard error and that of the next: both are estimates of so many degrees of freedom."""
    critical, rng = scipy.stats.t.ppf(0.975, freedom), np.random.default_rng(1)
    own, new = (np.sqrt(rng.chisquare(freedom, 200_000) / freedom) for _ in range(2))
    promised = smallest_detectable(0.01, freedom, critical) / 0.01 * own
    share = ((promised + rng.standard_normal(200_000)) / new > critical).mean()
    assert share == pytest.approx(0.8, abs=0.01)


def test_with_a_known_variance_it_is_the_textbooks_2_8_standard_errors():
    assert smallest_detectable(1.0, 1e9, scipy.stats.norm.ppf(0.975)) == pytest.approx(1.95996 + 0.84162, abs=1e-4)


def test_near_certainty_the_worse_network_varies_more_and_the_difference_must_be_larger():
    plain = smallest_detectable(0.01, 1e9, 1.96)
    assert smallest_detectable(0.01, 1e9, 1.96, accuracy=0.98) > 1.05 * plain
    assert smallest_detectable(0.01, 1e9, 1.96, accuracy=0.5) == pytest.approx(plain, rel=0.001)
    assert smallest_detectable(0.5, 2.0, 4.3, accuracy=0.9) == 1.0  # not even one that is always wrong


def test_a_difference_as_large_as_promised_is_found_about_four_times_in_five(rng):
    """150 repetitions: the share has a standard deviation of 3.3 points."""
    finds = 0
    for _ in range(150):
        shown = images(rng, 400)
        a, b = (right(scores(rng, shown, 0.9, between=0.1), shown) for _ in range(2))
        found = paired_difference(a, b, resampling=QUICK)
        promised = found.detectable(0.95, accuracy=float(max(a.mean(), b.mean())))
        shown = images(rng, 400)
        worse = max(0.9 - promised, 0.01)
        a, b = (right(scores(rng, shown, accuracy, between=0.1), shown) for accuracy in (0.9, worse))
        finds += max(paired_difference(a, b, resampling=QUICK).p, sign_flip_test(a, b)) < 0.05
    assert 0.7 < finds / 150 < 0.95


def test_with_five_subjects_no_difference_can_be_significant(rng):
    """All five on one side: exact p is 1/16."""
    groups = np.repeat(np.arange(5), 20)
    a, b = np.ones((3, 100), dtype=bool), np.zeros((3, 100), dtype=bool)
    b[:, ::7] = True
    assert sign_flip_test(a, b, groups) > 0.05
    assert paired_difference(a, b, groups, resampling=QUICK).detectable(0.95) == 1.0


def test_more_seeds_tell_smaller_differences_and_the_fewest_that_do_are_named():
    plan = planned(360)
    told = [plan.detectable(seeds) for seeds in (2, 3, 5, 10, 100)]
    assert told == sorted(told, reverse=True)
    fewest = plan.seeds_to_tell(0.03)
    assert plan.detectable(fewest) <= 0.03 < plan.detectable(fewest - 1)
    assert plan.seeds_to_tell(0.001) is None  # that is less than the images can tell, whatever the seeds


def test_the_plan_of_a_run_has_its_variances(rng):
    """Ten seeds: what is planned for as many lies near what those ten say themselves."""
    shown = images(rng, 1000)
    a, b = (right(scores(rng, shown, 0.9, seeds=10, between=0.1), shown) for _ in range(2))
    found = paired_difference(a, b, resampling=QUICK)
    assert found.plan().detectable(10) == pytest.approx(found.detectable(0.95), rel=0.4)
    same = np.ones((3, 100), dtype=bool)
    assert paired_difference(same, same, resampling=QUICK).plan() is None


def test_p_goes_on_below_what_resamples_can_tell(rng):
    """47 points on 300 images: with p bound to 2 / samples, eleven networks could not be told apart by it."""
    shown = images(rng, 300)
    a, b = (right(scores(rng, shown, accuracy, seeds=5, between=0.05), shown) for accuracy in (0.98, 0.51))
    found = paired_difference(a, b, resampling=QUICK)
    assert found.p < 1e-5
    ps = [found.uncertainty.p()] + [
        dataclasses.replace(found.uncertainty, mean=m, centre=m).p() for m in np.linspace(0.3, 0.0, 40)
    ]
    assert ps == sorted(ps)  # no step where resamples end and the tail begins
    assert max(b / a for a, b in itertools.pairwise(ps[1:30])) < 10


@pytest.mark.parametrize("accuracy", [0.85, 0.89])
def test_p_and_interval_of_a_difference_agree_at_every_level(rng, accuracy):
    shown = images(rng, 300)
    a, b = right(scores(rng, shown, 0.9), shown), right(scores(rng, shown, accuracy), shown)
    found = paired_difference(a, b)
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        estimate = paired_difference(a, b, resampling=Resampling(level=level)).estimate
        assert (estimate.low <= 0 <= estimate.high) == (found.p >= 1 - level)


def test_identical_networks_have_p_1(rng):
    shown = images(rng, 100)
    a = right(scores(rng, shown, 0.9), shown)
    assert paired_difference(a, a).p == 1


def test_an_imaginary_subject_does_not_weigh_as_much_as_all_its_images_would(rng):
    """20 subjects of 50 images that have nothing in common: the interval is that of 1000 images, not of 24 subjects."""
    shown = images(rng, 1000)
    a, b = right(scores(rng, shown, 0.9), shown), right(scores(rng, shown, 0.88), shown)
    alone, together = (paired_difference(a, b, groups).estimate for groups in (None, np.arange(1000) % 20))
    assert together.high - together.low < 1.6 * (alone.high - alone.low)
