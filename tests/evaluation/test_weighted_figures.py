import tracemalloc

import numpy as np
import pytest

from spikewise.evaluation import bootstrap_seeds_and_images, metrics
from spikewise.evaluation.calibration import SplitLogits, calibrate
from spikewise.evaluation.estimates import compare_metrics, draw_metrics, estimate_metrics
from spikewise.evaluation.statistics import Resampling, resampling


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


def test_an_area_counts_pairs_in_order_and_ties_half_to_the_last_bit():
    rng = np.random.default_rng(4)
    for share in (0.2, 0.9, 0.0, 1.0):
        positive, scores = rng.random(40) < share, rng.integers(0, 12, 40) / 12
        weights = rng.integers(0, 4, (3, 40)).astype(float)
        order = (scores[:, None] > scores) + (scores[:, None] == scores) / 2
        found = metrics._weighted_ranks(positive, scores, weights)
        for row, area in zip(weights, found, strict=True):
            pairs = np.outer(row * positive, row * ~positive)
            assert area == (pairs * order).sum() / pairs.sum() if pairs.any() else np.isnan(area)


LABELS = np.random.default_rng(1).integers(0, 3, 301)
RUNS = np.random.default_rng(2).dirichlet(np.ones(3), (2, LABELS.size)).astype(np.float32)
GROUPS = np.random.default_rng(3).integers(0, 90, LABELS.size)


def everything(groups: np.ndarray | None) -> object:
    """All that is resampled: figures of two networks with their difference, calibration, means of many values."""
    drawn = [
        draw_metrics(LABELS, runs, groups) for runs in (RUNS, RUNS[::-1] ** 2 / (RUNS[::-1] ** 2).sum(2)[..., None])
    ]
    logits = [SplitLogits(LABELS, np.log(run)) for run in RUNS]
    return (
        [one.draws for one in drawn],
        estimate_metrics(LABELS, RUNS, groups),
        compare_metrics(*drawn),
        calibrate("snn", logits, logits, groups),
        bootstrap_seeds_and_images(RUNS[..., 0], groups),
    )


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["images", "subjects"])
def test_resamples_in_small_parts_give_the_same_bits(monkeypatch, groups):
    whole = everything(groups)
    monkeypatch.setattr(resampling, "_AT_ONCE", 20_000)  # 64 of 500 resamples at a time
    parts = everything(groups)
    assert repr(parts[1:]) == repr(whole[1:])
    for one, other in zip(parts[0], whole[0], strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in other)


def test_memory_of_resamples_does_not_grow_with_the_images(monkeypatch):
    monkeypatch.setattr(resampling, "_AT_ONCE", 800_000)
    rng, peaks = np.random.default_rng(0), []
    for images in (10_000, 40_000):
        labels = rng.integers(0, 2, images)
        runs = rng.dirichlet(np.ones(2), (1, images))
        tracemalloc.start()
        draw_metrics(labels, runs, resampling=Resampling(samples=100))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]  # four times as many images
