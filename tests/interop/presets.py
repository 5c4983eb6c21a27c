"""The networks of each preset, with random weights by which every layer spikes."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from spikewise.data import CATALOG, load_data, split
from spikewise.experiments import Experiment, preset_names, resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.standard import standard_of
from spikewise.network import Network
from spikewise.training.balance import balance
from spikewise.types import Draw

PRESETS = preset_names()
_STAND_IN = {"emnist-digits": "mnist"}
"""Sets of the same shape and classes, for those that need an account."""

_FINGERS = tuple(f"{hand} {finger}" for hand in ("left", "right") for finger in range(1, 6))


def drawn_set(experiment: Experiment, count: int) -> SimpleNamespace:
    """Blurred random images of the shape that a preset's images have, and the names of its classes."""
    known = CATALOG[experiment.data.source]
    size = experiment.data.size if isinstance(experiment.data.size, tuple) else known.size or (28, 28)
    shape = (1, *size)  # every preset is trained on grey images
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (count, *shape)).astype(float)
    pixels = (pixels + np.roll(pixels, 1, -1) + np.roll(pixels, 1, -2)) / 3
    return SimpleNamespace(image_shape=shape, classes=known.classes or _FINGERS, images=pixels.astype(np.uint8))


def networks_of(name: str, images: SimpleNamespace) -> Iterator[tuple[str, Network]]:
    """Each side of a preset, by its name."""
    experiment = resolve(preset=name)
    if experiment.standardise:
        measured = standard_of(images.images, np.arange(len(images.images)))
        experiment = experiment.replace(standardise=measured)
    for side in candidates_of(experiment, images):
        network = Network(side.graph, seed=2)
        pixels = torch.from_numpy(np.ascontiguousarray(images.images[:32]))
        balance(network, pixels, Draw.first(len(pixels)))
        yield side.name, network.eval()


def real_set(name: str, folder: Path, count: int) -> tuple[SimpleNamespace, np.ndarray]:
    """What a preset trains on, and as many of its test images as it has, up to a count."""
    config = resolve(preset=name)
    images = load_data(
        config.data.replace(source=_STAND_IN.get(config.data.source, config.data.source)), data_dir=folder
    )
    parts = split(images, config.split)
    test = parts.test[np.linspace(0, len(parts.test) - 1, min(count, len(parts.test))).astype(int)]
    few = np.random.default_rng(0).choice(parts.train, 32, replace=False)
    kept = SimpleNamespace(image_shape=images.image_shape, classes=images.classes, images=images.images[np.sort(few)])
    return kept, np.ascontiguousarray(images.images[test])
