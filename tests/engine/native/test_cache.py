"""Weights that were packed for an earlier call are never used for other weights."""

import threading

import pytest
import torch
from cases import images, network

from spikewise.dynamics import ALIF, LIF
from spikewise.engine import native
from spikewise.errors import ConfigError, EngineError
from spikewise.graph import Conv2d, Flatten, Linear, MaxPool, Neuron
from spikewise.network import Network
from spikewise.types import Draw

pytestmark = pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")
SHAPE = (1, 9, 11)


def make(seed=0):
    hidden = Neuron(dynamics=ALIF(), recurrent=True)
    return network(
        Conv2d(channels=6, kernel=3), MaxPool(), Neuron(dynamics=LIF()), Flatten(), Linear(features=70), hidden,
        Linear(features=3), image_shape=SHAPE, seed=seed, scale=3.0,
    )  # fmt: skip


def answer(net, engine="native"):
    net.engine_name = engine
    with torch.no_grad():
        return net.eval()(images(6, SHAPE), Draw.first(6)).trajectory.membrane


def agrees(net):
    return torch.equal(answer(net), answer(net, "reference"))


def matrices(net):
    return [name for name, p in net.named_parameters() if p.ndim > 1]


@pytest.mark.parametrize("name", matrices(make()))
def test_a_change_of_any_kind_is_seen(name):
    net = make()
    before, weight = answer(net), net.get_parameter(name)
    g = torch.Generator().manual_seed(0)
    for position in torch.randint(0, weight.numel(), (6,), generator=g).tolist():
        weight.data.view(-1)[position] += 8.0  # seen by no version counter
        assert agrees(net)
    assert not torch.equal(answer(net), before)
    weight.data[[0, 1]] = weight.data[[1, 0]]
    assert agrees(net)
    weight.data = weight.data.flip(0).contiguous()
    assert agrees(net)
    with torch.no_grad():
        weight.mul_(0.5)
    assert agrees(net)
    net.load_state_dict(make(seed=1).state_dict())
    assert agrees(net)


def test_an_optimizer_that_writes_in_place_is_seen():
    net = make()
    optimizer = torch.optim.SGD(net.parameters(), lr=2.0**-4)
    for _ in range(3):
        answer(net)
        net.train()(images(6, SHAPE), Draw.first(6)).logits.sum().backward()
        optimizer.step()
        fresh = Network(net.graph, engine_name="native")
        fresh.load_state_dict(net.state_dict())
        for p in net.parameters():
            p.grad = None
        assert torch.equal(answer(net), answer(fresh))
        torch.testing.assert_close(answer(net), answer(net, "reference"), rtol=1e-3, atol=1e-3)


def test_networks_of_one_graph_keep_their_own_weights():
    nets = [make(seed) for seed in range(4)]  # more than are kept
    wanted = [answer(net, "reference") for net in nets]
    for _ in range(3):
        for net, one in zip(nets, wanted, strict=True):
            assert torch.equal(answer(net), one)


def test_networks_of_one_graph_in_threads_of_their_own():
    nets = [make(seed) for seed in range(3)]
    wanted, failures = [answer(net, "reference") for net in nets], []

    def repeat(position):
        for _ in range(10):
            if not torch.equal(answer(nets[position]), wanted[position]):
                failures.append(position)

    running = [threading.Thread(target=repeat, args=(i,)) for i in range(3)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert not failures


@pytest.mark.parametrize("name", matrices(make()))
def test_a_weight_that_stops_being_finite_is_an_error(name):
    net = make()
    answer(net)
    net.get_parameter(name).data.view(-1)[1] = float("nan")
    with pytest.raises(EngineError, match="not finite"):
        answer(net)


@pytest.mark.parametrize("batch", [1, 6])
def test_a_frozen_network_answers_as_it_was(batch):
    net = make()
    given = images(6, SHAPE)[:batch], Draw.first(batch)
    before = answer(net)
    fixed = net.frozen()
    for _ in range(2):
        assert torch.equal(fixed(*given).trajectory.membrane, before[:, :batch])
        with torch.no_grad():
            net.get_parameter("linear1.weight").mul_(-1.0)
    net.get_parameter("linear1.weight").data.add_(1.0)
    other = net.frozen()
    assert torch.equal(fixed(*given).trajectory.membrane, before[:, :batch])
    assert torch.equal(other(*given).trajectory.membrane, answer(net)[:, :batch])
    assert not torch.equal(answer(net), before)
    assert torch.equal(fixed(*given).trajectory.membrane, before[:, :batch])


def test_a_frozen_network_cannot_be_trained_saved_or_moved():
    fixed = make().frozen()
    assert not fixed(images(2, SHAPE), Draw.first(2)).logits.requires_grad
    assert not fixed.eval().training
    with pytest.raises(ConfigError, match="cannot be trained"):
        fixed.train()
    with pytest.raises(ConfigError, match="cannot be saved"):
        fixed.state_dict()
    with pytest.raises(ConfigError, match="cannot be moved"):
        fixed.double()
