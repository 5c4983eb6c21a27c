"""Calibration: does a network that says "90 % sure" err once in ten times, and what does a temperature mend?

Source: Guo et al., "On calibration of modern neural networks", ICML 2017 (temperature scaling: section 4.2).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Float, Int

from spikewise.errors import ShapeError
from spikewise.evaluation.metrics import brier_scores, check_probabilities, expected_calibration_error, log_losses
from spikewise.evaluation.sections.calibration import CalibrationFigures, NetworkCalibration, ReliabilityBin
from spikewise.evaluation.statistics import seeds_only, wilson

__all__ = ["BINS", "Answers", "calibrate", "corrected_calibration_error", "fit_temperature", "reliability"]

BINS = 15
"""Bins of equal numbers of images, unless there are too few images."""
_LEAST_IN_BIN = 10
_EXPONENTS = (-4.0, 6.0)
"""Temperatures are sought between 2^-4 and 2^6."""

Labels = Int[np.ndarray, " N"]
Logits = Float[np.ndarray, "N K"]
Probabilities = Float[np.ndarray, "N K"]


class Answers(NamedTuple):
    """What one training of a network said about some images."""

    labels: Labels
    logits: Logits


def calibrate(network: str, validation: Sequence[Answers], test: Sequence[Answers]) -> NetworkCalibration:
    """One network before and after temperature scaling.

    Args:
        validation: for each seed; the temperature is fitted here.
        test: for each seed, in the same order; all figures are from here.
    Raises:
        ShapeError: no seed, or not as many seeds here as there.
    """
    if not test or len(test) != len(validation):
        raise ShapeError(f"Calibration needs the same seeds on both parts; got {len(validation)} and {len(test)}.")
    temperatures = [fit_temperature(one.labels, one.logits) for one in validation]
    cold = [_softmax(one.logits) for one in test]
    scaled = [_softmax(one.logits / t) for one, t in zip(test, temperatures, strict=True)]
    labels = [one.labels for one in test]
    return NetworkCalibration(
        network=network,
        temperatures=tuple(temperatures),
        as_trained=_figures(labels, cold),
        scaled=_figures(labels, scaled),
    )


def fit_temperature(labels: Labels, logits: Logits) -> float:
    """The temperature T for which softmax(logits / T) gives the labels the least negative log likelihood.

    The answers do not change, only how sure they are. Logits without any error have no optimum: T stops at 1/16.
    Source: Guo et al., ICML 2017, equation 9.
    """
    check_probabilities(labels, _softmax(logits))

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
    seen = expected = 0.0
    for one in reliability(labels, probabilities):
        gap = abs(one.confidence - one.accuracy)
        sd = (one.accuracy * (1 - one.accuracy) / one.images) ** 0.5
        share = one.images / labels.size
        seen += share * gap
        expected += share * _folded_normal_mean(gap, sd)
    return max(0.0, 2 * seen - expected)


def _figures(labels: Sequence[Labels], probabilities: Sequence[Probabilities]) -> CalibrationFigures:
    pairs = list(zip(labels, probabilities, strict=True))
    together = np.concatenate(labels), np.concatenate(probabilities)
    return CalibrationFigures(
        ece=seeds_only([expected_calibration_error(*pair) for pair in pairs]),
        ece_corrected=seeds_only([corrected_calibration_error(*pair) for pair in pairs]),
        brier=seeds_only([float(brier_scores(*pair).mean()) for pair in pairs]),
        nll=seeds_only([float(log_losses(*pair).mean()) for pair in pairs]),
        reliability=reliability(*together, seeds=len(pairs)),
    )


def _bins(images: int) -> int:
    return max(1, min(BINS, images // _LEAST_IN_BIN))


def _folded_normal_mean(mean: float, sd: float) -> float:
    if sd == 0:
        return abs(mean)
    z = mean / sd
    return float(sd * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + mean * scipy.special.erf(z / np.sqrt(2)))


def _softmax(logits: Logits) -> Probabilities:
    return np.asarray(scipy.special.softmax(logits.astype(np.float64), axis=1))
