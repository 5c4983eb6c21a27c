"""Builders write the layers their docstrings promise, and the twin is the same network without spikes."""

import pytest
import torch

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Rate
from spikewise.engine import RunOptions
from spikewise.errors import ConfigError, ShapeError
from spikewise.graph import Activation, Flatten, Graph, Linear, Neuron, SpikingActivation
from spikewise.initial import Uniform
from spikewise.losses import CountMSE, CrossEntropy, StepCrossEntropy
from spikewise.models import MLP, Conv, Layers, ResNet, build, readout_gain, twin
from spikewise.network import Network
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount

MODELS = {
    "mlp": MLP(hidden=(9, 8), dropout=0.1, output=LIF()),
    "recurrent": MLP(hidden=(9,), cell=ALIF(learn=("beta",)), recurrent=True, output=LeakyIntegrator()),
    "conv": Conv(channels=(3, 4), kernels=(3, 5), batch_norm=True, hidden=(6,), output=LIF()),
    "hybrid": Conv(channels=(3,), kernels=(3,), cell=Activation(), hidden=(6,), hidden_cell=LIF(), output="none"),
    "spiking relu": Conv(channels=(3,), kernels=(3,), cell=SpikingActivation(function="tanh"), output="none"),
    "membrane": ResNet(channels=(3, 4), blocks=(1, 2)),
    "sew": ResNet(channels=(3, 4), shortcut="sew", cell=CubaLIF(), stem_pool=2, dropout=0.1),
    "current": ResNet(channels=(3, 4), shortcut="current", output="none"),
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


def test_the_blocks_of_a_residual_network():
    norm = ["conv2d", "batch_norm"]
    cell = ["lif"]
    end = ["global_avg_pool", "linear", "leaky_integrator"]
    membrane = [*norm, *[*cell, *norm, *cell, *norm, "add"], *[*cell, *norm, *cell, *norm, *cell, *norm, "add"], *cell]
    assert kinds(graph(ResNet(channels=(3, 4)))) == [*membrane, *end]
    sew = [*norm, *cell, *[*norm, *cell, *norm, *cell, "add"], *[*norm, *cell, *norm, *cell, *norm, *cell, "add"]]
    assert kinds(graph(ResNet(channels=(3, 4), shortcut="sew"))) == [*sew, *end]
    current = [*norm, *cell, *[*norm, *cell, *norm, "add", *cell], *[*norm, *cell, *norm, *norm, "add", *cell]]
    assert kinds(graph(ResNet(channels=(3, 4), shortcut="current"))) == [*current, *end]
    built = graph(ResNet(channels=(3, 4)))
    assert [at.output for at in built.named if at.name.startswith("add")] == [(3, 8, 8), (4, 4, 4)]
    assert built.parameter_shapes()["lif1.beta"] == (3, 1, 1)


@pytest.mark.parametrize("shortcut", ["sew", "current", "membrane"])
def test_a_block_passes_its_input_on_where_its_own_weights_are_zero(shortcut):
    """The identity mapping that residual blocks are made for (Fang et al. 2021, sec. 3.2)."""
    network = Network(
        graph(ResNet(channels=(3,), shortcut=shortcut, cell=LIF(beta=0.0, threshold=0.1)), Direct(steps=2))
    ).eval()
    state = network.state_dict()
    network.load_state_dict({**state, "batch_norm3.weight": torch.zeros(3)})
    before = {"sew": "lif1", "current": "lif1", "membrane": "batch_norm1"}[shortcut]
    images = torch.randint(0, 256, (2, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    traces = network(images, options=RunOptions(record=frozenset({before, "add1"}))).result.traces
    assert torch.equal(
        traces["add1"].output, traces[before].spikes if shortcut != "membrane" else traces[before].output
    )
    assert traces["add1"].output.any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"blocks": (1, 2)}, "3 entries and model.blocks 2"), ({"stem_kernel": 4}, "stem_kernel is odd.*got 4")],
)
def test_residual_networks_that_cannot_be(wrong, says):
    with pytest.raises(ConfigError, match=says):
        ResNet(**wrong)


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
        if not key.startswith(("lif", "alif", "cuba_lif", "leaky_integrator"))
    }
    assert other.parameter_shapes() == shared
    assert other.spiking_layers == ()
    assert not [at for at in other.named if isinstance(at.layer, Neuron)]
    assert (other.encoder, other.readout) == (Direct(steps=1), LastMembrane(scale=readout_gain(spiking)))
    assert other.classes == spiking.classes
    images = torch.zeros(2, 2, 8, 8, dtype=torch.uint8)
    assert Network(other).eval()(images).logits.shape == (2, 5)


