"""Builders write the layers their docstrings promise, and the twin is the same network without spikes."""

import pytest
import torch

from spikewise.dynamics import ALIF, LIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Rate
from spikewise.errors import ConfigError, ShapeError
from spikewise.graph import Activation, Flatten, Linear, Neuron, SpikingActivation
from spikewise.models import MLP, Conv, Layers, build, twin
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MaxMembrane, SpikeCount

MODELS = {
    "mlp": MLP(hidden=(9, 8), dropout=0.1, output=LIF()),
    "recurrent": MLP(hidden=(9,), cell=ALIF(learn=("beta",)), recurrent=True, output=LeakyIntegrator()),
    "conv": Conv(channels=(3, 4), kernels=(3, 5), batch_norm=True, hidden=(6,), output=LIF()),
    "hybrid": Conv(channels=(3,), kernels=(3,), cell=Activation(), hidden=(6,), hidden_cell=LIF(), output="none"),
    "spiking relu": Conv(channels=(3,), kernels=(3,), cell=SpikingActivation(function="tanh"), output="none"),
    "layers": Layers(sequence=(Flatten(), Linear(features=9), Neuron(dynamics=LIF()), Linear(features=5))),
}


def graph(model, encoder=Rate(steps=4), readout=MaxMembrane(), image_shape=(2, 8, 8), classes=5):  # noqa: B008  # immutable
    return build(model, encoder, readout, image_shape=image_shape, classes=classes)


def kinds(built):
    return [at.name.rstrip("0123456789") for at in built.named]


def test_the_layers_of_each_model():
    assert kinds(graph(MODELS["mlp"])) == ["flatten", *["linear", "lif", "dropout"] * 2, "linear", "lif"]
    convolution = ["conv2d", "batch_norm", "lif", "max_pool"]
    assert kinds(graph(MODELS["conv"])) == [*convolution * 2, "flatten", "linear", "lif", "linear", "lif"]
    assert kinds(graph(MODELS["hybrid"])) == ["conv2d", "activation", "max_pool", "flatten", "linear", "lif", "linear"]
    pooled_first = Conv(channels=(3,), kernels=(3,), pool_before_cell=True, output=LIF())
    assert kinds(graph(pooled_first)) == ["conv2d", "max_pool", "lif", "flatten", "linear", "lif"]


def test_same_padding_keeps_the_map_for_odd_kernels_and_pool_1_is_none():
    built = graph(Conv(channels=(3, 4), kernels=(3, 5), pool=1))
    assert [at.output[1:] for at in built.named if len(at.output) == 3] == [(8, 8)] * 4
    valid = graph(Conv(channels=(3,), kernels=(3,), padding=0, pool=1))
    assert valid.named[0].output == (3, 6, 6)


@pytest.mark.parametrize("name", MODELS)
def test_the_twin_has_the_same_weights_no_neurons_and_sees_the_image_once(name):
    spiking = graph(MODELS[name])
    other = twin(spiking)
    shared = {
        key: shape
        for key, shape in spiking.parameter_shapes().items()
        if not key.startswith(("lif", "alif", "leaky_integrator"))
    }
    assert other.parameter_shapes() == shared
    assert other.spiking_layers == ()
    assert not [layer for layer in other.layers if isinstance(layer, Neuron)]
    assert (other.encoder, other.readout) == (Direct(steps=1), LastMembrane())
    assert other.classes == spiking.classes
    images = torch.zeros(2, 2, 8, 8, dtype=torch.uint8)
    assert Network(other).eval()(images).logits.shape == (2, 5)


def test_the_twin_of_a_spiking_activation_is_the_activation_it_carries():
    assert Activation(function="tanh") in twin(graph(MODELS["spiking relu"])).layers


def test_the_twin_of_a_twin_is_itself():
    once = twin(graph(MODELS["conv"]))
    assert twin(once) == once


def test_the_twin_of_an_event_network_reads_the_image_not_the_events():
    other = twin(graph(MODELS["conv"], encoder=Delta()))
    assert other.parameter_shapes()["conv2d1.weight"] == (3, 2, 3, 3)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_runs_and_trains_one_step(name):
    network = Network(graph(MODELS[name])).train()
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 2, 8, 8), dtype=torch.uint8, generator=rng)
    output = network(images)
    output.logits.square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.requires_grad]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any((g != 0).any() for g in gradients)


def test_outputs_and_classes_must_agree():
    with pytest.raises(ConfigError, match="5 outputs and the images have 6 classes"):
        graph(MODELS["layers"], classes=6)


def test_images_too_small_for_the_model_name_the_layer():
    with pytest.raises(ShapeError, match="Layer max_pool2"):
        graph(Conv(), image_shape=(1, 3, 3), readout=SpikeCount())
