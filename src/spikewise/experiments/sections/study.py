"""`Study`: the trained networks of a run with their images, as a section looks at them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewise.config import Config
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.prediction import Predictions, predict
from spikewise.evaluation.stored import read_answers
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.setting import Setting

__all__ = ["FEWEST", "SectionResult", "Study"]

FEWEST: Final = 32
"""Images: with fewer a figure says little."""


class SectionResult(NamedTuple):
    """What a section found."""

    record: Config | None
    """None where there was no time for any of it."""
    arrays: Mapping[str, NDArray[Any]] = {}
    """Kept beside the results for the report; nothing that shows an image of a set that must not be shown."""
    less: str = ""
    """What it did less than usual because time was short, such as "1 of 3 seeds"; empty: nothing."""


class Study(NamedTuple):
    """A finished training of every candidate, ready to be looked into.

    `setting.trained(candidate, seed)` is a network, `setting.images` and `setting.split` are the images. Everything
    that is chosen (a threshold, a temperature) is chosen on `setting.split.validation`; the test part is open already.
    """

    setting: Setting
    candidates: Sequence[Candidate]
    share: float = 1.0
    """Of the usual work of a section, where time is short."""
    left: Callable[[], float] | None = None
    """Seconds that the section may still take; None: as long as it takes."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are looked at: where time is short, the first of them."""
        every = self.setting.experiment.seeds
        return every[: max(1, math.floor(self.share * len(every)))]

    @property
    def fewer_seeds(self) -> str:
        """The same in words; empty where it is all of them."""
        every = len(self.setting.experiment.seeds)
        return f"{len(self.seeds)} of {every} seeds" if len(self.seeds) < every else ""

    def few(self, default: int) -> int:
        """How many images are looked at where so many are usual."""
        return min(default, max(FEWEST, round(self.share * default)))

    def validation(self, candidate: Candidate, seed: int) -> Predictions:
        """What one network says about the validation images."""
        network = self.setting.trained(candidate, seed)
        return predict(network, self.setting.images, self.setting.split.validation, seed=seed)

    def test(self, candidate: Candidate, seed: int) -> "Tested":
        """What one network said about the test images when they were opened; nothing runs again."""
        path = self.setting.folder.training(candidate.name, seed) / "test.npz"
        return Tested(*read_answers(path, len(self.setting.images.classes)))


class Tested(NamedTuple):
    """Answers on the test images, as stored."""

    index: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits."""
        return softmax(self.logits)
