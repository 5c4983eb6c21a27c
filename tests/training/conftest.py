import numpy as np
import pytest
import torch

from spikewise.data import AugmentConfig, ImageSet, Split
from spikewise.encoders import Direct
from spikewise.losses import CrossEntropy
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.training import Task, TrainConfig


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def image_set(count: int = 48, classes: int = 3, side: int = 6) -> ImageSet:
    """Each class has its own bright column: trivially separable, with a little noise."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % classes
    images = rng.integers(0, 60, (count, 1, side, side), dtype=np.uint8)
    images[np.arange(count), 0, :, labels] = 230
    names = tuple(f"class {k}" for k in range(classes))
    return ImageSet("columns", images, labels, names, np.full(count, -1, np.int8), "columns")


@pytest.fixture
def columns() -> ImageSet:
    return image_set()


@pytest.fixture
def make_task(columns):
    """A task whose settings are those of TrainConfig, `augment`, `loss` and `noise` apart."""

    def make(images: ImageSet = columns, *, seed: int = 0, loss=None, augment=None, noise=None, **train) -> Task:
        cut = len(images) // 3
        everything = np.arange(len(images))
        split = Split(everything[:-cut], everything[-cut:], everything[:0])
        settings = {"epochs": 3, "batch_size": 8, "initial": "drawn", **train}
        rules = TrainConfig(**settings), augment or AugmentConfig()
        return Task(images, split, loss or CrossEntropy(), *rules, seed, noise=noise)

    return make


@pytest.fixture
def make_network(columns):
    def make(model=None, encoder=None, *, seed: int = 0, engine_name="auto") -> Network:
        model, encoder = model or MLP(hidden=(12,)), encoder or Direct(steps=4)
        graph = build(model, encoder, MeanMembrane(), image_shape=columns.image_shape, classes=len(columns.classes))
        return Network(graph, seed=seed, engine_name=engine_name)

    return make
