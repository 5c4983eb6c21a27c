"""Diagnosis: what goes on inside a trained network, and by which signs a sick one is known."""

from spikewise.evaluation.diagnosis.activity import MOST, dead_share, saturated_share
from spikewise.evaluation.diagnosis.examination import (
    ExaminedBatch,
    ExaminedNetwork,
    examine,
    firing_rates,
    gradients_through_time,
    weight_change,
)
from spikewise.evaluation.diagnosis.membranes import (
    Membranes,
    distance_from_threshold,
    look_at_membranes,
    passage,
    slope_that_passes,
)
from spikewise.evaluation.diagnosis.probe import linear_accuracy
from spikewise.evaluation.diagnosis.search import value_that_gives
from spikewise.evaluation.diagnosis.symptoms import Facts, Objective, Symptom, find_symptoms

__all__ = [
    "MOST",
    "ExaminedBatch",
    "ExaminedNetwork",
    "Facts",
    "Membranes",
    "Objective",
    "Symptom",
    "dead_share",
    "distance_from_threshold",
    "examine",
    "find_symptoms",
    "firing_rates",
    "gradients_through_time",
    "linear_accuracy",
    "look_at_membranes",
    "passage",
    "saturated_share",
    "slope_that_passes",
    "value_that_gives",
    "weight_change",
]
