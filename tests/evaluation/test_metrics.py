"""Metrics agree with scikit-learn, with textbook values and with each other."""

import math

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation.metrics import (
    brier_scores,
    classification_metrics,
    confusion,
    count_metrics,
    expected_calibration_error,
    softmax,
)


def answers(classes: int, images: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    labels[:classes] = np.arange(classes)
    return labels, rng.dirichlet(np.ones(classes), images) * 0.7 + 0.3 * np.eye(classes)[labels]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_metrics_agree_with_scikit_learn(classes):
    labels, probabilities = answers(classes)
    guess = probabilities.argmax(1)
    found = classification_metrics(labels, probabilities)
    expected = {
        "accuracy": oracle.accuracy_score(labels, guess),
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, guess),
        "precision_macro": oracle.precision_score(labels, guess, average="macro", zero_division=0),
        "precision_weighted": oracle.precision_score(labels, guess, average="weighted", zero_division=0),
        "recall_macro": oracle.recall_score(labels, guess, average="macro"),
        "f1_macro": oracle.f1_score(labels, guess, average="macro"),
        "f1_weighted": oracle.f1_score(labels, guess, average="weighted"),
        "nll": oracle.log_loss(labels, probabilities),
    }
    if classes == 2:
        expected |= {
            "precision": oracle.precision_score(labels, guess),
            "recall": oracle.recall_score(labels, guess),
            "specificity": oracle.recall_score(labels, guess, pos_label=0),
            "f1": oracle.f1_score(labels, guess),
            "auc": oracle.roc_auc_score(labels, probabilities[:, 1]),
            "brier": 2 * oracle.brier_score_loss(labels, probabilities[:, 1]),
        }
    else:
        expected["auc"] = oracle.roc_auc_score(labels, probabilities, multi_class="ovr")
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_confusion_agrees_with_scikit_learn_and_counts_absent_classes():
    labels, guess = np.array([0, 2, 2, 1]), np.array([0, 2, 1, 1])
    expected = oracle.confusion_matrix(labels, guess, labels=range(4))
    np.testing.assert_array_equal(confusion(labels, guess, 4), expected)


def test_binary_g_mean_is_the_root_of_sensitivity_times_specificity():
    figures = count_metrics(np.array([[8, 2], [1, 3]]))
    assert figures["g_mean"] == pytest.approx(math.sqrt(0.8 * 0.75))
    assert figures["specificity_macro"] == pytest.approx((0.75 + 0.8) / 2)


def test_figures_that_are_not_defined_are_none_and_the_others_stay():
    labels, probabilities = np.array([0, 0]), np.array([[0.9, 0.1], [0.4, 0.6]])
    found = classification_metrics(labels, probabilities)
    assert {name for name, value in found.items() if value is None} == {"auc", "recall", "specificity_macro"}
    assert (found["accuracy"], found["balanced_accuracy"], found["precision"], found["f1"]) == (0.5, 0.5, 0.0, 0.0)


def test_macro_averages_leave_absent_classes_out():
    found = count_metrics(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert found["recall_macro"] == pytest.approx((0.75 + 1) / 2)


def test_many_matrices_at_once_give_the_figures_of_each(rng):
    counts = rng.integers(0, 9, (5, 3, 3))
    together = count_metrics(counts)
    for position, matrix in enumerate(counts):
        for name, value in count_metrics(matrix).items():
            assert together[name][position] == pytest.approx(value, nan_ok=True)


def test_calibration_error_follows_guo_equation_3_by_hand():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.4, 0.6]])  # bins of 1/15: {1, 2} and {3, 4}
    labels = np.array([0, 1, 0, 1])
    assert expected_calibration_error(labels, probabilities) == pytest.approx(
        0.5 * abs(0.95 - 0.5) + 0.5 * abs(0.6 - 1)
    )


def test_perfect_certain_answers_score_perfectly():
    labels = np.array([0, 1, 2])
    found = classification_metrics(labels, np.eye(3))
    assert (found["accuracy"], found["auc"], found["g_mean"]) == (1, 1, 1)
    assert (found["ece"], found["brier"], found["nll"]) == (0, 0, 0)


def test_certain_wrong_answers_cost_a_finite_amount():
    labels, probabilities = np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert classification_metrics(labels, probabilities)["nll"] == pytest.approx(math.log(1e12))
    assert brier_scores(labels, probabilities).tolist() == [2, 2]


@settings(max_examples=30)
@given(classes=st.integers(2, 6), images=st.integers(6, 40), seed=st.integers(0, 1000))
def test_the_order_of_images_changes_nothing_and_rates_stay_rates(classes, images, seed):
    labels, probabilities = answers(classes, images, seed)
    shuffled = np.random.default_rng(seed).permutation(images)
    found, again = (
        classification_metrics(*pair) for pair in [(labels, probabilities), (labels[shuffled], probabilities[shuffled])]
    )
    assert found == pytest.approx(again)
    assert all(0 <= value <= 1 for name, value in found.items() if name not in {"nll", "brier"})


@pytest.mark.parametrize(
    ("labels", "probabilities", "error", "message"),
    [
        ([0, 1], [[1.0, 0.0]], ShapeError, r"\(2,\).*\(1, 2\)"),
        ([], np.zeros((0, 2)), ShapeError, "at least one image"),
        ([0], [[1.0]], ShapeError, "two classes"),
        ([2], [[0.5, 0.5]], ConfigError, "there are 2 classes"),
        ([-1], [[0.5, 0.5]], ConfigError, "Labels run -1"),
        ([0], [[3.0, -2.0]], ConfigError, "softmax"),
        ([0], [[np.nan, 1.0]], ConfigError, "softmax"),
    ],
)
def test_bad_input_is_refused_in_words(labels, probabilities, error, message):
    with pytest.raises(error, match=message):
        classification_metrics(np.array(labels, dtype=np.int64), np.array(probabilities))


def test_confusion_refuses_what_is_no_class():
    with pytest.raises(ConfigError, match=r"prediction is outside 0\.\.1"):
        confusion(np.array([0]), np.array([2]), 2)
    with pytest.raises(ShapeError, match="2 labels for 1"):
        confusion(np.array([0, 1]), np.array([1]), 2)


def test_probabilities_of_logits_that_differ_by_one_rounding_are_no_tie():
    logits = np.array([[12.0, np.nextafter(np.float32(12), np.float32(13))]], np.float32)
    assert softmax(logits).argmax() == 1
    assert softmax(logits)[0, 0] < softmax(logits)[0, 1]
