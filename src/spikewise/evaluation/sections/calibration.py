"""Records of the section on calibration."""

from spikewise.evaluation.record import Count, Estimate, Many, Record, Share

__all__ = ["Calibration", "CalibrationFigures", "NetworkCalibration", "ReliabilityBin"]


class ReliabilityBin(Record):
    """Answers of similar confidence, all seeds together; `low` and `high` are Wilson's interval of the accuracy."""

    images: Count
    confidence: Share
    accuracy: Share
    low: Share
    high: Share


class CalibrationFigures(Record):
    """How far confidence and accuracy lie apart on the test images.

    Intervals are over seeds and test images (subjects where they are known); those of earlier versions, whose `method`
    names seeds alone, leave the images out.
    """

    ece: Estimate
    """Expected calibration error, bins of equal width."""
    ece_corrected: Estimate
    """The same without what the finite number of images adds to it; bins of equal numbers of images."""
    brier: Estimate
    nll: Estimate
    """Negative log likelihood in nats."""
    reliability: Many[ReliabilityBin]


class NetworkCalibration(Record):
    """One network before and after temperature scaling."""

    network: str
    temperatures: Many[float]
    """One for each seed, fitted on the validation images: above 1 the network was too sure."""
    as_trained: CalibrationFigures
    scaled: CalibrationFigures


class Calibration(Record):
    """Every network of a run."""

    networks: Many[NetworkCalibration]
    bins: Count
