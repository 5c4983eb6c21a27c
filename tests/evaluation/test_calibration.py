"""Calibration against networks whose confidence is known to be right or wrong."""

import numpy as np
import pytest

from spikewise.errors import ShapeError
from spikewise.evaluation.calibration import (
    Answers,
    calibrate,
    corrected_calibration_error,
    fit_temperature,
    reliability,
)
from spikewise.evaluation.metrics import expected_calibration_error


def drawn(images: int, seed: int, *, factor: float = 1.0, classes: int = 4) -> Answers:
    """Labels drawn from softmax(logits): calibrated, until the logits are multiplied by `factor`."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(images, classes))
    labels = (rng.gumbel(size=logits.shape) + logits).argmax(1)
    return Answers(labels, factor * logits)


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


def test_parts_of_different_seeds_are_refused():
    one = drawn(50, 0)
    with pytest.raises(ShapeError, match="same seeds"):
        calibrate("snn", [one], [one, one])
