"""Figures that say how well probabilities fit labels; every definition that could be taken two ways is taken here.

Conventions: the predicted class is the most probable one (the first of equals). Averages over classes ("macro")
run over the classes that occur in the labels. Precision of a class never predicted is 0. A figure that the labels
leave undefined (recall of an absent class, AUC with a class absent) is nan in arrays and None in dictionaries.
"""

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Bool, Float, Float64, Int, Num
from numpy.typing import NDArray

from spikewise.errors import ConfigError, ShapeError

__all__ = [
    "area_under_curve",
    "brier_scores",
    "check_probabilities",
    "classification_metrics",
    "confusion",
    "correct",
    "count_metrics",
    "expected_calibration_error",
    "log_losses",
    "softmax",
    "weighted_figures",
    "weighted_scores",
]

Labels = Int[np.ndarray, " N"]
Probabilities = Float[np.ndarray, "N K"]

_OVER_CLASSES = frozenset(
    {"balanced_accuracy", "precision_macro", "recall_macro", "specificity_macro", "f1_macro", "g_mean"}
)
"""Averages that mean something else where a class is absent."""
_LEAST = 1e-12  # a probability of zero costs log(1e12) = 27.6 nats, not infinity


def softmax(logits: Float[np.ndarray, "*B K"]) -> Float64[np.ndarray, "*B K"]:
    """Probabilities of the classes, the last axis; in double precision, so that no two logits become a tie."""
    return np.asarray(scipy.special.softmax(logits.astype(np.float64), axis=-1))


def classification_metrics(
    labels: Labels, probabilities: Probabilities, *, positive: int = 1
) -> dict[str, float | None]:
    """Every figure the protocol reports, by name.

    `accuracy`, `balanced_accuracy`, `precision_macro`, `precision_weighted`, `recall_macro` (sensitivity),
    `specificity_macro`, `f1_macro`, `f1_weighted`, `g_mean`; `auc`, `ece`, `brier`, `nll`; with two classes also
    `precision`, `recall`, `specificity` and `f1` of the positive class. `auc` of two classes is the same whichever is
    positive, and so are the averages over classes.

    Args:
        positive: Label of the positive class; has a meaning with two classes only.
    Raises:
        ShapeError: the sizes do not fit together.
        ConfigError: a label is not a class, or a row of `probabilities` is no distribution.
    """
    check_probabilities(labels, probabilities)
    counts = confusion(labels, probabilities.argmax(1), probabilities.shape[1])
    figures = {name: float(value) for name, value in count_metrics(counts, positive).items()}
    figures["auc"] = area_under_curve(labels, probabilities)
    figures["ece"] = expected_calibration_error(labels, probabilities)
    figures["brier"] = float(brier_scores(labels, probabilities).mean())
    figures["nll"] = float(log_losses(labels, probabilities).mean())
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}


