"""The section on explanations."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from spikewise.evaluation.explanations import (
    PATH_STEPS,
    Pictures,
    SeededNetwork,
    check_network,
    input_kind,
    maps_of,
    probabilities,
    rates_by_class,
    squares_for,
)
from spikewise.evaluation.sections.explanations import Explained, Explanations
from spikewise.evaluation.ties import evidence_of
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.collect import sample_of_each_class
from spikewise.experiments.sections.study import SectionResult, Study
from spikewise.experiments.setting import Setting
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["make"]

_SHOWN: Final = 6
_CHECKED, _COMPARED, _COUNTED = 64, 24, 1000
"""Validation images in the checks, those of them compared with random weights, and those that rates are counted on."""
_OTHER_WEIGHTS: Final = 1_000_003
"""Added to the seed for random weights: a seed that no training has."""


def make(study: Study) -> SectionResult:
    """Which pixels made the spiking network and its twin answer as they do, for a test image of each class.

    The first seed's networks are explained. Maps of a set that must not be shown are made for the checks alone.
    """
    setting = study.setting
    candidates = [one for one in study.candidates if one.role != "baseline"] or list(study.candidates)
    seed = setting.experiment.seeds[0]
    seeded = {one.name: SeededNetwork(setting.trained(one, seed), seed) for one in candidates}
    count = study.few(_CHECKED)
    checked = _evenly(setting, setting.split.validation, count)
    networks = tuple(
        check_network(one.name, seeded[one.name], _random(setting, one, seed), checked, compared=min(_COMPARED, count))
        for one in candidates
    )
    shown, arrays = _shown(setting, seeded)
    squares = squares_for(*setting.images.image_shape[1:])
    record = Explanations(
        networks=networks,
        shown=shown,
        images=len(checked.images),
        patch=squares.side,
        stride=squares.stride,
        path_steps=PATH_STEPS,
        input=input_kind(candidates[0].graph),
    )
    fewer = f"{len(checked.images)} images in the checks" if count < _CHECKED else ""
    return SectionResult(record, {**arrays, **_rates(setting, seeded)}, fewer)


def _random(setting: Setting, candidate: Candidate, seed: int) -> SeededNetwork:
    network = Network(candidate.graph, seed=seed + _OTHER_WEIGHTS, engine_name=setting.experiment.engine)
    return SeededNetwork(network.to(setting.device), seed)


def _evenly(setting: Setting, part: NDArray[np.int64], most: int) -> Pictures:
    at = np.unique(np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(np.int64))
    return _pictures(setting, part[at])


def _pictures(setting: Setting, index: NDArray[np.int64]) -> Pictures:
    images = setting.images
    groups = None if images.groups is None else images.groups[index]
    return Pictures(np.ascontiguousarray(images.images[index]), index, groups)


def _shown(
    setting: Setting, networks: dict[str, SeededNetwork]
) -> tuple[tuple[Explained, ...], dict[str, NDArray[Any]]]:
    """One test image of each class, and their maps if they may be shown."""
    images, test = setting.images, setting.split.test
    index = sample_of_each_class(images, test, 1)[:_SHOWN]
    pictures = _pictures(setting, index)
    said = {name: probabilities(seeded, *pictures[:2]) for name, seeded in networks.items()}
    records = tuple(
        Explained(
            index=int(np.flatnonzero(test == position)[0]),
            label=int(images.labels[position]),
            answers=tuple(int(one[at].argmax()) for one in said.values()),
            probabilities=tuple(float(one[at].max()) for one in said.values()),
        )
        for at, position in enumerate(index)
    )
    arrays: dict[str, NDArray[Any]] = {"images": pictures.images} if images.publishable else {}
    for name, seeded in networks.items():
        answers = said[name].argmax(1)
        maps, attribution = maps_of(seeded, pictures, answers)
        if images.publishable:
            arrays |= {f"map.{name}.{method}": one.astype(np.float32) for method, one in maps.items()}
        if seeded.network.graph.steps > 1:
            arrays[f"over_time.{name}"] = attribution.over_time.astype(np.float32)
            arrays[f"sure.{name}"] = _sure(seeded, pictures, answers)
    return records, arrays


def _sure(seeded: SeededNetwork, pictures: Pictures, answers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probability of the answer after each step [S, T]."""
    network = seeded.network
    batch = torch.from_numpy(pictures.images).to(network.device)
    with torch.no_grad():
        draw = Draw(seeded.seed, 0, torch.from_numpy(pictures.index))
        grown = evidence_of(network.graph.readout, network(batch, draw), draw.index).softmax(-1)
    return grown[:, np.arange(len(answers)), answers].T.float().cpu().numpy()


def _rates(setting: Setting, networks: dict[str, SeededNetwork]) -> dict[str, NDArray[Any]]:
    some = _evenly(setting, setting.split.validation, _COUNTED)
    labels = setting.images.labels[some.index]
    return {
        f"rates.{name}.{layer}": rates.astype(np.float32)
        for name, seeded in networks.items()
        for layer, rates in rates_by_class(seeded, *some[:2], labels).items()
    }
