"""A decision threshold chosen on validation is the best one there, and changes nothing where 1/2 is as good."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewise.errors import ShapeError
from spikewise.evaluation import (
    best_threshold,
    classification_metrics,
    estimate_metrics,
    metrics_at_threshold,
    thresholded,
    wilson,
)


def two_columns(p):
    p = np.asarray(p, dtype=float)
    return np.stack([1 - p, p], 1)


def youden(labels, p, threshold):
    return (p[labels == 1] > threshold).mean() - (p[labels == 0] > threshold).mean()


CASES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=2, max_size=30)


@settings(max_examples=200)
@given(CASES)
def test_no_threshold_is_better_on_the_images_it_was_chosen_on(cases):
    labels, p = np.array([c[0] for c in cases]), np.array([c[1] for c in cases]) / 10
    found = best_threshold(labels, two_columns(p))
    assert 0 <= found <= 1
    if 0 < labels.sum() < labels.size:
        best = max(youden(labels, p, t) for t in np.arange(-0.05, 1.06, 0.05))
        assert youden(labels, p, found) == pytest.approx(best)
    else:
        assert found == 0.5


def test_a_shifted_network_gets_its_threshold_back():
    """All probabilities of an untuned network lie below 1/2; the order is perfect."""
    labels = np.array([0, 0, 0, 1, 1])
    p = np.array([0.05, 0.1, 0.2, 0.3, 0.4])
    assert best_threshold(labels, two_columns(p)) == pytest.approx(0.25)
    found = thresholded((labels, two_columns(p)), (labels, two_columns(p)))
    assert found.test["balanced_accuracy"] == 1
    assert classification_metrics(labels, two_columns(p))["balanced_accuracy"] == 0.5


def test_one_half_stays_where_nothing_is_better():
    labels, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.9])
    assert best_threshold(labels, two_columns(p)) == 0.5


def test_at_one_half_the_figures_are_the_usual_ones(rng):
    labels = rng.integers(0, 2, 80)
    p = two_columns(rng.random(80))
    usual, found = classification_metrics(labels, p), metrics_at_threshold(labels, p, 0.5)
    assert found == {name: usual[name] for name in found}


def test_more_classes_have_no_threshold(rng):
    labels, p = rng.integers(0, 3, 10), rng.dirichlet(np.ones(3), 10)
    assert thresholded((labels, p), (labels, p)) is None
    with pytest.raises(ShapeError, match="two classes; got 3"):
        best_threshold(labels, p)


def test_a_validation_part_without_images_or_of_one_class_leaves_one_half(rng):
    labels, p = rng.integers(0, 2, 10), two_columns(rng.random(10))
    nothing = (np.empty(0, dtype=np.int64), np.empty((0, 2)))
    assert thresholded(nothing, (labels, p)).threshold == 0.5
    assert best_threshold(np.zeros(10, dtype=int), p) == 0.5


def test_the_other_class_as_positive_gives_the_figures_of_exchanged_classes(rng):
    """A network that finds none of the sick has no sensitivity, whatever letter their class begins with."""
    labels = rng.integers(0, 2, 80)
    p = two_columns(rng.random(80))
    for figures in (classification_metrics, lambda y, q, *, positive: metrics_at_threshold(y, q, 0.3, positive)):
        exchanged = figures(1 - labels, p[:, ::-1], positive=1)
        assert figures(labels, p, positive=0) == pytest.approx(exchanged)
    assert best_threshold(labels, p, 0) == best_threshold(1 - labels, p[:, ::-1], 1)
    blind = two_columns(np.ones(80))
    assert classification_metrics(labels, blind, positive=0)["recall"] == 0
    assert classification_metrics(labels, blind, positive=1)["recall"] == 1
    assert classification_metrics(labels, p, positive=0)["auc"] == pytest.approx(
        classification_metrics(labels, p)["auc"]
    )


def test_equal_probabilities_are_answered_at_one_half_as_the_network_answers_them():
    labels, p = np.array([0, 1, 1, 0]), two_columns([0.5, 0.5, 0.9, 0.1])
    for positive in (0, 1):
        usual = classification_metrics(labels, p, positive=positive)
        found = metrics_at_threshold(labels, p, 0.5, positive)
        assert found == {name: usual[name] for name in found}


def test_wilsons_intervals_go_with_the_positive_class(rng):
    labels = np.repeat([0, 1], [10, 30])
    p = two_columns(rng.random(40))[None]
    found = {positive: estimate_metrics(labels, p, positive=positive) for positive in (0, 1)}
    for name, other in (("recall", "specificity"), ("specificity", "recall")):
        assert found[0][name] == found[1][other]
    right = int((p[0].argmax(1) == labels)[:10].sum())
    assert (found[0]["recall"].low, found[0]["recall"].high) == pytest.approx(wilson(right, 10))
