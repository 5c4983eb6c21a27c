import numpy as np
import pytest

from spikewise.evaluation import metrics


@pytest.mark.parametrize("classes", [2, 5])
def test_weights_of_a_resample_give_the_figures_of_the_resampled_images(classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    # Rounded, so that there are ties.
    probabilities = np.round(rng.dirichlet(np.ones(classes), 300), 1) + 0.01
    probabilities /= probabilities.sum(1, keepdims=True)
    weights = rng.multinomial(300, np.full(300, 1 / 300), size=4).astype(float)
    auc = metrics._weighted_auc(labels, probabilities, weights)
    ece = metrics._weighted_ece(labels, probabilities, weights)
    for row, count in enumerate(weights.astype(int)):
        held = np.repeat(np.arange(300), count)
        assert auc[row] == pytest.approx(metrics.area_under_curve(labels[held], probabilities[held]), abs=1e-12)
        expected = metrics.expected_calibration_error(labels[held], probabilities[held])
        assert ece[row] == pytest.approx(expected, abs=1e-12)
