"""Explanations: which pixels made a network answer as it did, and checks that a map of them means something."""

from spikewise.evaluation.explanations.agreement import rank_correlations
from spikewise.evaluation.explanations.check import Pictures, check_network, maps_of
from spikewise.evaluation.explanations.deletion_curves import SHARES, Deleted, deletion, order_of, without_a_map
from spikewise.evaluation.explanations.gradients import PATH_STEPS, Attribution, input_kind, integrated_gradients
from spikewise.evaluation.explanations.occlusion_maps import Squares, occlusion, squares_for
from spikewise.evaluation.explanations.rates import rates_by_class
from spikewise.evaluation.explanations.scoring import SeededNetwork, probabilities

__all__ = [
    "PATH_STEPS",
    "SHARES",
    "Attribution",
    "Deleted",
    "Pictures",
    "SeededNetwork",
    "Squares",
    "check_network",
    "deletion",
    "input_kind",
    "integrated_gradients",
    "maps_of",
    "occlusion",
    "order_of",
    "probabilities",
    "rank_correlations",
    "rates_by_class",
    "squares_for",
    "without_a_map",
]
