"""Any metric of two networks compared on the same images; intervals that cannot be had are null and say why."""

import numpy as np
import pytest
from simulated import images, probabilities, right, scores

from spikewise.evaluation import (
    CandidatePredictions,
    compare_all,
    compare_metrics,
    draw_metrics,
    estimate_metrics,
    wilson,
)
from spikewise.evaluation.statistics import Resampling, delong_test

QUICK = Resampling(samples=300)


def drawn(rng, shown, accuracy, *, seeds=3, groups=None):
    return draw_metrics(
        shown.labels, probabilities(scores(rng, shown, accuracy, seeds=seeds)), groups, resampling=QUICK
    )


@pytest.fixture
def pair(rng):
    shown = images(rng, 300, positive=0.3)
    return drawn(rng, shown, 0.9), drawn(rng, shown, 0.75)


def test_differences_are_those_of_the_means(pair):
    a, b = pair
    found = compare_metrics(a, b)
    assert {"balanced_accuracy", "f1_macro", "g_mean", "auc", "recall", "specificity", "ece", "brier"} <= set(found)
    for name, one in found.items():
        assert one.difference.mean == pytest.approx(a.per_seed[name].mean() - b.per_seed[name].mean()), name
        assert one.difference.low < one.difference.mean < one.difference.high, name
        assert (one.p < 0.05) == (not one.difference.low <= 0 <= one.difference.high), name
    assert found["balanced_accuracy"].p < 0.05


def test_exchanging_the_sides_turns_every_interval_round(pair):
    a, b = pair
    there, back = compare_metrics(a, b), compare_metrics(b, a)
    for name, one in there.items():
        other = back[name].difference
        low, high = one.difference.low, one.difference.high
        width = high - low
        assert (low, high) == pytest.approx((-other.high, -other.low), abs=0.12 * width), name


def test_the_area_has_delongs_test_beside_its_interval(rng):
    shown = images(rng, 200)
    a, b = (scores(rng, shown, accuracy) for accuracy in (0.9, 0.85))
    found = compare_metrics(*(draw_metrics(shown.labels, probabilities(z), resampling=QUICK) for z in (a, b)))
    assert found["auc"].p_images == pytest.approx(delong_test(shown.labels == 1, a, b))
    assert [name for name, one in found.items() if one.p_images is not None] == ["auc"]
    assert "DeLong" in found["auc"].difference.method


def test_the_same_images_on_both_sides_make_the_interval_narrower(rng):
    """Networks that share what is hard differ less than their own intervals suggest."""
    shown = images(rng, 400)
    a, b = drawn(rng, shown, 0.9, seeds=1), drawn(rng, shown, 0.88, seeds=1)
    paired = compare_metrics(a, b)["balanced_accuracy"].difference
    alone = [estimate_metrics(shown.labels, side.probabilities, drawn=side)["balanced_accuracy"] for side in (a, b)]
    apart = sum((one.high - one.low) ** 2 for one in alone) ** 0.5
    assert paired.high - paired.low < 0.9 * apart


@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_of_balanced_accuracy_differences_cover_the_truth(rng, seeds):
    """100 repetitions: a true coverage of 95 % gives 86 % or less once in 1000."""
    covered = 0
    for _ in range(100):
        shown = images(rng, 200, positive=0.3)
        a, b = (drawn(rng, shown, accuracy, seeds=seeds) for accuracy in (0.9, 0.84))
        found = compare_metrics(a, b)["balanced_accuracy"].difference
        covered += found.low <= 0.06 <= found.high
    assert covered / 100 > 0.86


def test_a_constant_answer_has_no_interval_where_its_figure_cannot_vary():
    """Always class 0: balanced accuracy is 1/2 and G-mean 0 on any images; accuracy varies with their mix."""
    labels = np.array([0] * 8 + [1] * 2)
    found = estimate_metrics(labels, np.tile([0.9, 0.1], (2, 10, 1)), resampling=QUICK)
    for name, value in (("balanced_accuracy", 0.5), ("g_mean", 0.0), ("recall", 0.0)):
        assert found[name].mean == value
        assert (found[name].low, found[name].high) == (None, None), name
        assert "the same on every resample" in found[name].method
    assert found["accuracy"].low < 0.8 < found["accuracy"].high


def test_resamples_without_a_class_do_not_flatter_the_average_over_classes():
    """One image of class 1, always wrong: without it balanced accuracy would jump from 1/2 to 1."""
    labels = np.array([0] * 9 + [1])
    found = estimate_metrics(labels, np.tile([0.9, 0.1], (1, 10, 1)), resampling=QUICK)
    assert found["balanced_accuracy"].high is None or found["balanced_accuracy"].high < 0.6


def test_a_single_run_has_wilsons_interval_where_the_figure_is_a_proportion(rng):
    shown = images(rng, 120, positive=0.4)
    z = scores(rng, shown, 0.9, seeds=1)
    found = estimate_metrics(shown.labels, probabilities(z), resampling=QUICK)
    hit, positive = right(z, shown)[0], shown.labels == 1
    for name, part in (("accuracy", np.ones(120, bool)), ("recall", positive), ("specificity", ~positive)):
        assert (found[name].low, found[name].high) == pytest.approx(wilson(int(hit[part].sum()), int(part.sum())))
        assert "Wilson" in found[name].method
    grouped = estimate_metrics(shown.labels, probabilities(z), np.arange(120) // 4, resampling=QUICK)
    assert "Wilson" not in grouped["accuracy"].method  # images of one subject are no independent trials


def test_pairs_are_compared_by_the_class_that_is_positive(rng):
    shown = images(rng, 200, positive=0.3)
    sides = [probabilities(scores(rng, shown, accuracy, seeds=2)) for accuracy in (0.9, 0.7)]
    candidates = [CandidatePredictions(name, (0, 1), one) for name, one in zip("ab", sides, strict=True)]
    first, second = (compare_all(candidates, shown.labels, resampling=QUICK, positive=k)[0].others for k in (0, 1))
    of_first = [(one.argmax(2) == 0)[:, shown.labels == 0].mean() for one in sides]
    assert first["recall"].difference.mean == pytest.approx(of_first[0] - of_first[1])
    assert first["recall"].difference.mean == pytest.approx(second["specificity"].difference.mean)