def test_the_twin_of_a_spiking_activation_is_the_activation_it_carries():
    assert Activation(function="tanh") in twin(graph(MODELS["spiking relu"])).layers


def test_the_twin_of_a_twin_is_itself():
    once = twin(graph(MODELS["conv"]))
    assert twin(once) == once


def linear_graph(output, readout, steps=25):
    """Weights of one and nothing else: the current into the output is the pixel itself."""
    layers = (Flatten(), Linear(features=2, init=Uniform()), *([] if output is None else [Neuron(dynamics=output)]))
    return Graph(image_shape=(1, 1, 2), encoder=Direct(steps=steps), layers=layers, readout=readout)


GAINS = [
    (LeakyIntegrator(beta=0.9), MeanMembrane(), 25, 6.658443),  # the default network
    (LeakyIntegrator(beta=0.9), LastMembrane(), 25, (1 - 0.9**25) / 0.1),
    (LeakyIntegrator(beta=0.9), MaxMembrane(), 25, (1 - 0.9**25) / 0.1),
    (LeakyIntegrator(beta=0.5), FilteredSum(decay=0.5), 3, 1.75 + 0.5 * 1.5 + 0.25 * 1),
    (LeakyIntegrator(beta=1.0), MeanMembrane(), 9, 5.0),
    (None, MeanMembrane(), 25, 1.0),
    (None, LastMembrane(scale=3.0), 1, 3.0),
    (IF(threshold=0.5), SpikeCount(), 20, 40.0),
    (CubaLIF(alpha=0.5, beta=0.5, threshold=9.0), LastMembrane(), 3, 1.75 + 0.5 * 1.5 + 0.25 * 1),
    (CubaLIF(alpha=0.5, threshold=0.5), SpikeCount(), 3, (1 + 1.5 + 1.75) / 0.5),
]


@pytest.mark.parametrize(("output", "readout", "steps", "gain"), GAINS)
def test_the_gain_of_a_readout_is_what_its_network_makes_of_a_constant_current(output, readout, steps, gain):
    built = linear_graph(output, readout, steps)
    assert readout_gain(built) == pytest.approx(gain, rel=1e-6)
    if isinstance(readout, SpikeCount):
        return
    network = Network(built)
    network.load_state_dict({**network.state_dict(), "linear1.weight": torch.eye(2), "linear1.bias": torch.zeros(2)})
    images = torch.tensor([[[[255, 51]]]], dtype=torch.uint8)
    logits = network.eval()(images).logits[0].tolist()
    assert logits == pytest.approx([gain, gain / 5], rel=1e-5)
    same = Network(twin(built)).eval()
    same.load_state_dict({key: network.state_dict()[key] for key in same.state_dict()})
    assert same(images).logits[0].tolist() == pytest.approx(logits, rel=1e-5)  # one pass, the same logits


def test_a_spike_count_rises_by_its_gain_for_each_unit_of_current():
    network = Network(linear_graph(IF(), SpikeCount(), steps=200))
    network.load_state_dict({**network.state_dict(), "linear1.weight": torch.eye(2), "linear1.bias": torch.zeros(2)})
    with torch.no_grad():
        low, high = (network.eval()(torch.full((1, 1, 1, 2), 51 * k, dtype=torch.uint8)).logits[0, 0] for k in (1, 4))
    assert float(high - low) / 0.6 == pytest.approx(readout_gain(network.graph), rel=0.02)


def test_a_loss_of_single_steps_or_rates_sees_their_gain():
    spiking = graph(MLP(hidden=(4,), output=LIF(beta=0.9, threshold=2.0)), Rate(steps=25), SpikeCount())
    assert readout_gain(spiking) == 12.5
    assert readout_gain(spiking, CrossEntropy()) == 12.5
    assert readout_gain(spiking, CountMSE()) == readout_gain(spiking, StepCrossEntropy()) == 0.5
    assert readout_gain(spiking, StepCrossEntropy(on="membrane")) == pytest.approx(6.658443)
    assert readout_gain(graph(MLP(hidden=(4,), output=Izhikevich()))) == 1


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


def test_the_twin_reads_the_same_standardised_current():
    model = MODELS[next(iter(MODELS))]
    standardised = Direct(steps=6, mean=(0.5,), deviation=(0.2,))
    spiking = build(model, standardised, MeanMembrane(), image_shape=(2, 8, 8), classes=5)
    assert twin(spiking).encoder == standardised.replace(steps=1)
    rates = build(model, Rate(), MeanMembrane(), image_shape=(2, 8, 8), classes=5)
    assert twin(rates).encoder == Direct(steps=1)
