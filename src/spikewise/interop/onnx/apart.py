"""A session in a process of its own, which a damaged file cannot take this one along with."""

import json
import math
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from spikewise.evaluation.prediction import fitting_batch
from spikewise.interop.deployed import Deployed
from spikewise.interop.onnx import session
from spikewise.interop.onnx.session import SessionError, receive, send

__all__ = ["Apart"]

_SPARE_BYTES: Final = 512 * 2**20
"""What onnxruntime takes beside a network's own values."""
_COPIES: Final = 8
"""Of a network's values and weights that may be alive at once; they are two or three."""
_SECONDS: Final = 300.0
"""After which an answer is waited for no longer."""


class Apart:
    """As `OnnxSession`, with bounds on memory and time.

    Args:
        layers: worth of one spike of each layer whose spikes are asked for, by name.
    Raises:
        SessionError: the file is damaged.
    """

    def __init__(self, network: Deployed, path: Path, layers: Mapping[str, float]) -> None:
        command = [sys.executable, "-P", session.__file__, str(path), json.dumps(layers), str(network.graph.steps)]
        self._process = subprocess.Popen(
            [*command, str(_memory(network))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.close = weakref.finalize(self, _end, self._process)
        self._answer()

    def run(self, images: UInt8[np.ndarray, "B C H W"]) -> dict[str, NDArray[Any]]:
        """Scores [B, K] as "scores", and spikes [T, B, *F] as int16 by layer.

        Raises:
            SessionError: it cannot be run on these images.
        """
        assert self._process.stdin is not None
        try:
            send(self._process.stdin, {"images": images})
        except OSError:
            raise SessionError("the program that ran it has ended") from None
        return self._answer()

    def _answer(self) -> dict[str, NDArray[Any]]:
        assert self._process.stdout is not None
        clock = threading.Timer(_SECONDS, self._process.kill)
        clock.start()
        try:
            said = receive(self._process.stdout)
        finally:
            clock.cancel()
        if isinstance(said, dict):
            return said
        self.close()
        raise SessionError(said or "it ended the program that ran it")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _memory(network: Deployed) -> int:
    """Bytes that a session of this network may take: several times what it needs."""
    graph = network.graph
    weights = sum(value.numel() for value in network.weights.values()) + graph.steps * math.prod(graph.image_shape)
    values = graph.steps * sum(math.prod(at.output) for at in graph.named)
    return _SPARE_BYTES + 4 * _COPIES * (weights + values * fitting_batch(graph, record=graph.spiking_layers))
