"""Damaged files of exports, and the check that is repeated on them."""

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.fuzz.kinds.runs import damaged_json, damaged_npz, damaged_weights
from benchmarks.fuzz.mutate import Rng, damaged
from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Rate
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.interop import CheckImages, Deployed, Wish, export_network, verify_bundle
from spikewise.interop.check import Source
from spikewise.interop.onnx import running
from spikewise.interop.onnx.session import OnnxSession
from spikewise.network import Network
from spikewise.readouts import MeanMembrane

TOGETHER: Final = 2000
"""Cases that may follow each other in one process."""
_FORMATS = ("onnx", "snntorch")
_CLASSES = ("a", "b", "c")


class Damage(NamedTuple):
    """What was done to a file of a sound export."""

    name: str
    folder: str
    file: str
    content: bytes | None
    """None: it is gone."""


@functools.cache
def _sound() -> Path:
    """A small network in each format."""
    place = Path(tempfile.mkdtemp(prefix="spikewise-fuzz-"))
    layers = (Flatten(), Linear(features=7), Neuron(dynamics=LIF(threshold=0.2)), Linear(features=3),
              Neuron(dynamics=LeakyIntegrator()))  # fmt: skip
    graph = Graph(image_shape=(1, 4, 4), encoder=Rate(steps=5), layers=layers, readout=MeanMembrane())
    child = os.fork()  # what has run a network has threads, and cannot be forked any more
    if not child:
        torch.set_num_threads(1)
        rng = np.random.default_rng(0)
        images = CheckImages(rng.integers(0, 256, (6, 1, 4, 4), dtype=np.uint8), np.arange(6) % 3)
        source = Source(run="run", network="snn", seed=0, classes=_CLASSES, data="squares")
        for name in _FORMATS:
            export_network(Network(graph), name, images, source, place / name, wish=Wish(classes=_CLASSES))
        os._exit(0)
    os.waitpid(child, 0)
    return place


def cases(seed: int, count: int) -> Iterator[Damage]:
    place = _sound()
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        name = _FORMATS[number % len(_FORMATS)]
        files = sorted(path.name for path in (place / name).iterdir() if path.suffix != ".html")
        # Half of the cases are of the file that the other tool reads.
        file = (
            files[rng.integers(len(files))] if rng.random() < 0.5 else f"network.{'onnx' if name == 'onnx' else 'py'}"
        )
        yield _damage(rng, name, file, place / name / file)


def cases_of(file: str, folder: str, seed: int, count: int) -> Iterator[Damage]:
    """Of one file alone."""
    path = _sound() / folder / file
    for number in range(count):
        yield _damage(np.random.default_rng([seed, number]), folder, file, path)


def _damage(rng: Rng, folder: str, file: str, path: Path) -> Damage:
    content, own = path.read_bytes(), rng.random() < 0.75
    if rng.random() < 0.03:
        return Damage(f"{folder}/{file} is gone", folder, file, None)
    if own and path.suffix == ".json":
        name, content = damaged_json(content, rng)
    elif own and path.suffix == ".npz":
        name, content = damaged_npz(path, rng)
    elif own and path.suffix == ".safetensors":
        name, content = damaged_weights(content, rng)
    else:
        name, content = damaged(content, rng)
    return Damage(f"{folder}/{file} {name}", folder, file, content)


def run(case: Damage) -> object:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / case.folder
        shutil.copytree(_sound() / case.folder, folder)
        (folder / case.file).unlink()
        if case.content is not None:
            (folder / case.file).write_bytes(case.content)
        return verify_bundle(folder)


def run_within(case: Damage) -> object:
    """Without the process in which onnxruntime reads the file: one that ends it, ends this one."""

    def session(network: Deployed, path: Path, layers: dict[str, float]) -> OnnxSession:
        return OnnxSession(path, layers, network.graph.steps)

    with patch.object(running, "Apart", session):
        return run(case)
