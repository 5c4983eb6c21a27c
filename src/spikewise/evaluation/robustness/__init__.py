"""Robustness: what is left of a network's accuracy when images, spikes, weights or neurons are disturbed."""

from spikewise.evaluation.robustness.adversarial import AttackTarget, fgsm, passes_gradients, pgd, random_signs, search
from spikewise.evaluation.robustness.candidates import Images, TrainedCandidate, correct_answers
from spikewise.evaluation.robustness.corruptions import CORRUPTIONS, Corruption
from spikewise.evaluation.robustness.examination import (
    MOST_IMAGES,
    SHOWN_STRENGTH,
    RobustnessResult,
    RobustnessScope,
    default_count,
    examine,
    merged,
    parse_families,
    selected,
)
from spikewise.evaluation.robustness.score import relative_scores
from spikewise.evaluation.robustness.spikes import chances, delete_spikes, insert_spikes, jitter_spikes
from spikewise.evaluation.robustness.summary import summarise
from spikewise.evaluation.robustness.trials import RobustnessTrial, RobustnessTrials
from spikewise.evaluation.robustness.weights import hidden_layers, noisy, quantised, silenced

__all__ = [
    "CORRUPTIONS",
    "MOST_IMAGES",
    "SHOWN_STRENGTH",
    "AttackTarget",
    "Corruption",
    "Images",
    "RobustnessResult",
    "RobustnessScope",
    "RobustnessTrial",
    "RobustnessTrials",
    "TrainedCandidate",
    "chances",
    "correct_answers",
    "default_count",
    "delete_spikes",
    "examine",
    "fgsm",
    "hidden_layers",
    "insert_spikes",
    "jitter_spikes",
    "merged",
    "noisy",
    "parse_families",
    "passes_gradients",
    "pgd",
    "quantised",
    "random_signs",
    "relative_scores",
    "search",
    "selected",
    "silenced",
    "summarise",
]
