"""Convolutions, pools and neurons of the Triton engine in one kernel, and their gradients."""

import pytest

pytest.importorskip("triton")

from against import EXACT, PLAIN, check
from cases import images, network

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator, TwoPhaseIF
from spikewise.encoders import Direct, Rate
from spikewise.graph import AvgPool, Conv2d, Dropout, Flatten, Linear, MaxPool, Neuron

PER = {"per": "channel", "spread": 0.1}
CHANNELS = LIF(learn=("beta", "threshold"), per="channel", spread=0.1, beta=0.8)
LAYERS = {
    "pools of currents": (Conv2d(channels=4, kernel=3, padding=1), MaxPool(), Neuron(dynamics=LIF()),
                          Conv2d(channels=17, kernel=2), Neuron(dynamics=CHANNELS)),
    "means of currents": (Conv2d(channels=3, kernel=3, stride=2, padding=2), AvgPool(), Neuron(dynamics=ALIF())),
    "pools of spikes": (Conv2d(channels=4, kernel=2, bias=False), Neuron(dynamics=IF()), MaxPool(),
                        Conv2d(channels=5, kernel=2, padding=1), Neuron(dynamics=LIF(reset_delay=True)), AvgPool()),
    "windows of three": (Conv2d(channels=2, kernel=2), MaxPool(size=3), Neuron(dynamics=LIF(reset="zero"))),
    "overlapping pools": (Conv2d(channels=2, kernel=2), MaxPool(size=2, stride=1), Neuron(dynamics=LIF()),
                          MaxPool(size=2, stride=1)),
    "an integrator between": (Conv2d(channels=3, kernel=2), Neuron(dynamics=LeakyIntegrator()),
                              Conv2d(channels=2, kernel=2), Neuron(dynamics=LIF())),
    "synaptic currents": (Conv2d(channels=3, kernel=2), MaxPool(),
                          Neuron(dynamics=CubaLIF(learn=("alpha", "beta"), **PER)),
                          Conv2d(channels=2, kernel=2), Neuron(dynamics=CubaLIF(reset="zero"))),
    "Izhikevich": (Conv2d(channels=3, kernel=2), Neuron(dynamics=Izhikevich(per="channel", spread=0.2)), MaxPool()),
    "charged": (Conv2d(channels=3, kernel=2), MaxPool(), Neuron(dynamics=IF(initial=0.5, learn=("threshold",), **PER)),
                Conv2d(channels=2, kernel=2), Neuron(dynamics=TwoPhaseIF(fires_from=1, learn=("threshold",), **PER))),
    "dropout": (Conv2d(channels=3, kernel=2), Neuron(dynamics=LIF()), Dropout(p=0.5),
                Conv2d(channels=2, kernel=2, stride=2), Neuron(dynamics=LIF()), Dropout(p=0.5)),
}  # fmt: skip
SHAPE = (2, 7, 9)


@pytest.mark.parametrize("name", LAYERS)
def test_maps_are_the_references(name):
    net = network(*LAYERS[name], Flatten(), Linear(features=3), encoder=Rate(steps=3), scale=3.0, image_shape=SHAPE)
    record = frozenset(at.name for at in net.graph.named if isinstance(at.layer, Neuron))
    check(net, images(2, SHAPE), record=record)


def test_maps_of_a_constant_current():
    net = network(
        *LAYERS["pools of currents"], Flatten(), Linear(features=3), encoder=Direct(steps=3), scale=3.0,
        image_shape=SHAPE,
    )  # fmt: skip
    check(net, images(2, SHAPE))


@pytest.mark.parametrize("operands", [EXACT, PLAIN], ids=["exact", "plain"])
@pytest.mark.parametrize("fill", [0, 255])
def test_empty_and_full_maps(fill, operands):
    net = network(*LAYERS["pools of currents"], Flatten(), Linear(features=3), encoder=Rate(steps=2), scale=3.0,
                  image_shape=SHAPE)  # fmt: skip
    check(net, images(2, SHAPE) * 0 + fill, operands)
