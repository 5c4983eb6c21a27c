"""A trained conventional network becomes a spiking one: weights rescaled, thresholds set, the loss of it measured."""

from spikewise.conversion.examination import ConversionWish, Examination, Form, Subject, examine
from spikewise.conversion.fidelity import ComparedImages, check_counts, layer_errors
from spikewise.conversion.networks import ConvertedNetwork, convert_network
from spikewise.conversion.obstacles import check_convertible, hidden_activations
from spikewise.conversion.thresholds import balanced_thresholds, calibration_images, levels_of, trained_thresholds
from spikewise.evaluation.conversion import Beside, Conversion, ConvertedSteps, CountCheck, LayerError, Method

__all__ = [
    "Beside",
    "ComparedImages",
    "Conversion",
    "ConversionWish",
    "ConvertedNetwork",
    "ConvertedSteps",
    "CountCheck",
    "Examination",
    "Form",
    "LayerError",
    "Method",
    "Subject",
    "balanced_thresholds",
    "calibration_images",
    "check_convertible",
    "check_counts",
    "convert_network",
    "examine",
    "hidden_activations",
    "layer_errors",
    "levels_of",
    "trained_thresholds",
]
