"""Layers of the Triton engine beside matrices and neurons: what it does itself, and what it leaves to PyTorch."""

import pytest

pytest.importorskip("triton")

from against import check
from cases import images, network

from spikewise.dynamics import ALIF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Direct, Rate
from spikewise.graph import (
    Activation,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Neuron,
    SpikingActivation,
)

SHAPE = (1, 7, 9)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("drop", [0.5, 0.75])  # 1 / (1 - p) is a power of two, so that sums stay exact
def test_dropout_is_the_references(drop, training):
    net = network(
        Flatten(), Linear(features=40), Neuron(dynamics=ALIF()), Dropout(p=drop), Linear(features=5),
        Neuron(dynamics=LIF()), scale=3.0,
    )  # fmt: skip
    check(net.train(training), images(4, SHAPE))


LAYERS = {
    "a bare matrix": (Flatten(), Linear(features=3)),
    "matrices in a row": (Flatten(), Linear(features=20), Linear(features=3, bias=False), Neuron(dynamics=LIF())),
    "neurons behind neurons": (Flatten(), Linear(features=20), Neuron(dynamics=LIF()), Neuron(dynamics=LIF(beta=0.5)),
                               Linear(features=3)),
    "neurons on the image": (Neuron(dynamics=LIF(threshold=1.5)), Flatten(), Linear(features=3)),
    "an integrator between": (Flatten(), Linear(features=20), Neuron(dynamics=LeakyIntegrator()), Linear(features=3),
                              Neuron(dynamics=LIF())),
    "normalisation": (Conv2d(channels=4, kernel=3), BatchNorm(), Neuron(dynamics=LIF()), Flatten(),
                      Linear(features=9), BatchNorm(), Neuron(dynamics=LIF()), Linear(features=3)),
    "normalised currents of a recurrent layer": (Flatten(), Linear(features=9), BatchNorm(),
                                                 Neuron(dynamics=LIF(), recurrent=True), Linear(features=3)),
    "activations": (Flatten(), Linear(features=9), Activation(), Linear(features=9), SpikingActivation(),
                    Linear(features=3), Activation(function="tanh")),
    "normalised currents of others": (Conv2d(channels=4, kernel=3), BatchNorm(), Neuron(dynamics=CubaLIF()),
                                      Conv2d(channels=3, kernel=2), BatchNorm(), Neuron(dynamics=Izhikevich()),
                                      Flatten(), Linear(features=3)),
    "Izhikevich": (Flatten(), Linear(features=9), Neuron(dynamics=Izhikevich()), Linear(features=3)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("encoder", [Rate(steps=5), Direct(steps=4)], ids=str)
def test_layers_in_any_order(name, encoder):
    net = network(*LAYERS[name], encoder=encoder, scale=3.0, image_shape=SHAPE)
    check(net.train(), images(2, SHAPE))
    net.eval()
    record = frozenset(at.name for at in net.graph.named if isinstance(at.layer, Neuron))
    check(net, images(2, SHAPE), record=record)
