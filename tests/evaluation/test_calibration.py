"""Calibration against networks whose confidence is known to be right or wrong."""

import numpy as np
import pytest

from spikewise.errors import ShapeError
from spikewise.evaluation.calibration import (
    SplitLogits,
    calibrate,
    corrected_calibration_error,
    fit_temperature,
    reliability,
)
from spikewise.evaluation.estimates import estimate_metrics
from spikewise.evaluation.metrics import brier_scores, expected_calibration_error, log_losses


def drawn(images: int, seed: int, *, factor: float = 1.0, classes: int = 4) -> SplitLogits:
    """Labels drawn from softmax(logits): calibrated, until the logits are multiplied by `factor`."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(images, classes))
    labels = (rng.gumbel(size=logits.shape) + logits).argmax(1)
    return SplitLogits(labels, factor * logits)


def softmax(logits):
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_the_factor_that_spoilt_the_logits(factor):
    answers = drawn(20_000, 1, factor=factor)
    assert fit_temperature(*answers) == pytest.approx(factor, rel=0.05)


def test_logits_without_error_have_no_optimum_and_stop_at_the_coldest_temperature():
    labels = np.arange(40) % 4
    assert fit_temperature(labels, np.eye(4)[labels]) == pytest.approx(1 / 16, rel=0.01)


def test_the_corrected_error_of_a_calibrated_network_is_nearer_to_zero_and_that_of_a_wrong_one_stays():
    honest = [drawn(500, seed) for seed in range(40)]
    plain = np.mean([expected_calibration_error(y, softmax(z)) for y, z in honest])
    corrected = np.mean([corrected_calibration_error(y, softmax(z)) for y, z in honest])
    assert corrected < 0.8 * plain
    boastful = drawn(50_000, 3, factor=4.0)
    # so many images leave nothing for chance to add
    truth = expected_calibration_error(boastful.labels, softmax(boastful.logits))
    assert corrected_calibration_error(boastful.labels, softmax(boastful.logits)) == pytest.approx(truth, abs=0.01)
    few = [drawn(500, seed, factor=4.0) for seed in range(40)]
    assert np.mean([corrected_calibration_error(y, softmax(z)) for y, z in few]) == pytest.approx(truth, abs=0.01)


def test_the_intervals_of_the_reliability_diagram_cover_the_truth():
    inside = []
    for seed in range(60):
        labels, logits = drawn(600, seed)
        inside += [one.low <= one.confidence <= one.high for one in reliability(labels, softmax(logits))]
    assert len(inside) == 60 * 15
    # 95 % nominal; the mean confidence of a bin stands for its truth, five standard errors allowed
    assert 0.95 - 5 * (0.05 * 0.95 / len(inside)) ** 0.5 < np.mean(inside)


def test_copies_of_the_images_do_not_narrow_the_intervals():
    labels, logits = drawn(300, 0)
    once = reliability(labels, softmax(logits))
    thrice = reliability(np.tile(labels, 3), softmax(np.tile(logits, (3, 1))), seeds=3)
    assert [(b.low, b.high) for b in once] == [(b.low, b.high) for b in thrice]


def test_scaling_mends_a_boastful_network_and_changes_no_answer():
    validation, test = drawn(4000, 5, factor=3.0), drawn(4000, 6, factor=3.0)
    found = calibrate("snn", [validation, validation], [test, test])
    assert found.temperatures[0] == pytest.approx(3.0, rel=0.15)
    assert found.scaled.ece.mean < 0.3 * found.as_trained.ece.mean
    assert found.scaled.nll.mean < found.as_trained.nll.mean
    right = [sum(b.accuracy * b.images for b in part.reliability) for part in (found.as_trained, found.scaled)]
    assert right[0] == pytest.approx(right[1])


FIGURES = ("ece", "ece_corrected", "brier", "nll")


def trained(images: int, seed: int, *, runs: int = 3, between: float = 0.3) -> list[SplitLogits]:
    """Several trainings on the same images: what they say differs by noise on the logits of that size."""
    rng = np.random.default_rng((seed, 1))
    labels, logits = drawn(images, seed)
    return [SplitLogits(labels, logits + between * rng.normal(size=logits.shape)) for _ in range(runs)]


def width(estimate):
    return estimate.high - estimate.low


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("grouped", [False, True], ids=["images", "subjects"])
def test_the_section_and_the_metrics_have_one_interval_for_the_same_figure(runs, grouped):
    test = trained(300, 0, runs=runs)
    groups = np.arange(300) // 3 if grouped else None
    found = calibrate("snn", test, test, groups).as_trained
    same = estimate_metrics(test[0].labels, np.stack([softmax(one.logits) for one in test]), groups)
    for name in ("ece", "brier", "nll"):
        ours = getattr(found, name)
        assert (ours.mean, ours.low, ours.high) == pytest.approx((same[name].mean, same[name].low, same[name].high))
        assert f"{100 if grouped else 300} units" in ours.method


def test_intervals_of_brier_score_and_nll_cover_the_truth_on_other_images():
    labels, logits = trained(100_000, 999, runs=1)[0]
    truth = {"brier": brier_scores(labels, softmax(logits)).mean(), "nll": log_losses(labels, softmax(logits)).mean()}
    covered = dict.fromkeys(truth, 0)
    for seed in range(60):
        found = calibrate("snn", *[trained(300, seed)] * 2).as_trained
        for name, figure in truth.items():
            covered[name] += getattr(found, name).low <= figure <= getattr(found, name).high
    # 95 % nominal, four standard errors allowed
    assert min(covered.values()) >= 60 * (0.95 - 4 * (0.05 * 0.95 / 60) ** 0.5)


def test_seeds_that_agree_leave_the_doubt_of_the_images():
    test = trained(300, 0, between=0.0)
    found = calibrate("snn", test, test)
    for part in (found.as_trained, found.scaled):
        assert all(width(getattr(part, name)) > 0 for name in FIGURES)


def test_copies_of_an_image_under_one_subject_say_nothing_new():
    once = trained(200, 0, between=0.0)
    copies = [SplitLogits(np.tile(one.labels, 4), np.tile(one.logits, (4, 1))) for one in once]
    alone = calibrate("snn", once, once).as_trained
    together = calibrate("snn", copies, copies, np.tile(np.arange(200), 4)).as_trained
    taken_for_new = calibrate("snn", copies, copies).as_trained
    for name in ("ece", "brier", "nll"):
        assert width(getattr(together, name)) == pytest.approx(width(getattr(alone, name)))
        assert width(getattr(taken_for_new, name)) < 0.7 * width(getattr(alone, name))


def test_seeds_with_other_test_images_are_refused():
    with pytest.raises(ShapeError, match="same test images"):
        calibrate("snn", [drawn(50, 0)] * 2, [drawn(50, 0), drawn(50, 1)])


def test_parts_of_different_seeds_are_refused():
    one = drawn(50, 0)
    with pytest.raises(ShapeError, match="same seeds"):
        calibrate("snn", [one], [one, one])
