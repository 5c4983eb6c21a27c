"""An exported file in onnxruntime: in this process, or as a program of its own that reads images and writes answers.

As a program it imports nothing of the package: `python session.py FILE LAYERS STEPS BYTES`. A file from elsewhere may
hold anything, and what it does to the library that reads it then ends with that process.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

__all__ = ["OnnxSession", "SessionError", "main", "receive", "send"]

Arrays = dict[str, NDArray[Any]]
_MOST_SPIKES: Final = 2**15 - 1


class SessionError(Exception):
    """The file is damaged, or does not answer as an export does."""


class OnnxSession:
    """A file, ready to answer; spikes of the named layers come back beside the scores.

    Args:
        layers: worth of one spike of each layer whose spikes are asked for, by name; none runs the file as it stands.
        steps: T.
    Raises:
        SessionError: the file is damaged, or lacks a layer.
    """

    def __init__(self, path: Path, layers: Mapping[str, float], steps: int) -> None:
        self._layers, self._steps = layers, steps
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        try:
            content = _with_outputs(path.read_bytes(), layers) if layers else str(path)
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
        except Exception as error:  # of whatever class the library has for it
            raise SessionError(_first_line(error)) from None

    def run(self, images: NDArray[np.uint8]) -> Arrays:
        """Scores [B, K] as "scores", and spikes [T, B, *F] as int16 by layer.

        Raises:
            SessionError: it cannot be run on these images.
        """
        names = ["scores", *self._layers]
        try:
            found = dict(zip(names, self._session.run(names, {self._input: images}), strict=True))
        except Exception as error:  # as above
            raise SessionError(_first_line(error)) from None
        return {
            "scores": found["scores"],
            **{name: self._spikes(name, found[name], worth) for name, worth in self._layers.items()},
        }

    def _spikes(self, name: str, sent: NDArray[Any], worth: float) -> NDArray[np.int16]:
        if sent.ndim < 1 or len(sent) % self._steps:
            raise SessionError(f"layer {name} gives {sent.shape}, which is not {self._steps} steps")
        counts = np.nan_to_num(np.rint(sent / worth), nan=-_MOST_SPIKES).clip(-_MOST_SPIKES, _MOST_SPIKES)
        return counts.astype(np.int16).reshape(self._steps, len(sent) // self._steps, *sent.shape[1:])


def _with_outputs(content: bytes, layers: Mapping[str, float]) -> bytes:
    """The same model with what the layers send as further outputs."""
    model = onnx.load_model_from_string(content)
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in layers)
    return bytes(model.SerializeToString())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def send(stream: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name: a line that says what they are, and their bytes."""
    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    line = {name: [array.dtype.str, list(array.shape)] for name, array in held.items()}
    stream.write(json.dumps(line).encode() + b"\n")
    for array in held.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> Arrays | str | None:
    """What `send` wrote: arrays, or a sentence; None at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    said = json.loads(line)
    if isinstance(said, str):
        return said
    arrays = {}
    for name, (kind, shape) in said.items():
        content = stream.read(int(np.prod(shape)) * np.dtype(kind).itemsize)
        arrays[name] = np.frombuffer(content, kind).reshape(shape)
    return arrays


def main(path: str, layers: str, steps: str, memory: str) -> None:
    """Answer what is asked on standard input, until it ends.

    Args:
        memory: bytes beyond those of the start that may be taken.
    """
    _limit(int(memory))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the library may print; answers alone go where they are read
    try:
        session = OnnxSession(Path(path), json.loads(layers), int(steps))
        send(out, {})
        while isinstance(asked := receive(sys.stdin.buffer), dict):
            send(out, session.run(asked["images"]))
    except (SessionError, MemoryError) as error:
        out.write(json.dumps(str(error) or "it takes more memory than its network could").encode() + b"\n")


def _limit(more: int) -> None:
    try:
        import resource  # noqa: PLC0415  # Windows has none
    except ImportError:
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(*sys.argv[1:])
