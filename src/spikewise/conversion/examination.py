"""A network is converted for each of several numbers of steps, and each is tested beside the original."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from spikewise.conversion.fidelity import ComparedImages, check_counts, layer_errors
from spikewise.conversion.networks import ConvertedNetwork, convert_network
from spikewise.conversion.obstacles import check_convertible
from spikewise.conversion.thresholds import balanced_thresholds, calibration_images, levels_of, trained_thresholds
from spikewise.data import ImageSet, Split
from spikewise.errors import ConfigError
from spikewise.evaluation.conversion import ConvertedSteps, CountCheck, LayerError, Method
from spikewise.evaluation.cost import carried_bits, count_operations, energies, layer_work
from spikewise.evaluation.prediction import Predictions, predict
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.statistics import (
    Groups,
    bootstrap_seeds_and_images,
    sign_flip_test,
    wilson_estimate,
)
from spikewise.network import Network

__all__ = ["ConversionWish", "Examination", "Form", "Subject", "examine"]

DEFAULT_STEPS: Final = (4, 8, 16, 32, 64)
MOST_STEPS: Final = 4096
_CALIBRATION: Final = 1000
_COMPARED: Final = 256
"""Validation images on which rates and activations are compared."""
_CHECKED: Final = 1000
"""Validation images on which counts are compared."""
Progress = Callable[[str, int, int], None]


class ConversionWish(NamedTuple):
    """What was asked for."""

    steps: Sequence[int] = DEFAULT_STEPS
    method: Method | None = None
    """None is what suits the network."""
    percentile: float = 99.9
    """Of each channel's activations, for `balance`."""
    waits: bool = False
    """Test the waiting network, too, at every number of steps."""

    def check(self) -> None:
        """Refuse what cannot be done.

        Raises:
            ConfigError: the message says what to give.
        """
        steps = self.steps
        if not steps or any(not isinstance(t, int) or isinstance(t, bool) or not 1 <= t <= MOST_STEPS for t in steps):
            raise ConfigError(
                f"Steps are whole numbers from 1 to {MOST_STEPS:,}, such as 4,8,16; got {', '.join(map(str, steps))}."
            )
        if not 0 < self.percentile <= 100:
            raise ConfigError(f"The percentile lies above 0 and up to 100, such as 99.9; got {self.percentile:g}.")


@dataclass(frozen=True)
class Subject:
    """The trained networks of one side of a run, one for each seed, with their images."""

    name: str
    networks: Mapping[int, Network]
    images: ImageSet
    split: Split
    right: Bool[np.ndarray, "S N"]
    """Which test images each of them classifies correctly."""

    @property
    def groups(self) -> Groups:
        """The subject of each test image, where subjects are known."""
        groups = self.images.groups
        return None if groups is None else groups[self.split.test]


class Examination(NamedTuple):
    """What came out."""

    method: Method
    levels: int | None
    calibration_images: int
    validation: float
    """Accuracy of the original on the validation images, mean over seeds."""
    rows: tuple[ConvertedSteps, ...]
    checks: tuple[CountCheck, ...]
    converted: Mapping["Form", Mapping[int, ConvertedNetwork]]
    """The waiting networks, and of the others, which differ in nothing but their steps, the longest; by seed."""


class Form(NamedTuple):
    """A way to run the converted network."""

    steps: int
    waits: bool


class _Tested(NamedTuple):
    """One form of one seed's network."""

    right: Bool[np.ndarray, " N"]
    validation: float
    cost: Mapping[str, float]
    energy: Mapping[str, float]
    layers: tuple[LayerError, ...]


def examine(
    subject: Subject,
    wish: ConversionWish,
    progress: Progress | None = None,
    before_test: Callable[[int], None] | None = None,
) -> Examination:
    """Convert, test and compare.

    Thresholds are set on training images, rates and counts compared on validation images; test images are only tested.

    Args:
        before_test: told each seed, once everything that could be refused has been.
    Raises:
        ConfigError: the network cannot be converted, or not by the method asked for; the message names the layer.
    """
    wish.check()
    first = next(iter(subject.networks.values()))
    check_convertible(first.graph, name=subject.name)
    for seed, network in subject.networks.items():
        if not all(bool(weight.isfinite().all()) for weight in network.weights.values()):
            raise ConfigError(
                f"The network '{subject.name}' of seed {seed} has weights that are no numbers: its training diverged. "
                "Train it again, such as with a smaller train.learning_rate."
            )
    levels = levels_of(first)
    method = _method(subject.name, wish.method, levels)
    index = calibration_images(first, subject.split.train, _CALIBRATION) if method == "balance" else np.empty(0, int)
    thresholds = {
        seed: balanced_thresholds(network, subject.images, index, wish.percentile, seed)
        if method == "balance"
        else trained_thresholds(network)
        for seed, network in subject.networks.items()
    }
    forms = _forms(wish, levels if method == "qcfs" else None)
    for seed in subject.networks:
        if before_test is not None:
            before_test(seed)
    rows: list[ConvertedSteps] = []
    converted: dict[Form, Mapping[int, ConvertedNetwork]] = {}
    for number, form in enumerate(forms):
        if progress is not None:
            progress(f"testing {form.steps} steps{', waiting' if form.waits else ''}", number, len(forms))
        made = {
            seed: convert_network(network.graph, network.weights, thresholds[seed], form.steps, waits=form.waits)
            for seed, network in subject.networks.items()
        }
        tested = [_test(subject, seed, one, thresholds[seed], form.steps) for seed, one in made.items()]
        rows.append(_row(subject, form, tested, next(iter(made.values())).graph.steps, len(forms)))
        if form.waits or form == max(plain for plain in forms if not plain.waits):
            converted[form] = made
    checks = _checked(subject, thresholds, converted, levels, progress) if method == "qcfs" and levels else ()
    validation = [
        float(_right(predict(network, subject.images, subject.split.validation, seed=seed)).mean())
        for seed, network in subject.networks.items()
    ]
    levels = levels if method == "qcfs" else None
    return Examination(method, levels, len(index), float(np.mean(validation)), tuple(rows), checks, converted)


