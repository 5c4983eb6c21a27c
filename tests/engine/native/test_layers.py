"""Dropout, batch normalisation and recorded layers in the native engine, and what it leaves to the reference."""

import pytest
import torch
from cases import check, images, network, outputs

from spikewise.dynamics import ALIF, LIF, LeakyIntegrator
from spikewise.encoders import Direct
from spikewise.engine import Ask, RunOptions, choose, native
from spikewise.errors import EngineError
from spikewise.graph import Activation, AvgPool, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool, Neuron
from spikewise.types import Draw

pytestmark = pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")
SHAPE = (1, 7, 9)


def dense(drop, **neuron):
    layers = (Flatten(), Linear(features=130), Neuron(dynamics=ALIF(), **neuron), Dropout(p=drop), Linear(features=5))
    return network(*layers, Neuron(dynamics=LIF()), scale=3.0)


def maps(drop, pool):
    return network(
        Conv2d(channels=6, kernel=3), Neuron(dynamics=LIF()), Dropout(p=drop), pool, Conv2d(channels=20, kernel=2),
        Neuron(dynamics=LIF(reset_delay=True)), Dropout(p=drop), Flatten(), Linear(features=4),
        Neuron(dynamics=LeakyIntegrator()), scale=3.0,
    )  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("drop", [0.5, 0.75])  # 1 / (1 - p) is a power of two, so that sums stay exact
def test_dropout_is_the_references(drop, training):
    for net in (dense(drop), dense(drop, recurrent=True), maps(drop, MaxPool()), maps(drop, AvgPool())):
        check(net.train(training), images(5, SHAPE))


def test_dropout_silences_in_training_alone():
    net = dense(0.5)
    net.engine_name = "native"
    batch, draw = images(4, SHAPE), Draw.first(4)
    with torch.no_grad():
        trained, evaluated = (net.train(mode)(batch, draw).trajectory.membrane for mode in (True, False))
    assert not torch.equal(trained, evaluated)


@pytest.mark.parametrize("bias", [True, False])
def test_batch_normalisation_is_folded_in_evaluation(bias):
    net = network(
        Conv2d(channels=6, kernel=3, bias=bias), BatchNorm(), MaxPool(), Neuron(dynamics=LIF()), Flatten(),
        Linear(features=40, bias=bias), BatchNorm(), Neuron(dynamics=LIF()), Linear(features=3), scale=2.0,
    ).eval()  # fmt: skip
    g = torch.Generator().manual_seed(3)
    for name, value in net.state_dict().items():
        if name.startswith("batch_norm"):  # with these, scales are powers of two and the folded weights on the grid
            variance = 4.0 ** torch.randint(-1, 2, value.shape, generator=g) - 1e-5
            shift = torch.randint(-64, 64, value.shape, generator=g) / 64
            value.copy_(variance if name.endswith("var") else shift.abs().ceil() + 1 if name.endswith("t") else shift)
    found, wanted = (outputs(net, images(6, SHAPE), engine, measure=True) for engine in ("native", "reference"))
    for name, rate in wanted[0].result.rates.items():
        assert (found[0].result.rates[name] - rate).abs().max() < 0.02, name  # folding rounds: a rare spike may differ
    torch.testing.assert_close(found[0].trajectory.membrane, wanted[0].trajectory.membrane, rtol=0.02, atol=0.05)
    assert found[1].keys() == wanted[1].keys()


def test_a_conventional_network_is_left_to_the_reference():
    graph = network(Flatten(), Linear(features=9), Activation(), Linear(features=3)).graph
    with pytest.raises(EngineError, match="activation1"):
        choose("native", Ask(graph, "cpu"))


@pytest.mark.parametrize("which", range(4))
def test_gradients_of_recorded_layers_are_the_references(which):
    net = [
        dense(0.5),
        dense(0.5, recurrent=True),
        maps(0.5, MaxPool()),
        network(Conv2d(channels=5, kernel=2), Neuron(dynamics=LeakyIntegrator()), Conv2d(channels=5, kernel=2),
                Neuron(dynamics=LIF()), Flatten(), Linear(features=3), encoder=Direct(steps=5), scale=3.0),
    ][which]  # fmt: skip
    record = frozenset(at.name for at in net.graph.named if isinstance(at.layer, Neuron))
    out = check(net, images(4, SHAPE), record=record)
    assert out.result.traces.keys() == record
    assert choose("auto", Ask(net.graph, "cpu", options=RunOptions(training=True, record=record))).name == "native"


def test_gradients_from_a_state_are_left_to_the_reference():
    net = dense(0.0)
    batch, draw = images(2, SHAPE), Draw.first(2)
    state = net(batch, draw).result.state
    net.engine_name = "native"
    with pytest.raises(EngineError, match="starts from a state"):
        net(batch, draw, RunOptions(state=state))


def test_a_bare_linear_layer_on_a_constant_current():
    check(network(Flatten(), Linear(features=3), encoder=Direct(steps=5)), images(3, SHAPE))


def test_neurons_behind_neurons():
    net = network(Flatten(), Linear(features=130), Neuron(dynamics=LIF()), Neuron(dynamics=LIF(threshold=1.5)),
                  Linear(features=3), scale=4.0)  # fmt: skip
    check(net, images(4, SHAPE))


def test_a_flatten_layer_recorded_alone_shows_what_it_sends():
    """It is no stage of its own: the neurons or the dropout around it would join that of the layer it reads."""
    currents = (Conv2d(channels=6, kernel=3), Flatten(), Neuron(dynamics=LIF()))
    silenced = (Conv2d(channels=6, kernel=3), Neuron(dynamics=LIF()), Dropout(p=0.5), Flatten())
    record = frozenset({"flatten1"})
    for layers in (currents, silenced):
        net, batch = network(*layers, Linear(features=3), scale=3.0), images(4, SHAPE)
        wanted = outputs(net, batch, "reference", record=record)[0].result.traces["flatten1"]
        assert torch.equal(check(net, batch, record=record).result.traces["flatten1"].output, wanted.output)


@pytest.mark.parametrize("pool", [MaxPool(), AvgPool()])
def test_a_pool_behind_dropout_recorded_alone_shows_what_it_sends(pool):
    """Not what the weights behind it make up for."""
    net, batch, name = maps(0.5, pool), images(4, SHAPE), f"{pool.kind}1"
    record = frozenset({name})
    wanted = outputs(net, batch, "reference", record=record)[0].result.traces[name]
    assert torch.equal(check(net, batch, record=record).result.traces[name].output, wanted.output)
