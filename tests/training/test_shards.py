"""However many processes share a training, each has the bytes of one alone; the sums of shards are those of a batch."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from spikewise.data import AugmentConfig
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError
from spikewise.losses import RatePenalty
from spikewise.models import MLP, Conv
from spikewise.training.config import TrainConfig
from spikewise.training.epochs import HostEpochs
from spikewise.training.shards import cut, tree_sum
from spikewise.training.update import Learner


class Threads:
    """A group whose processes are threads."""

    def __init__(self, rank: int, rows: list, barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(rows)
        self._rows, self._barrier = rows, barrier

    def gather(self, row: torch.Tensor) -> torch.Tensor:
        self._rows[self.rank] = row.clone()
        self._barrier.wait()
        table = torch.stack(self._rows)
        self._barrier.wait()
        return table


def trained(make_network, make_task, processes: int, model=None, encoder=None, **settings):
    """Weights and figures of two passes, made by so many processes; all of them have the same."""
    rows, barrier = [None] * processes, threading.Barrier(processes, timeout=30)

    def one(rank: int):
        network = make_network(model, encoder, seed=1)
        learner = Learner(network, make_task(seed=1, **settings))
        passes = HostEpochs(learner, Threads(rank, rows, barrier) if processes > 1 else None)
        figures = []
        for epoch in (1, 2):
            passes.launch(epoch)
            figures.append(passes.collect(lambda done, loss: None))
        return {name: value.detach().clone() for name, value in network.weights.items()}, figures

    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(one, range(processes)))
    for weights, figures in found[1:]:
        assert figures == found[0][1]
        assert_same(weights, found[0][0])
    return found[0]


def assert_same(weights, others):
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        assert torch.equal(value, others[name]), name


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model": Conv(channels=(3,), kernels=(3,), hidden=(6,), batch_norm=True), "encoder": Direct(steps=2)},
        {"model": MLP(hidden=(9,), dropout=0.3), "encoder": Rate(steps=3), "class_weights": True},
        {"augment": AugmentConfig(shift=1, mixup=0.4), "gradient_clip": 0.1, "optimizer": {"kind": "sgd"}},
    ],
    ids=["plain", "batch normalisation", "dropout and rate code", "blended and clipped"],
)
def test_any_number_of_processes_gives_the_same_bytes(make_network, make_task, settings):
    # 32 images in batches of 12: the last has 8, and shards are of one image and of two.
    alone = trained(make_network, make_task, 1, shards=8, batch_size=12, **settings)
    for processes in (2, 4):
        shared = trained(make_network, make_task, processes, shards=8, batch_size=12, **settings)
        assert shared[1] == alone[1]
        assert_same(shared[0], alone[0])


def test_processes_without_an_image_take_part(make_network, make_task):
    # The last batch has 2 images for 8 shards: most processes have none.
    alone = trained(make_network, make_task, 1, shards=8, batch_size=30)
    assert_same(trained(make_network, make_task, 4, shards=8, batch_size=30)[0], alone[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_sums_of_shards_are_the_gradients_of_the_batch(make_network, make_task, weighted):
    """To the rounding of sums in another order: weights after an epoch, loss, cross-entropy and right answers."""
    settings = {"class_weights": weighted, "batch_size": 10, "optimizer": {"kind": "sgd"}, "learning_rate": 0.01}
    whole, figures = trained(make_network, make_task, 1, **settings)
    sharded, sums = trained(make_network, make_task, 1, shards=4, **settings)
    for name, value in whole.items():
        torch.testing.assert_close(sharded[name], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.array(sums), np.array(figures), rtol=1e-4)


def test_running_statistics_are_the_mean_of_those_of_the_shards(make_network, make_task):
    """One batch without learning: mean and variance of each shard's currents, weighed by its images."""
    model = Conv(channels=(3,), kernels=(3,), batch_norm=True)
    settings = {"batch_size": 32, "learning_rate": 1e-30, "optimizer": {"kind": "sgd"}}
    learner = Learner(make_network(model, Direct(steps=2), seed=1), make_task(shards=2, **settings))
    each = []
    for part in cut(32, 2):
        lone = make_network(model, Direct(steps=2), seed=1).train()
        batch = learner.task.batch(learner.task.split.train[part], 1, torch.device("cpu"))
        lone(batch.images, batch.draw)
        each.append({name: value for name, value in lone.weights.items() if "running_" in name})
    passes = HostEpochs(Learner(make_network(model, Direct(steps=2), seed=1), make_task(shards=2, **settings)))
    updates, network = passes._updates, passes._learner.network.train()
    updates.figures(learner.task.split.train, 1)
    assert each[0]
    for name, first in each[0].items():
        torch.testing.assert_close(network.weights[name], (first + each[1][name]) / 2)


def test_a_sum_in_pairs_does_not_depend_on_who_adds():
    rows = torch.randn(16, 100, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 6, 16)[:, None]
    whole = tree_sum(rows.clone().unbind(0))
    for processes in (2, 4, 8, 16):
        parts = [tree_sum(part.unbind(0)) for part in rows.clone().chunk(processes)]
        assert torch.equal(tree_sum(parts), whole)
    assert not torch.equal(rows.sum(0), whole)  # what the order of a plain sum does


@pytest.mark.parametrize(("count", "shards"), [(128, 8), (10, 4), (3, 8)])
def test_shards_are_the_batch_in_order(count, shards):
    parts = cut(count, shards)
    assert [at for part in parts for at in range(count)[part]] == list(range(count))
    assert max(len(range(count)[part]) for part in parts) - min(len(range(count)[part]) for part in parts) <= 1


def test_a_number_of_shards_is_a_power_of_two():
    with pytest.raises(ConfigError, match="power of two"):
        TrainConfig(shards=6)


@pytest.mark.parametrize(("processes", "words"), [(3, "1, 2, 4, 8 can"), (16, "train.shards=16")])
def test_processes_that_cannot_share_the_shards_are_told_what_can(make_network, make_task, processes, words):
    group = Threads(0, [None] * processes, threading.Barrier(1))
    with pytest.raises(ConfigError, match=words):
        HostEpochs(Learner(make_network(), make_task(shards=8)), group)


def test_a_penalty_of_rates_goes_by_the_shard(make_network, make_task):
    """Of the mean, a penalty of the mean rate is the mean of those of the shards."""

    def loss(shards: int) -> float:
        task = dataclasses.replace(
            make_task(shards=shards, batch_size=32), penalty=RatePenalty(kind="l1", strength=3.0)
        )
        passes = HostEpochs(Learner(make_network(seed=1), task))
        return passes._updates.figures(task.split.train, 1).loss

    assert loss(4) == pytest.approx(loss(1), rel=1e-5)