def _method(name: str, asked: Method | None, levels: int | None) -> Method:
    if asked == "qcfs" and levels is None:
        raise ConfigError(
            f"The method qcfs takes the thresholds that quantised activations have learned, and '{name}' has none. "
            "Train one beside it with `--with qcfs` and convert twin-qcfs, or use the method balance."
        )
    if asked == "balance" and levels is not None:
        raise ConfigError(
            f"The method balance sets thresholds for ReLU, and '{name}' has learned its own. Use the method qcfs."
        )
    return asked or ("balance" if levels is None else "qcfs")


def _forms(wish: ConversionWish, levels: int | None) -> list[Form]:
    """By steps, the waiting one second; a quantised network is always tested where its counts must be exact."""
    plain = {Form(steps, waits=False) for steps in wish.steps}
    waiting = {Form(steps, waits=True) for steps in wish.steps if wish.waits}
    exact = set() if levels is None else {Form(levels, waits=False), Form(levels, waits=True)}
    return sorted(plain | waiting | exact)


def _test(
    subject: Subject, seed: int, converted: ConvertedNetwork, thresholds: Mapping[str, Float[Tensor, " C"]], steps: int
) -> _Tested:
    network = converted.network()
    said = predict(network, subject.images, subject.split.test, seed=seed)
    work, operations = layer_work(network.graph, said.input_events), count_operations(network.graph, said.input_events)
    cost = {
        "spikes": network.graph.steps * sum(float(rate.sum()) for rate in said.rates.values()),
        "macs": operations.macs,
        "synaptic_operations": operations.synaptic_operations,
        "state_updates": operations.state_updates,
    }
    checked = predict(network, subject.images, subject.split.validation, seed=seed)
    sample = ComparedImages(subject.images, _spread(subject.split.validation, _COMPARED), seed)
    errors = layer_errors(subject.networks[seed], converted, thresholds, steps, sample)
    return _Tested(_right(said), float(_right(checked).mean()), cost, energies(work, carried_bits(steps)), errors)


def _right(said: Predictions) -> Bool[np.ndarray, " N"]:
    return np.asarray(said.predicted == said.labels)


def _row(subject: Subject, form: Form, tested: Sequence[_Tested], duration: int, rows: int) -> ConvertedSteps:
    right = np.stack([one.right for one in tested])
    difference = bootstrap_seeds_and_images(right.astype(np.float64) - subject.right, subject.groups)
    p = min(1.0, rows * sign_flip_test(right, subject.right, subject.groups))
    low, high = difference.low, difference.high
    apart = low is not None and high is not None and not low <= 0 <= high
    return ConvertedSteps(
        steps=form.steps,
        waits=form.waits,
        duration=duration,
        validation=float(np.mean([one.validation for one in tested])),
        accuracy=_accuracy(right, subject.groups),
        accuracy_per_seed=tuple(float(one) for one in right.mean(1)),
        difference=difference,
        p=p,
        significant=apart and p < 1 - difference.level,
        **{key: float(np.mean([one.cost[key] for one in tested])) for key in tested[0].cost},
        energy_nanojoule={
            model: float(np.mean([one.energy[model] for one in tested])) for model in tested[0].energy
        },
        layers=_mean_errors([one.layers for one in tested]),
    )  # fmt: skip


def _accuracy(right: Bool[np.ndarray, "S N"], groups: Groups) -> Estimate:
    if len(right) == 1 and groups is None:
        return wilson_estimate(int(right.sum()), right.size)
    return bootstrap_seeds_and_images(right, groups)


def _mean_errors(seeds: Sequence[tuple[LayerError, ...]]) -> tuple[LayerError, ...]:
    return tuple(
        one[0].model_copy(
            update={key: float(np.mean([getattr(layer, key) for layer in one])) for key in ("error", "clipped")}
        )
        for one in zip(*seeds, strict=True)
    )


def _checked(
    subject: Subject,
    thresholds: Mapping[int, Mapping[str, Tensor]],
    converted: Mapping[Form, Mapping[int, ConvertedNetwork]],
    levels: int,
    progress: Progress | None,
) -> tuple[CountCheck, ...]:
    """Counts of the waiting network against the levels, over all seeds."""
    found: list[tuple[CountCheck, ...]] = []
    index = _spread(subject.split.validation, _CHECKED)
    for number, (seed, one) in enumerate(converted[Form(levels, waits=True)].items()):
        if progress is not None:
            progress("comparing spike counts", number, len(subject.networks))
        sample = ComparedImages(subject.images, index, seed)
        found.append(check_counts(subject.networks[seed], one, thresholds[seed], sample))
    return tuple(_summed(one) for one in zip(*found, strict=True))


def _summed(seeds: Sequence[CountCheck]) -> CountCheck:
    totals = {key: sum(getattr(one, key) for one in seeds) for key in ("counts", "equal", "equal_float32")}
    return seeds[0].model_copy(update=totals)


def _spread(index: Int64[np.ndarray, " N"], most: int) -> Int64[np.ndarray, " M"]:
    return index[np.unique(np.linspace(0, len(index) - 1, min(most, len(index))).round().astype(np.int64))]
