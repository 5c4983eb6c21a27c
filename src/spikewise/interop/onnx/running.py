"""onnxruntime as the foreign runtime of the check."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from jaxtyping import UInt8
from numpy.typing import NDArray

from spikewise.errors import DataError
from spikewise.interop.deployed import Deployed
from spikewise.interop.onnx.apart import Apart
from spikewise.interop.onnx.session import OnnxSession, SessionError
from spikewise.interop.runtime import Sent

__all__ = ["OnnxRuntime"]

_MANY: Final = 32
"""Images of the larger batch whose time is told."""
_TIMES: Final = 5
Images = UInt8[np.ndarray, "B C H W"]
Arrays = dict[str, NDArray[Any]]


class OnnxRuntime:
    """An exported file in onnxruntime, on one thread of the CPU.

    Args:
        network: what the file was made of.
        apart: run it in a process of its own, as what may hold anything.
    Raises:
        DataError: the file is damaged.
    """

    def __init__(self, network: Deployed, path: Path, *, apart: bool) -> None:
        self._network, self._path, self._apart = network, path, apart
        graph = network.graph
        quanta = {at.name: at.leaving.quantum for at in graph.named if at.layer.spikes}
        self._whole = self._opened(quanta)
        self._lean = self._opened({}) if quanta else self._whole

    @property
    def name(self) -> str:
        """What it is."""
        return f"onnxruntime {onnxruntime.__version__}, 1 thread of the CPU"

    def __call__(self, images: Images) -> Sent:
        """Scores and spikes.

        Raises:
            DataError: the file does not answer as an export of this network does.
        """
        found = self._answer(self._whole, images)
        graph, scores = self._network.graph, found.pop("scores")
        if scores.shape != (len(images), graph.classes) or scores.dtype != np.float32:
            raise self._damaged(f"its scores are an array {scores.shape} of {scores.dtype}")
        if not np.isfinite(scores).all():
            raise self._damaged("its scores are no numbers")
        for at in graph.named:
            if at.layer.spikes and found[at.name].shape != (graph.steps, len(images), *at.output):
                raise self._damaged(f"layer {at.name} sends an array {found[at.name].shape}")
        return Sent(scores, found)

    def alone(self, images: Images) -> Arrays:
        """The answer of the file as it stands: what a user's program waits for."""
        return self._answer(self._lean, images)

    def times(self) -> dict[str, float]:
        """Milliseconds that it takes to load the file, and to answer many images at once."""
        images = np.zeros((_MANY, *self._network.graph.image_shape), np.uint8)
        loading = _seconds(lambda: self._opened({}), times=1)
        self.alone(images)
        many = _seconds(lambda: self.alone(images), times=_TIMES)
        return {"to load, ms": round(1e3 * loading, 1), f"{_MANY} images, ms": round(1e3 * many, 2)}

    def _opened(self, quanta: dict[str, float]) -> OnnxSession | Apart:
        try:
            if self._apart:
                return Apart(self._network, self._path, quanta)
            return OnnxSession(self._path, quanta, self._network.graph.steps)
        except SessionError as error:
            raise self._damaged(error) from None

    def _answer(self, runs: OnnxSession | Apart, images: Images) -> Arrays:
        try:
            return runs.run(images)
        except SessionError as error:
            raise self._damaged(error) from None

    def _damaged(self, why: object) -> DataError:
        return DataError(f"{self._path} is damaged, or is no export of this network: {why}. Export the run again.")


def _seconds(work: Callable[[], object], *, times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))
