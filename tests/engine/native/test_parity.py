"""The native engine gives the reference's spikes bit for bit, and its gradients."""

from typing import get_args

import pytest
from cases import NEURONS, check, images, network

from spikewise.dynamics import IF, LIF, Dynamics, LeakyIntegrator, RegisteredNeuron
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.engine import native
from spikewise.engine.contract import Ask
from spikewise.graph import AvgPool, Conv2d, Flatten, Linear, MaxPool, Neuron

pytestmark = pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")


def test_every_neuron_that_the_engine_runs_is_held_against_the_reference():
    held = {type(neuron) for neuron in NEURONS}
    for kind in set(get_args(get_args(Dynamics)[0])) - {RegisteredNeuron}:
        graph = network(Flatten(), Linear(features=3), Neuron(dynamics=kind()), Linear(features=2)).graph
        assert (native.refusal(Ask(graph)) is None) == (kind in held), kind.__name__


@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_a_dense_network_of_any_neuron(neuron):
    net = network(
        Flatten(), Linear(features=70), Neuron(dynamics=neuron), Linear(features=5), Neuron(dynamics=neuron), scale=3.0
    )
    check(net, images(5, (1, 7, 9)))


@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_a_convolutional_network_of_any_neuron(neuron):
    net = network(
        Conv2d(channels=5, kernel=3, padding=1),
        MaxPool(size=2),
        Neuron(dynamics=neuron),
        Conv2d(channels=19, kernel=2),
        Neuron(dynamics=neuron),
        Flatten(),
        Linear(features=3),
        Neuron(dynamics=LIF()),
        scale=3.0,
    )
    out = check(net, images(4, (1, 7, 9)))
    assert out.trajectory.spikes.sum() > 0


@pytest.mark.parametrize("neuron", [n for n in NEURONS if n.kind != "leaky_integrator"], ids=str)
@pytest.mark.parametrize("self_connections", [False, True])
def test_a_recurrent_network_of_any_neuron(neuron, self_connections):
    hidden = Neuron(dynamics=neuron, recurrent=True, self_connections=self_connections)
    net = network(
        Flatten(), Linear(features=70), hidden, Linear(features=4), Neuron(dynamics=LeakyIntegrator()), scale=2.0
    )
    check(net, images(7, (1, 7, 9)))


@pytest.mark.parametrize(
    "encoder",
    [
        Rate(steps=11),
        Rate(steps=1),
        Latency(steps=20),
        Periodic(steps=20),
        Direct(steps=6),
        Direct(steps=1),
        Direct(steps=6, mean=(0.4,), deviation=(0.3,)),
        Direct(steps=1, mean=(0.4,), deviation=(0.3,)),
        Delta(steps=9),
        Delta(steps=24, amplitude=6, threshold=0.4),
        Delta(steps=1),
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_encoder_before_dense_and_convolutional_layers(encoder, channels):
    shape = (channels, 7, 9)
    dense = network(
        Flatten(),
        Linear(features=33),
        Neuron(dynamics=LIF()),
        Linear(features=3),
        image_shape=shape,
        encoder=encoder,
        scale=3.0,
    )
    maps = network(
        Conv2d(channels=6, kernel=3),
        MaxPool(),
        Neuron(dynamics=LIF()),
        Flatten(),
        Linear(features=3),
        Neuron(dynamics=LIF()),
        image_shape=shape,
        encoder=encoder,
        scale=3.0,
    )
    pooled = network(
        AvgPool(),
        Conv2d(channels=4, kernel=2),
        Neuron(dynamics=LIF()),
        Flatten(),
        Linear(features=3),
        image_shape=shape,
        encoder=encoder,
        scale=3.0,
    )
    for net in (dense, maps, pooled):
        check(net, images(3, shape))


LAYERS = {
    "pool of spikes": (
        Conv2d(channels=4, kernel=3),
        Neuron(dynamics=LIF()),
        MaxPool(),
        Conv2d(channels=5, kernel=2),
        Neuron(dynamics=LIF()),
    ),
    "mean of spikes": (
        Conv2d(channels=4, kernel=3),
        Neuron(dynamics=LIF()),
        AvgPool(),
        Conv2d(channels=5, kernel=2),
        Neuron(dynamics=LIF()),
    ),
    "overlapping pools": (
        Conv2d(channels=17, kernel=2, padding=1),
        MaxPool(size=3, stride=2),
        Neuron(dynamics=LIF()),
        MaxPool(size=2, stride=1),
    ),
    "two pools": (Conv2d(channels=4, kernel=2), MaxPool(size=2, stride=1), AvgPool(), Neuron(dynamics=LIF())),
    "strides": (
        Conv2d(channels=70, kernel=3, stride=2, padding=2),
        Neuron(dynamics=LIF()),
        Conv2d(channels=6, kernel=3, stride=2, padding=1),
        Neuron(dynamics=LIF()),
    ),
    "two convolutions": (
        Conv2d(channels=4, kernel=3),
        Conv2d(channels=5, kernel=3, padding=1, bias=False),
        MaxPool(),
        Neuron(dynamics=LIF()),
    ),
    "wide windows": (
        Conv2d(channels=20, kernel=1),
        Neuron(dynamics=IF()),
        Conv2d(channels=9, kernel=5, padding=2),
        Neuron(dynamics=LIF()),
    ),
    "neurons on the image": (
        Neuron(dynamics=LIF(threshold=1.5)),
        MaxPool(),
        Conv2d(channels=5, kernel=2),
        Neuron(dynamics=LIF()),
    ),
    "an integrator between": (
        Conv2d(channels=5, kernel=2),
        Neuron(dynamics=LeakyIntegrator()),
        Conv2d(channels=5, kernel=2),
        Neuron(dynamics=LIF()),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "encoder", [Rate(steps=7), Direct(steps=5), Direct(steps=5, mean=(0.2, 0.7), deviation=(0.3, 0.1))], ids=str
)
def test_layers_in_any_order(name, encoder):
    net = network(*LAYERS[name], Flatten(), Linear(features=3), encoder=encoder, scale=3.0, image_shape=(2, 9, 11))
    check(net, images(3, (2, 9, 11)))


def test_linear_layers_in_a_row_and_wide_ones():
    net = network(
        Flatten(),
        Linear(features=700),
        Neuron(dynamics=LIF()),
        Linear(features=65),
        Linear(features=130, bias=False),
        Neuron(dynamics=LIF()),
        Linear(features=3),
        scale=4.0,
    )
    check(net, images(9, (1, 7, 9)))
