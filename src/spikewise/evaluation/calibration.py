"""Calibration: does a network that says "90 % sure" err once in ten times, and what does a temperature mend?

Source: Guo et al., "On calibration of modern neural networks", ICML 2017 (temperature scaling: section 4.2).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Float, Int
from numpy.typing import NDArray

from spikewise.errors import ShapeError
from spikewise.evaluation.metrics import (
    brier_scores,
    check_probabilities,
    expected_calibration_error,
    log_losses,
    softmax,
    weighted_scores,
)
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.sections.calibration import CalibrationFigures, NetworkCalibration, ReliabilityBin
from spikewise.evaluation.statistics import (
    Groups,
    Resampling,
    count_units,
    estimate_from_draws,
    over_resamples,
    wilson,
)

__all__ = ["BINS", "SplitLogits", "calibrate", "corrected_calibration_error", "fit_temperature", "reliability"]

BINS = 15
"""Bins of equal numbers of images, unless there are too few images."""
_LEAST_IN_BIN = 10
_EXPONENTS = (-4.0, 6.0)
"""Temperatures are sought between 2^-4 and 2^6."""
_RESAMPLING = Resampling(samples=500)
"""As for every figure other than accuracy."""
_BOUNDS = {"ece": (0.0, 1.0), "ece_corrected": (0.0, 1.0), "brier": (0.0, 2.0), "nll": (0.0, np.inf)}

Labels = Int[np.ndarray, " N"]
Logits = Float[np.ndarray, "N K"]
Probabilities = Float[np.ndarray, "N K"]
Weights = Float[np.ndarray, "B N"]
"""How often each resample holds each image."""
Draws = Float[np.ndarray, "B S"]


class SplitLogits(NamedTuple):
    """What one training of a network said about some images."""

    labels: Labels
    logits: Logits


def calibrate(
    network: str, validation: Sequence[SplitLogits], test: Sequence[SplitLogits], groups: Groups = None
) -> NetworkCalibration:
    """One network before and after temperature scaling; intervals are over seeds and test images.

    Args:
        validation: for each seed; the temperature is fitted here.
        test: for each seed, in the same order, on the same images; all figures are from here.
        groups: the subject of each test image, where subjects are known.
    Raises:
        ShapeError: no seed, not as many seeds here as there, or test images that are not the same for every seed.
    """
    if not test or len(test) != len(validation):
        raise ShapeError(f"Calibration needs the same seeds on both parts; got {len(validation)} and {len(test)}.")
    if any(not np.array_equal(one.labels, test[0].labels) for one in test):
        raise ShapeError("Calibration needs the same test images for every seed; got labels that differ between seeds.")
    temperatures = [fit_temperature(one.labels, one.logits) for one in validation]
    cold = [softmax(one.logits) for one in test]
    scaled = [softmax(one.logits.astype(np.float64) / t) for one, t in zip(test, temperatures, strict=True)]
    labels, seeds = test[0].labels, len(test)
    draws, units = _draws(labels, [*cold, *scaled], groups), count_units(groups, test[0].labels.size)
    return NetworkCalibration(
        network=network,
        temperatures=tuple(temperatures),
        as_trained=_figures(labels, cold, {name: one[:, :seeds] for name, one in draws.items()}, units),
        scaled=_figures(labels, scaled, {name: one[:, seeds:] for name, one in draws.items()}, units),
    )


def fit_temperature(labels: Labels, logits: Logits) -> float:
    """The temperature T for which softmax(logits / T) gives the labels the least negative log likelihood.

    The answers do not change, only how sure they are. Logits without any error have no optimum: T stops at 1/16.
    Source: Guo et al., ICML 2017, equation 9.
    """
    check_probabilities(labels, softmax(logits))

    def loss(exponent: float) -> float:
        scaled = logits.astype(np.float64) / 2.0**exponent
        chosen = scaled[np.arange(labels.size), labels]
        return float((scipy.special.logsumexp(scaled, axis=1) - chosen).mean())

    # Convex in 1/T, so the loss over log T has one valley.
    found = scipy.optimize.minimize_scalar(loss, bounds=_EXPONENTS, method="bounded")
    return float(2.0**found.x)


def reliability(labels: Labels, probabilities: Probabilities, *, seeds: int = 1) -> tuple[ReliabilityBin, ...]:
    """Accuracy in bins of rising confidence that hold equally many images.

    Args:
        seeds: how often each image stands among the rows: intervals must not take copies for new images.
    """
    check_probabilities(labels, probabilities)
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    out = []
    for rows in np.array_split(np.argsort(confidence, kind="stable"), _bins(labels.size // seeds)):
        n = max(1, round(len(rows) / seeds))
        low, high = wilson(round(right[rows].mean() * n), n)
        out.append(
            ReliabilityBin(
                images=len(rows),
                confidence=float(np.clip(confidence[rows].mean(), 0, 1)),
                accuracy=float(right[rows].mean()),
                low=low,
                high=high,
            )
        )
    return tuple(out)


def corrected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Expected calibration error without the part that chance adds, at least 0.

    In a bin of n images the accuracy a scatters around its truth with variance a (1 - a) / n, so that even a perfect
    network shows a gap. The expectation of the gap under that scatter, minus the gap seen, is what chance adds; it is
    a folded normal's mean and needs no simulation.
    Source: Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019, section 5 and appendix (debiasing of
    the l1 error); folded normal: Leone, Nelson and Nottingham, Technometrics 3, 1961.
    """
    check_probabilities(labels, probabilities)
    return max(0.0, float(_corrected(labels, probabilities, np.ones((1, labels.size)))[0]))


