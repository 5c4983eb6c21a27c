"""`versus`: networks of several runs compared on the test images that they share, as where sides were tuned apart."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from spikewise.errors import ConfigError, RunError
from spikewise.evaluation import CandidatePredictions, PairComparison, Results, compare_all
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.stored import read_answers
from spikewise.experiments import RunFolder
from spikewise.report.numbers import percent

__all__ = ["Contest", "versus"]


class Contest(NamedTuple):
    """What several networks are worth beside each other."""

    data: str
    images: int
    accuracies: dict[str, float]
    """Of each network, the mean over its seeds."""
    pairs: tuple[PairComparison, ...]

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {percent(value)}" for name, value in self.accuracies.items())
        sentences = "".join(f"\n  {pair.sentence}" for pair in self.pairs)
        return f"<{len(self.accuracies)} networks on {self.images:,} images of {self.data}: {figures}>{sentences}"


class _TestedNetwork(NamedTuple):
    """One network of one run, with what it said about the test images."""

    name: str
    folder: RunFolder
    fingerprint: str
    data: str
    seeds: tuple[int, ...]
    index: Int64[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    labels: Int64[np.ndarray, " N"]
    probabilities: Float[np.ndarray, "S N K"]
    positive: int
    """Label of the positive class, of two."""


def versus(networks: Sequence[str | PathLike[str]], *, data_dir: Path | None = None) -> Contest:
    """Compare networks of finished runs, image by image, on the test images that all of them were asked.

    Nothing runs again: the answers are those that each run stored when it opened its test images.

    Args:
        networks: two or more run folders, each as `RUN` or `RUN:NETWORK`; a run's only network need not be named.
        data_dir: where known sets are looked for first; subjects are read from there.
    Raises:
        ConfigError: fewer than two networks, the same one twice, or a run of several without saying which.
        RunError: no finished run, or the runs were tested on different images.
    """
    given = [networks] if isinstance(networks, str | PathLike) else networks
    tested = [_read(fspath(one)) for one in given]
    if len(tested) < 2:
        raise ConfigError(f"A comparison needs two networks; got {len(tested)}. Name runs as RUN or RUN:NETWORK.")
    names = _distinct(tested)
    first = tested[0]
    for other in tested[1:]:
        _must_share(first, other)
    groups = first.folder.images(data_dir).groups
    candidates = [
        CandidatePredictions(name, one.seeds, one.probabilities) for name, one in zip(names, tested, strict=True)
    ]
    groups = None if groups is None else groups[first.index]
    pairs = compare_all(candidates, first.labels, groups, positive=first.positive)
    right = {one.name: float((one.probabilities.argmax(2) == first.labels).mean()) for one in candidates}
    return Contest(first.data, len(first.labels), right, pairs)


def _read(told: str) -> _TestedNetwork:
    path, network = (told, None) if Path(told).exists() else _parted(told)
    folder = RunFolder.open(Path(path))
    results = Results.load(folder.results)
    if network is None and len(results.networks) > 1:
        there = ", ".join(f"{path}:{one.name}" for one in results.networks)
        raise ConfigError(f"{path} has several networks; say which: {there}.")
    name = results.network(network).name if network else results.networks[0].name
    seeds = results.protocol.seeds
    answers = [_answers(folder, name, seed) for seed in seeds]
    index, labels, _ = answers[0]
    probabilities = np.stack([softmax(logits) for _, _, logits in answers])
    data = results.data
    return _TestedNetwork(
        name, folder, data.fingerprint, data.name, seeds, index, labels, probabilities, data.positive_label
    )


def _parted(told: str) -> tuple[str, str | None]:
    path, colon, network = told.rpartition(":")
    return (path, network) if colon and Path(path).exists() else (told, None)


def _answers(folder: RunFolder, name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return read_answers(folder.training(name, seed) / "test.npz")


def _distinct(tested: Sequence[_TestedNetwork]) -> list[str]:
    """A name for each: the network's, with its folder where two are called the same."""
    plain = [one.name for one in tested]
    names = [
        one.name if plain.count(one.name) == 1 else f"{one.folder.path.resolve().name}:{one.name}" for one in tested
    ]
    if len(set(names)) < len(names):
        raise ConfigError(f"A network cannot be compared with itself: {', '.join(names)}.")
    return names


def _must_share(a: _TestedNetwork, b: _TestedNetwork) -> None:
    if a.fingerprint != b.fingerprint or not np.array_equal(a.index, b.index):
        raise RunError(
            f"{a.folder.path} and {b.folder.path} were tested on different images ({a.data}, {len(a.labels):,}; "
            f"{b.data}, {len(b.labels):,}). Run them with the same data and split."
        )
