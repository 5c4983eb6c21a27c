"""Collapsed trainings: runs that learned nothing, which a mean over seeds would hide.

A run has collapsed where its answers to the test images tell the classes apart no better than one constant answer does:
mean recall over the classes lies at 1 / K (to within 5 % of the way to 1), and either (nearly) every image got the same
answer, or even chance explains the rest.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from spikewise.evaluation.results import NetworkResult, SeedResult

__all__ = ["Collapsed", "collapsed_run", "collapsed_runs", "has_learned", "majority_share"]

_NEARLY_ALL: Final = 0.98
"""Share of the images with one answer above which a run is said to give one answer."""
_NEAR: Final = 0.05
"""Part of the way from guessing to perfect."""
_LUCK: Final = 1.64
"""Standard deviations that guessing exceeds once in twenty."""

_SURE: Final = 3.1


class Collapsed(NamedTuple):
    """A run that learned nothing."""

    network: str
    seed: int
    answer: int
    """Its most frequent answer."""
    share: float
    """Share of the test images that got it."""
    recall: float
    """Mean recall over the classes."""

    @property
    def one_answer(self) -> bool:
        """Whether (nearly) all images got the same answer."""
        return self.share >= _NEARLY_ALL


def collapsed_run(network: str, run: SeedResult) -> Collapsed | None:
    """What is to be said of a run that collapsed; None of one that did not, or whose answers are not known."""
    counts = np.array(run.confusion, dtype=np.float64)
    if not counts.size or not counts.sum():
        return None
    actual, answers = counts.sum(1), counts.sum(0) / counts.sum()
    there = actual > 0
    classes = int(there.sum())
    if classes < 2:
        return None
    recall = float((np.diagonal(counts)[there] / actual[there]).mean())
    guessing = 1 / classes
    found = Collapsed(network, run.seed, int(answers.argmax()), float(answers.max()), recall)
    luck = _LUCK * float(np.sqrt(guessing * (1 - guessing) * (1 / actual[there]).sum())) / classes
    near = guessing + _NEAR * (1 - guessing)
    return found if recall <= near and (found.one_answer or recall <= guessing + luck) else None


def collapsed_runs(networks: Sequence[NetworkResult]) -> list[Collapsed]:
    """Every run that collapsed."""
    found = [collapsed_run(network.name, run) for network in networks for run in network.runs]
    return [one for one in found if one is not None]


def has_learned(run: SeedResult) -> bool:
    """Whether a run alone is surely better than one constant answer: a thing that guessing does once in a thousand."""
    counts = np.array(run.confusion, dtype=np.float64)
    if not counts.size or not counts.sum():
        return False
    actual = counts.sum(1)
    there, majority = actual > 0, actual.max() / actual.sum()
    guessing = 1 / int(there.sum())
    accuracy, recall = np.trace(counts) / actual.sum(), (np.diagonal(counts)[there] / actual[there]).mean()
    luck = float(np.sqrt(guessing * (1 - guessing) * (1 / actual[there]).sum())) * guessing
    by_accuracy = accuracy > majority + _SURE * float(np.sqrt(majority * (1 - majority) / actual.sum()))
    return bool(by_accuracy and recall > guessing) or bool(recall > guessing + _SURE * luck)


def majority_share(run: SeedResult) -> float | None:
    """Accuracy of always giving the most frequent class of the test images; None where the labels are not known."""
    counts = np.array(run.confusion, dtype=np.float64)
    return float(counts.sum(1).max() / counts.sum()) if counts.size and counts.sum() else None