def _draws(labels: Labels, runs: Sequence[Probabilities], groups: Groups) -> dict[str, Draws]:
    """Each figure of each run on resampled images."""

    def of_all(weights: Weights) -> dict[str, Draws]:
        drawn = [
            {**weighted_scores(labels, run, weights), "ece_corrected": _corrected(labels, run, weights)} for run in runs
        ]
        return {name: np.stack([run[name] for run in drawn], axis=1) for name in drawn[0]}

    return over_resamples(of_all, groups, labels.size, _RESAMPLING)


def _figures(
    labels: Labels, runs: Sequence[Probabilities], draws: Mapping[str, Draws], units: int
) -> CalibrationFigures:
    def estimate(name: str) -> Estimate:
        per_seed = np.array([_OF_A_RUN[name](labels, run) for run in runs])
        return estimate_from_draws(per_seed, draws[name], units, _RESAMPLING, bounds=_BOUNDS[name])

    return CalibrationFigures(
        ece=estimate("ece"),
        ece_corrected=estimate("ece_corrected"),
        brier=estimate("brier"),
        nll=estimate("nll"),
        reliability=reliability(np.tile(labels, len(runs)), np.concatenate(runs), seeds=len(runs)),
    )


def _corrected(labels: Labels, probabilities: Probabilities, weights: Weights) -> NDArray[np.float64]:
    """`corrected_calibration_error` of each resample [B], in the bins of the whole sample; it can be below 0 here."""
    confidence = probabilities.max(1).astype(np.float64)
    right = (probabilities.argmax(1) == labels).astype(np.float64)
    bins = np.array_split(np.argsort(confidence, kind="stable"), _bins(labels.size))
    images, sure, hits = (
        np.stack([weights[:, rows] @ values[rows] for rows in bins], axis=1)
        for values in (np.ones_like(right), confidence, right)
    )
    held = np.maximum(images, 1)  # a bin that a resample leaves empty has a share of 0
    accuracy = hits / held
    gap = np.abs(sure / held - accuracy)
    chance = _folded_normal_mean(gap, np.sqrt(accuracy * (1 - accuracy) / held))
    return np.asarray((images * (2 * gap - chance)).sum(1) / images.sum(1))


_OF_A_RUN: dict[str, Callable[[Labels, Probabilities], float]] = {
    "ece": expected_calibration_error,
    "ece_corrected": corrected_calibration_error,
    "brier": lambda labels, run: float(brier_scores(labels, run).mean()),
    "nll": lambda labels, run: float(log_losses(labels, run).mean()),
}


def _bins(images: int) -> int:
    return max(1, min(BINS, images // _LEAST_IN_BIN))


def _folded_normal_mean(mean: NDArray[np.float64], sd: NDArray[np.float64]) -> NDArray[np.float64]:
    z = np.divide(mean, sd, out=np.full(mean.shape, np.inf), where=sd > 0)
    return np.asarray(sd * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + mean * scipy.special.erf(z / np.sqrt(2)))
