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
from spikewise.training.memory import MemoryTooSmallError
from spikewise.training.shards import cut
from spikewise.training.trees import tree_sum
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


def trained(make_network, make_task, processes: int, model=None, encoder=None, engine_name="auto", **settings):
    """Weights and figures of two passes, made by so many processes; all of them have the same."""
    rows, barrier = [None] * processes, threading.Barrier(processes, timeout=30)

    def one(rank: int):
        network = make_network(model, encoder, seed=1, engine_name=engine_name)
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


NORMALISED = {
    "model": Conv(channels=(3, 2), kernels=(3, 3), pool=1, hidden=(6,), batch_norm=True),
    "encoder": Direct(steps=2),
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        NORMALISED,
        {**NORMALISED, "engine_name": "reference"},
        {"model": MLP(hidden=(9,), dropout=0.3), "encoder": Rate(steps=3), "class_weights": True},
        {"augment": AugmentConfig(shift=1, mixup=0.4), "gradient_clip": 0.1, "optimizer": {"kind": "sgd"}},
    ],
    ids=[
        "plain",
        "batch normalisation",
        "batch normalisation, reference",
        "dropout and rate code",
        "blended and clipped",
    ],
)
def test_any_number_of_processes_gives_the_same_bytes(make_network, make_task, settings):
    # 32 images in batches of 12: the last has 8, and shards are of one image and of two.
    alone = trained(make_network, make_task, 1, shards=8, batch_size=12, **settings)
    for processes in (2, 4):
        shared = trained(make_network, make_task, processes, shards=8, batch_size=12, **settings)
        assert shared[1] == alone[1]
        assert_same(shared[0], alone[0])


@pytest.mark.parametrize("settings", [{}, NORMALISED], ids=["plain", "batch normalisation"])
def test_processes_without_an_image_take_part(make_network, make_task, settings):
    # The last batch has 2 images for 8 shards: most processes have none.
    alone = trained(make_network, make_task, 1, shards=8, batch_size=30, **settings)
    assert_same(trained(make_network, make_task, 4, shards=8, batch_size=30, **settings)[0], alone[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_sums_of_shards_are_the_gradients_of_the_batch(make_network, make_task, weighted):
    """To the rounding of sums in another order: weights after an epoch, loss, cross-entropy and right answers."""
    settings = {"class_weights": weighted, "batch_size": 10, "optimizer": {"kind": "sgd"}, "learning_rate": 0.01}
    whole, figures = trained(make_network, make_task, 1, **settings)
    sharded, sums = trained(make_network, make_task, 1, shards=4, **settings)
    for name, value in whole.items():
        torch.testing.assert_close(sharded[name], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.array(sums), np.array(figures), rtol=1e-4)


@pytest.mark.parametrize("engine_name", ["native", "reference"])
def test_batch_normalisation_goes_by_the_whole_batch(make_network, make_task, engine_name):
    """Gradients of all weights, and the running statistics, are those of one process with the whole batch."""
    found = []
    for shards in (1, 4):
        network = make_network(**NORMALISED, seed=1, engine_name=engine_name).train()
        for name, weight in network.named_parameters():
            if name.endswith("norm1.bias"):
                weight.data += 3.0  # far from zero, where squares less the square of the mean would cancel
        learner = Learner(network, make_task(shards=shards, batch_size=32))
        updates = HostEpochs(learner)._updates
        assert updates.figures(learner.task.split.train, 1).sound
        if shards == 1:
            torch.autograd.backward(updates._loss)
        found.append({name: one.grad for name, one in network.named_parameters()} | dict(network.named_buffers()))
    whole, sharded = found
    assert any("running_var" in name for name in whole)
    for name, value in whole.items():
        torch.testing.assert_close(sharded[name], value, rtol=2e-4, atol=2e-6, msg=name)


def test_shards_of_few_values_are_normalised_by_the_batch(make_network, make_task):
    """A shard of one image and one step has one value of each channel: no spread of its own."""
    settings = {**NORMALISED, "encoder": Direct(steps=1), "batch_size": 8, "learning_rate": 0.01}
    settings["model"] = Conv(channels=(3,), kernels=(6,), pool=1, padding=0, batch_norm=True)
    whole = trained(make_network, make_task, 1, **settings)
    sharded = trained(make_network, make_task, 2, shards=8, **settings)
    np.testing.assert_allclose(np.array(sharded[1]), np.array(whole[1]), rtol=1e-3)


def test_an_error_in_one_shard_ends_all(make_network, make_task, monkeypatch):
    """Nobody waits for the sums of a shard that has failed."""
    learner = Learner(make_network(**NORMALISED, seed=1).train(), make_task(shards=4, batch_size=32))
    answer = learner.answer

    def fail(batch, exchange):
        if 31 in batch.draw.index:
            raise MemoryTooSmallError("no room")
        return answer(batch, exchange)

    monkeypatch.setattr(learner, "answer", fail)
    with pytest.raises(MemoryTooSmallError, match="no room"):
        HostEpochs(learner)._updates.figures(learner.task.split.train, 1)


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
