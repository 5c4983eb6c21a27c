"""Probes: small classifiers that try to tell a target from something that should say nothing of it.

A cross-validated score well above chance means that the clue gives the target away. Trained on train against test it is
the classifier two-sample test. Source: D. Lopez-Paz and M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from spikewise.data.audit.records import Probe
from spikewise.data.counter import permutation

__all__ = ["Clue", "ProbeTarget", "grouped_folds", "run_probes"]

_FOLDS, _MOST, _FEWEST = 5, 8000, 10
_LEAVES, _LEAF = 32, 5


class Clue(NamedTuple):
    """Numbers that should say nothing of a target."""

    name: str
    values: Float64[np.ndarray, "N F"]
    linear: bool = False
    """Linear discriminant (many pixels) instead of a decision tree (few facts)."""


class ProbeTarget(NamedTuple):
    """What a probe guesses."""

    name: str
    codes: Int64[np.ndarray, " N"]
    """Class of each image; -1 leaves it out."""
    units: Int64[np.ndarray, " N"]
    """Images of a unit stay in one fold: subjects, duplicates."""


class _Folds(NamedTuple):
    """The images asked, and the fold that each is held out in."""

    chosen: Int64[np.ndarray, " M"]
    codes: Int64[np.ndarray, " M"]
    """0, 1, 2, ... without gaps."""
    fold: Int64[np.ndarray, " M"]
    sizes: Int64[np.ndarray, " K"]
    """Units of each class."""


def run_probes(target: ProbeTarget, clues: list[Clue]) -> list[Probe]:
    """Guess the target from each clue: balanced accuracy over 5 stratified folds, units kept whole.

    At most 8000 images are asked. Classes with fewer than 10 units are left out; with fewer than two classes left
    there is nothing to guess.
    """
    folds = _folds(target)
    return [] if folds is None else [_run(target.name, clue, folds) for clue in clues]


def _folds(target: ProbeTarget) -> _Folds | None:
    known = np.flatnonzero(target.codes >= 0)
    held = np.unique(np.stack([target.codes[known], target.units[known]]), axis=1)[0]
    large = np.flatnonzero(np.bincount(held) >= _FEWEST) if len(held) else held
    known = known[np.isin(target.codes[known], large)]
    if len(large) < 2:
        return None
    chosen = np.sort(known[permutation(len(known), 1)[:_MOST]])
    names, codes = np.unique(target.codes[chosen], return_inverse=True)
    _, units = np.unique(target.units[chosen], return_inverse=True)
    sizes = np.bincount(np.unique(np.stack([codes, units]), axis=1)[0], minlength=len(names))
    if len(names) < 2 or sizes.min() < _FOLDS:
        return None
    if units.max() + 1 == len(units):
        fold = np.empty(len(chosen), np.int64)
        divided = StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(codes, codes)
        for number, (_, held_out) in enumerate(divided):
            fold[held_out] = number
    else:
        fold = grouped_folds(codes, units)
    return _Folds(chosen, codes.astype(np.int64), fold, sizes)


def grouped_folds(codes: Int64[np.ndarray, " M"], units: Int64[np.ndarray, " M"]) -> Int64[np.ndarray, " M"]:
    """The fold of each image, those of a unit in one; classes are spread over the folds as evenly as that allows.

    The most uneven unit first, each goes to the fold that leaves the classes' shares most even over the folds, of equal
    ones to the smallest. These are the folds of scikit-learn's `StratifiedGroupKFold(5, shuffle=True, random_state=0)`,
    which tries one fold at a time and so takes ten times as long.
    """
    held = np.zeros((int(units.max()) + 1, int(codes.max()) + 1))
    np.add.at(held, (units, codes), 1)
    count, order = held.sum(axis=0), np.arange(len(held))
    np.random.RandomState(0).shuffle(order)  # the folds that kept audits were made with
    order = order[np.argsort(-held[order].std(axis=1), kind="stable")]
    filled, itself = np.zeros((_FOLDS, held.shape[1])), np.arange(_FOLDS)
    fold_of = np.empty(len(held), np.int64)
    for unit in order:
        tried = np.repeat((filled / count)[None], _FOLDS, axis=0)
        tried[itself, itself] = (filled + held[unit]) / count
        gap = tried - (np.add.reduce(tried, axis=1) / _FOLDS)[:, None]
        uneven = (np.sqrt(np.add.reduce(gap * gap, axis=1) / _FOLDS)).mean(axis=1)
        best = _least(uneven.tolist(), filled.sum(axis=1).tolist())
        filled[best] += held[unit]
        fold_of[unit] = best
    return np.asarray(fold_of[units])


def _least(values: list[float], sizes: list[float]) -> int:
    """Where the least value is; of those as good as equal the one of the smallest size."""
    best = 0
    for at in range(1, len(values)):
        alike = abs(values[at] - values[best]) <= 1e-8 + 1e-5 * values[best]
        if values[at] < values[best] or (alike and sizes[at] < sizes[best]):
            best = at
    return best


def _run(target: str, clue: Clue, folds: _Folds) -> Probe:
    values = np.asarray(clue.values, np.float64)[folds.chosen]
    classes = len(folds.sizes)
    spread = values.std(axis=0)
    values = ((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]
    p = 1.0
    if values.shape[1]:
        guessed = _guesses(values, folds, clue.linear)
        recall = np.array([(guessed[folds.codes == k] == k).mean() for k in range(classes)])
        p = _chance_of(float(recall.mean()), guessed, folds.sizes)
    else:
        recall = np.eye(classes)[0]  # what says nothing leaves one guess
    score, (low, high) = float(recall.mean()), _interval(recall, folds.sizes)
    return Probe(
        target=target,
        clue=clue.name,
        score=score,
        chance=1 / classes,
        p=p,
        images=len(folds.chosen),
        low=low,
        high=high,
    )


def _interval(recall: Float64[np.ndarray, " K"], sizes: Int64[np.ndarray, " K"]) -> tuple[float, float]:
    """95 % interval of balanced accuracy from Wilson's intervals of the recalls, their half-widths added as variances.

    Source: R. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 1998, method
    3; the sum as in its sequel on differences, method 10.
    """
    z = float(norm.isf(0.025))
    middle = (recall + z * z / (2 * sizes)) / (1 + z * z / sizes)
    half = z * np.sqrt(recall * (1 - recall) / sizes + z * z / (4 * sizes**2)) / (1 + z * z / sizes)
    below, above = recall - (middle - half), middle + half - recall
    score = float(recall.mean())
    low, high = (float(np.sqrt((side**2).sum())) / len(recall) for side in (below, above))
    return max(0.0, score - low), min(1.0, score + high)


def _guesses(values: Float64[np.ndarray, "M F"], folds: _Folds, linear: bool) -> Int64[np.ndarray, " M"]:
    """The class guessed for each image by a classifier that did not see its fold."""
    guessed = np.empty(len(values), np.int64)
    classes = len(folds.sizes)
    for number in range(_FOLDS):
        held_out = folds.fold == number
        if not held_out.any():
            continue
        seen = np.unique(folds.codes[~held_out])
        model = (
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05, priors=np.full(len(seen), 1 / len(seen)))
            if linear
            else DecisionTreeClassifier(
                max_leaf_nodes=max(_LEAVES, 2 * classes),
                min_samples_leaf=_LEAF,
                class_weight="balanced",
                random_state=0,
            )
        )
        guessed[held_out] = model.fit(values[~held_out], folds.codes[~held_out]).predict(values[held_out])
    return guessed


def _chance_of(score: float, guessed: Int64[np.ndarray, " M"], sizes: Int64[np.ndarray, " K"]) -> float:
    """Chance of such a balanced accuracy if guesses and classes were independent, by the normal approximation.

    The recall of class k is then a share with expectation q_k, how often k is guessed, over as many independent trials
    as the class has units. Images of a unit are not independent.
    """
    rate = np.bincount(guessed, minlength=len(sizes)) / len(guessed)
    deviation = float(np.sqrt((rate * (1 - rate) / sizes).sum())) / len(sizes)
    if deviation == 0:
        return 1.0
    return float(norm.sf((score - 1 / len(sizes)) / deviation))