def confusion(labels: Labels, predictions: Labels, classes: int) -> Int[np.ndarray, "K K"]:
    """Images by true class (row) and predicted class (column)."""
    for what, values in (("label", labels), ("prediction", predictions)):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ConfigError(f"A {what} is outside 0..{classes - 1}: found {values.min()}..{values.max()}.")
    if labels.shape != predictions.shape:
        raise ShapeError(f"{labels.size} labels for {predictions.size} predictions.")
    flat = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def count_metrics(counts: Num[np.ndarray, "*M K K"], positive: int = 1) -> dict[str, NDArray[np.float64]]:
    """Figures that depend on the confusion matrix alone, for any number of matrices at once; nan where undefined.

    G-mean is the geometric mean of the recalls.
    Source: Sokolova and Lapalme, "A systematic analysis of performance measures for classification tasks", 2009,
    tables 2 and 3; G-mean: Kubat and Matwin, ICML 1997.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    actual, predicted = counts.sum(-1).astype(np.float64), counts.sum(-2).astype(np.float64)
    total = actual.sum(-1, keepdims=True)
    present = actual > 0
    recall = _ratio(hits, actual, empty=np.nan)
    precision = _ratio(hits, predicted, empty=0.0)
    specificity = _ratio(total - actual - predicted + hits, total - actual, empty=np.nan)
    f1 = _ratio(2 * hits, actual + predicted, empty=0.0)
    weight = _ratio(actual, np.broadcast_to(total, actual.shape), empty=np.nan)
    figures = {
        "accuracy": _ratio(hits.sum(-1), total[..., 0], empty=np.nan),
        "balanced_accuracy": _mean_where(recall, present),
        "precision_macro": _mean_where(precision, present),
        "precision_weighted": (weight * precision).sum(-1),
        "recall_macro": _mean_where(recall, present),
        "specificity_macro": _mean_where(specificity, present & (total > actual)),
        "f1_macro": _mean_where(f1, present),
        "f1_weighted": (weight * f1).sum(-1),
        "g_mean": np.where(present, recall, 1.0).prod(-1) ** (1 / np.maximum(present.sum(-1), 1)),
    }
    if counts.shape[-1] == 2:
        by_class = {"precision": precision, "recall": recall, "specificity": specificity, "f1": f1}
        figures |= {name: value[..., positive] for name, value in by_class.items()}
    return figures


def area_under_curve(labels: Labels, probabilities: Probabilities) -> float:
    """Area under the ROC curve: with two classes the same for either, else the mean of each class against the rest.

    nan where a class is absent.
    Source: Hand and Till, Machine Learning 45, 2001, section 2; Fawcett 2006 for one against the rest.
    """
    classes = probabilities.shape[1]
    if np.unique(labels).size < classes:
        return float("nan")
    chosen = [1] if classes == 2 else range(classes)
    once = np.ones((1, labels.size))
    return float(np.mean([_weighted_ranks(labels == k, probabilities[:, k], once)[0] for k in chosen]))


def expected_calibration_error(labels: Labels, probabilities: Probabilities, *, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over bins of equal width, weighted by images.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3 (bins closed above);
    after Naeini et al., AAAI 2015.
    """
    where, gap = _calibration_gaps(labels, probabilities, bins)
    return float(np.abs(np.bincount(where, weights=gap)).sum() / labels.size)


