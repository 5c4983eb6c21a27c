"""A training that a test and the processes it starts make alike: `python shared_script.py FOLDER` is one of them."""

import atexit
import sys
from pathlib import Path

import numpy as np
import torch

from spikewise.data import AugmentConfig, ImageSet, Split
from spikewise.encoders import Rate
from spikewise.losses import CrossEntropy
from spikewise.models import Conv, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.training import Task, TrainConfig, fit
from spikewise.training.group import joined
from spikewise.training.shared_epochs import follow

CLASSES, SIDE = 3, 6


def images() -> ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % CLASSES
    pixels = rng.integers(0, 60, (60, 1, SIDE, SIDE), dtype=np.uint8)
    pixels[np.arange(60), 0, :, labels] = 230
    return ImageSet("columns", pixels, labels, ("a", "b", "c"), np.full(60, -1, np.int8), "columns")


def train(folder: Path) -> None:
    torch.set_num_threads(1)
    found, at = images(), np.arange(60)
    model = Conv(channels=(2,), kernels=(3,), hidden=(1000,), batch_norm=True)  # rows long enough for memory in common
    graph = build(model, Rate(steps=2), MeanMembrane(), image_shape=found.image_shape, classes=CLASSES)
    rules = TrainConfig(epochs=3, batch_size=14, shards=4, ema=0.5)
    task = Task(found, Split(at[:45], at[45:], at[:0]), CrossEntropy(), rules, AugmentConfig(shift=1), seed=3)
    fit(Network(graph, seed=3), task, folder)


def say_threads() -> None:
    """What is still at work when the interpreter begins to end."""
    tasks = Path("/proc/self/task")
    if tasks.exists():
        print(*sorted((task / "comm").read_text().strip() for task in tasks.iterdir()))


def main() -> None:
    atexit.register(say_threads)  # the last of all that is called
    torch.set_num_threads(1)
    with joined() as group:
        if group is not None and group.rank:
            follow(group, images)
        else:
            train(Path(sys.argv[1]))
        if group is not None:
            print("in common" if group._common is not None else "by connection")


if __name__ == "__main__":
    main()
