"""The Triton engine gives the reference's spikes bit for bit, and its gradients."""

import pytest

pytest.importorskip("triton")

from against import EXACT, PLAIN, check
from cases import NEURONS, images, network

from spikewise.dynamics import ALIF, IF, LIF, LeakyIntegrator, TwoPhaseIF
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.engine.triton.plan import walks
from spikewise.graph import Flatten, Linear, Neuron

CONVERTED = [
    IF(initial=0.5, threshold=0.75, learn=("threshold",)),
    LIF(initial=0.5, beta=0.875, learn=("beta", "threshold"), per="channel", spread=0.1),
    LIF(initial=0.25, beta=0.875, reset="zero", reset_delay=True),
    TwoPhaseIF(initial=0.5, learn=("threshold",)),
    TwoPhaseIF(listens_from=1, fires_from=2, phase=3, threshold=0.5, learn=("threshold",)),
]
"""Neurons of converted networks: charged at the start, or firing when all has come."""


@pytest.mark.parametrize("neuron", [*NEURONS, *CONVERTED], ids=str)
def test_a_dense_network_of_any_neuron(neuron):
    net = network(
        Flatten(), Linear(features=17), Neuron(dynamics=neuron), Linear(features=5), Neuron(dynamics=neuron), scale=3.0,
        encoder=Rate(steps=5), image_shape=(1, 5, 7),
    )  # fmt: skip
    check(net, images(2, (1, 5, 7)))


@pytest.mark.parametrize("neuron", [*NEURONS, *CONVERTED], ids=str)
def test_every_neuron_has_a_kernel(neuron):
    assert walks(network(Flatten(), Neuron(dynamics=neuron)).graph.named[-1])


RECURRENT = [n for n in NEURONS if n.kind != "leaky_integrator"]


@pytest.mark.parametrize("neuron", RECURRENT[::3], ids=str)
@pytest.mark.parametrize("self_connections", [False, True])
def test_a_recurrent_network(neuron, self_connections):
    hidden = Neuron(dynamics=neuron, recurrent=True, self_connections=self_connections)
    net = network(
        Flatten(), Linear(features=20), hidden, Linear(features=4), Neuron(dynamics=LeakyIntegrator()), scale=2.0,
        encoder=Rate(steps=6),
    )  # fmt: skip
    check(net, images(3, (1, 7, 9)))


@pytest.mark.parametrize(("steps", "batch", "width"), [(1, 1, 1), (4, 33, 31), (3, 2, 128), (3, 2, 130)])
@pytest.mark.parametrize("operands", [EXACT, PLAIN], ids=["exact", "plain"])
def test_recurrent_layers_of_any_size(steps, batch, width, operands):
    hidden = Neuron(dynamics=ALIF(learn=("beta", "adaptation"), per="channel"), recurrent=True)
    net = network(
        Flatten(), Linear(features=width), hidden, Linear(features=2), scale=2.0, encoder=Rate(steps=steps),
        image_shape=(1, 3, 5),
    )  # fmt: skip
    check(net, images(batch, (1, 3, 5)), operands)
    check(net.eval(), images(batch, (1, 3, 5)), operands, record=frozenset({net.graph.named[2].name}))


ENCODERS = [
    Rate(steps=11), Rate(steps=1), Latency(steps=20), Periodic(steps=20), Direct(steps=6), Direct(steps=1),
    Direct(steps=6, mean=(0.4,), deviation=(0.3,)), Direct(steps=1, mean=(0.4,), deviation=(0.3,)),
    Delta(steps=9), Delta(steps=24, amplitude=6, threshold=0.4), Delta(steps=1),
]  # fmt: skip


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_encoder(encoder, channels):
    net = network(
        Flatten(), Linear(features=9), Neuron(dynamics=LIF()), Linear(features=3), image_shape=(channels, 7, 9),
        encoder=encoder, scale=3.0,
    )  # fmt: skip
    check(net, images(3, (channels, 7, 9)))


def test_each_channel_is_standardised_by_its_own_mean_and_deviation():
    net = network(
        Flatten(), Linear(features=9), Neuron(dynamics=LIF()), Linear(features=3), image_shape=(3, 7, 9),
        encoder=Direct(steps=4, mean=(0.2, 0.7, 0.5), deviation=(0.3, 0.1, 0.2)), scale=2.0,
    )  # fmt: skip
    check(net, images(3, (3, 7, 9)))


SIZES = [(1, 1, 1), (3, 31, 33), (25, 1, 65), (2, 33, 130)]


@pytest.mark.parametrize("operands", [EXACT, PLAIN], ids=["exact", "plain"])
@pytest.mark.parametrize(("steps", "batch", "features"), SIZES)
@pytest.mark.parametrize("fill", ["random", "black", "white"])
def test_sizes_at_the_edge(steps, batch, features, fill, operands):
    layers = (Flatten(), Linear(features=features), Neuron(dynamics=LIF()), Linear(features=2), Neuron(dynamics=ALIF()))
    found = images(batch, (1, 5, 5))
    found = {"random": found, "black": found * 0, "white": found * 0 + 255}[fill]
    check(network(*layers, image_shape=(1, 5, 5), encoder=Rate(steps=steps), scale=3.0), found, operands)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "batch", "features"), [(100, 2, 31), (2, 3, 1025)])
def test_many_steps_and_wide_layers(steps, batch, features):
    layers = (Flatten(), Linear(features=features), Neuron(dynamics=LIF()), Linear(features=2), Neuron(dynamics=ALIF()))
    check(network(*layers, image_shape=(1, 5, 5), encoder=Rate(steps=steps), scale=3.0), images(batch, (1, 5, 5)))