def _calibration_gaps(
    labels: Labels, probabilities: Probabilities, bins: int = 15
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bin of each image's confidence, and how far the confidence is above its outcome (1 right, 0 wrong)."""
    confidence = probabilities.max(1).astype(np.float64)
    where = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return where, confidence - correct(labels, probabilities)


def brier_scores(labels: Labels, probabilities: Probabilities) -> Float[np.ndarray, " N"]:
    """Squared distance of each row from its label's corner, between 0 and 2.

    Source: Brier, Monthly Weather Review 78, 1950, equation 2 (summed over classes, also where there are two).
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return np.asarray(np.square(probabilities.astype(np.float64) - truth).sum(1))


def log_losses(labels: Labels, probabilities: Probabilities) -> Float[np.ndarray, " N"]:
    """Negative log likelihood of each label in nats; probabilities below 1e-12 count as 1e-12."""
    chosen = probabilities[np.arange(labels.size), labels].astype(np.float64)
    return np.asarray(-np.log(np.clip(chosen, _LEAST, 1.0)))


def correct(labels: Labels, probabilities: Probabilities) -> Bool[np.ndarray, " N"]:
    """Which images are classified correctly."""
    return np.asarray(probabilities.argmax(1) == labels)


def _weighted_auc(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`area_under_curve` of each resample; nan where a class is absent from it."""
    classes = probabilities.shape[1]
    chosen = [1] if classes == 2 else range(classes)
    areas = [_weighted_ranks(labels == k, probabilities[:, k], weights) for k in chosen]
    return np.asarray(np.mean(areas, axis=0))


def _weighted_ranks(
    positive: NDArray[np.bool_], scores: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted share of (positive, negative) pairs that `scores` puts in order, ties half: Mann and Whitney's U.

    It is what lies below the middle of each positive's ties, less what positives are of that. Weights are whole
    numbers, of which every sum here is exact.
    """
    order = np.argsort(scores, kind="stable")
    ties = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    below = np.zeros((len(weights), ties.size + 1))
    below[:, 1:] = weights.take(order, axis=1).cumsum(1)[:, np.append(ties[1:], order.size) - 1]
    places = np.flatnonzero(positive[order])
    tie, own = np.searchsorted(ties, places, side="right") - 1, weights.take(order[places], axis=1)
    middle, above = (below[:, tie] + below[:, tie + 1]) / 2, own.sum(1)
    ordered = (own * middle).sum(1) - above * above / 2
    return _ratio(ordered, above * (below[:, -1] - above), empty=np.nan)


def _weighted_ece(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`expected_calibration_error` of each resample."""
    where, gap = _calibration_gaps(labels, probabilities)
    bins = scipy.sparse.csr_array((gap, (np.arange(gap.size), where)), shape=(gap.size, int(where.max()) + 1))
    return np.asarray(np.abs(weights @ bins).sum(1) / weights.sum(1))


def weighted_figures(
    labels: NDArray[np.integer], run: NDArray[np.floating], weights: NDArray[np.float64], positive: int = 1
) -> dict[str, NDArray[np.float64]]:
    """Figures of `classification_metrics` for each resample; `weights` [B, N] says how often it holds each image.

    Averages over classes are nan in a resample that lacks a class of `labels`: they would mean something else there.
    """
    images, classes = run.shape
    cells = labels.astype(np.int64) * classes + run.argmax(1)
    one_hot = scipy.sparse.csr_array((np.ones(images), (np.arange(images), cells)), shape=(images, classes**2))
    counts = (weights @ one_hot).reshape(-1, classes, classes)
    complete = (counts.sum(2) > 0)[:, np.unique(labels)].all(1)
    figures = count_metrics(counts, positive)
    for name in _OVER_CLASSES:
        figures[name] = np.where(complete, figures[name], np.nan)
    figures["auc"] = _weighted_auc(labels, run, weights)
    return figures | weighted_scores(labels, run, weights)


def weighted_scores(
    labels: NDArray[np.integer], run: NDArray[np.floating], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """`ece`, `brier` and `nll` of each resample [B]; `weights` [B, N] says how often it holds each image."""
    figures = {"ece": _weighted_ece(labels, run, weights)}
    for name, scores in (("brier", brier_scores(labels, run)), ("nll", log_losses(labels, run))):
        figures[name] = weights @ scores / weights.sum(1)
    return figures


def check_probabilities(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> None:
    """Refuse labels and probabilities that no figure could be made of.

    Raises:
        ShapeError: not [N] and [N, K], no image, or fewer than two classes.
        ConfigError: a label that is no class, or a row that is no distribution (to 0.001).
    """
    sizes = f"labels {labels.shape} and probabilities {probabilities.shape}"
    if labels.ndim != 1 or probabilities.ndim != 2 or probabilities.shape[0] != labels.size:
        raise ShapeError(f"Expected labels [N] and probabilities [N, K]; got {sizes}.")
    if labels.size == 0 or probabilities.shape[1] < 2:
        raise ShapeError(f"Metrics need at least one image and two classes; got {sizes}.")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ConfigError(f"Labels run {labels.min()}..{labels.max()}; there are {probabilities.shape[1]} classes.")
    # One comparison that nan fails as well.
    if not (probabilities.min() >= 0 and np.abs(probabilities.sum(1) - 1).max() <= 1e-3):
        raise ConfigError(
            "Each row of probabilities must be non-negative and add up to 1. Logits need a softmax first."
        )


def _ratio(
    above: NDArray[np.float64] | np.float64, below: NDArray[np.float64] | np.float64, *, empty: float
) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(below.shape, empty), where=below > 0))


def _mean_where(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return _ratio(np.where(mask, values, 0.0).sum(-1), mask.sum(-1).astype(np.float64), empty=np.nan)
