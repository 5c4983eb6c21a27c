"""Two classes and a decision threshold other than 1/2, chosen on validation images."""

import numpy as np
from jaxtyping import Float, Int

from spikewise.errors import ShapeError
from spikewise.evaluation.metrics import check_probabilities, confusion, count_metrics
from spikewise.evaluation.results import Thresholded

__all__ = ["best_threshold", "metrics_at_threshold", "thresholded"]


def best_threshold(labels: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "N 2"], positive: int = 1) -> float:
    """The probability of the positive class above which to answer it, for the highest sensitivity + specificity.

    Their sum less one is Youden's J. It is also the threshold of the best balanced accuracy, whatever the share of the
    classes. Candidates lie half way between neighbouring probabilities; of equally good ones the nearest to 1/2 is
    taken, and 1/2 itself where the labels hold one class only.
    Source: Youden, Cancer 3, 1950; as a choice of threshold: Fluss, Faraggi and Reiser, Biometrical Journal 47, 2005.

    Raises:
        ShapeError: not two classes.
    """
    scores = _of_positive(labels, probabilities, positive)
    sick = labels == positive
    if sick.all() or not sick.any():
        return 0.5
    values, at = np.unique(scores, return_inverse=True)
    hits = _from_each_value_on(at[sick], values.size)
    alarms = _from_each_value_on(at[~sick], values.size)
    gain = hits - alarms
    edges = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    if values[0] <= 0:  # "above 0" leaves out the lowest
        gain, edges = gain[1:], edges[1:]
    best = edges[gain >= gain.max() - 1e-12]
    if _youden(scores, sick, 0.5) >= gain.max() - 1e-12:
        return 0.5
    return float(best[np.abs(best - 0.5).argmin()])


def metrics_at_threshold(
    labels: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "N 2"], threshold: float, positive: int = 1
) -> dict[str, float | None]:
    """The figures that depend on the answers alone, with the positive class answered above `threshold`.

    None where one is undefined.

    Raises:
        ShapeError: not two classes.
    """
    scores = _of_positive(labels, probabilities, positive)
    answers = np.where(scores > threshold, positive, 1 - positive)
    if threshold == 0.5:  # the network's own answers, equal probabilities included
        answers = probabilities.argmax(1)
    counts = confusion(labels, answers, 2)
    figures = {name: float(value) for name, value in count_metrics(counts, positive).items()}
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}


def thresholded(
    validation: tuple[Int[np.ndarray, " V"], Float[np.ndarray, "V K"]],
    test: tuple[Int[np.ndarray, " N"], Float[np.ndarray, "N K"]],
    positive: int = 1,
) -> Thresholded | None:
    """The threshold chosen on validation (labels, probabilities) and its test figures; None beyond two classes.

    A validation part without images, or of one class, leaves the threshold at 1/2.
    """
    if test[1].shape[1] != 2:
        return None
    threshold = best_threshold(*validation, positive) if validation[0].size else 0.5
    return Thresholded(threshold=threshold, test=metrics_at_threshold(*test, threshold, positive))


def _from_each_value_on(at: np.ndarray, values: int) -> np.ndarray:
    """Share of images whose value is the k-th or a later one, for k from 0 to `values` (where it is none)."""
    return np.append(np.bincount(at, minlength=values)[::-1].cumsum()[::-1] / at.size, 0.0)


def _youden(scores: np.ndarray, sick: np.ndarray, threshold: float) -> float:
    return float((scores[sick] > threshold).mean() - (scores[~sick] > threshold).mean())


def _of_positive(
    labels: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "N K"], positive: int
) -> Float[np.ndarray, " N"]:
    check_probabilities(labels, probabilities)
    if probabilities.shape[1] != 2:
        raise ShapeError(f"A decision threshold needs two classes; got {probabilities.shape[1]}.")
    return np.asarray(probabilities[:, positive], dtype=np.float64)
