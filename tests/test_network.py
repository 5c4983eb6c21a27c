"""A network is its weights and nothing else: no hidden state, no global seed, no dependence on the batch."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikewise.dynamics import ALIF, IF, LIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Latency, Rate
from spikewise.engine import RunOptions
from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation.ties import evidence_of, logits_without_ties
from spikewise.graph import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    Neuron,
    SpikingActivation,
)
from spikewise.models import MLP, Conv, ResNet, build
from spikewise.network import Network
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount
from spikewise.types import Draw

SHAPE = (2, 8, 8)
NETWORKS = {
    "mlp": (MLP(hidden=(20,), cell=IF(), output=LIF()), Rate(steps=8), SpikeCount()),
    "recurrent": (
        MLP(hidden=(20,), cell=ALIF(), recurrent=True, output=LeakyIntegrator()),
        Rate(steps=8),
        MaxMembrane(),
    ),
    "conv": (
        Conv(channels=(4,), kernels=(3,), batch_norm=True, dropout=0.3, hidden=(9,)),
        Delta(steps=8),
        MeanMembrane(),
    ),
    "izhikevich": (
        MLP(hidden=(20,), cell=Izhikevich(gain=3000.0), output="none"),
        Latency(steps=30, tau=5),
        LastMembrane(),
    ),
    "resnet": (ResNet(channels=(4, 6), shortcut="sew"), Direct(steps=4), MeanMembrane()),
    "membrane shortcuts": (ResNet(channels=(4, 6), output="none"), Rate(steps=4), MeanMembrane()),
    "spiking relu": (
        Conv(channels=(4,), kernels=(3,), cell=SpikingActivation(dt=0.7), output="none"),
        Direct(steps=8),
        FilteredSum(),
    ),
}
every = pytest.mark.parametrize("name", NETWORKS)


def make(name, seed=0):
    model, encoder, readout = NETWORKS[name]
    return Network(build(model, encoder, readout, image_shape=SHAPE, classes=3), seed=seed).eval()


def layers(*sequence, encoder=Direct(steps=3), readout=LastMembrane(), image_shape=SHAPE):  # noqa: B008  # immutable
    return Network(Graph(image_shape=image_shape, encoder=encoder, layers=sequence, readout=readout))


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@every
def test_the_seed_fixes_the_weights_and_torchs_global_generator_is_left_alone(name, images):
    before = torch.get_rng_state()
    one, same, other = make(name), make(name), make(name, seed=1)
    one.train()(images)
    assert torch.equal(torch.get_rng_state(), before)
    keys = [key for key in same.state_dict() if key.endswith("weight") and "norm" not in key]
    assert all(torch.equal(make(name).state_dict()[key], same.state_dict()[key]) for key in keys)
    assert not any(torch.equal(other.state_dict()[key], same.state_dict()[key]) for key in keys)


@every
def test_the_state_dict_is_the_graphs_weights_before_and_after_a_run(name, images):
    network = make(name)
    shapes = network.graph.parameter_shapes()
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == shapes
    first = network(images).logits
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == shapes
    assert torch.equal(network(images).logits, first)  # nothing stays behind


@every
def test_an_image_gets_the_same_answer_in_any_batch(name, images):
    network, index = make(name), torch.tensor([5, 90, 2, 7, 1, 4])
    together = network(images, Draw(3, 0, index)).logits
    for i in range(6):
        alone = network(images[[i]], Draw(3, 0, index[[i]])).logits
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


@every
def test_streaming_gives_the_evidence_of_the_whole_run(name, images):
    network = make(name)
    with torch.no_grad():
        output = network(images[:1])
        wanted = evidence_of(network.graph.readout, output, torch.arange(1))[:, 0]
        streamed = torch.stack(list(network.stream(images[:1])))
    assert len(streamed) == network.graph.steps
    torch.testing.assert_close(streamed, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(streamed[-1], logits_without_ties(output, torch.arange(1))[0], rtol=1e-4, atol=1e-5)


@every
def test_recording_and_measuring_change_nothing_and_tell_the_truth(name, images):
    network = make(name)
    names = frozenset(at.name for at in network.graph.named)
    plain = network(images)
    told = network(images, None, RunOptions(record=names, measure=True))
    assert torch.equal(plain.logits, told.logits)
    traces, rates = told.result.traces, told.result.rates
    assert set(traces) == names
    for at in network.graph.named:
        assert traces[at.name].output.shape == (network.graph.steps, 6, *at.output)
    assert set(rates) == set(network.graph.spiking_layers)
    for layer, rate in rates.items():
        torch.testing.assert_close(rate, traces[layer].spikes.mean(dim=(0, 1)))
    assert plain.result.traces == plain.result.rates == {}


def test_initial_weights_lie_within_the_documented_bound_and_fill_it():
    weight = make("mlp").linear1.weight
    bound = math.prod(SHAPE) ** -0.5
    assert 0.99 * bound < weight.abs().max().item() <= bound
    n = weight.numel()
    assert abs(weight.mean().item()) < 5 * bound / math.sqrt(3 * n)


def test_recurrent_weights_are_the_last_steps_spikes_and_their_diagonal_is_never_used(images):
    network = make("recurrent")
    output = network(images, None, RunOptions(record=frozenset({"linear1", "alif1"})))
    output.logits.square().sum().backward()
    gradient = network.alif1.recurrent.grad
    assert (gradient.diag() == 0).all()
    assert (gradient != 0).any()
    traces, r = output.result.traces, network.alif1.recurrent.detach()
    z, v, current = traces["alif1"].spikes, traces["alif1"].output, traces["linear1"].output
    back = z[:-1] @ (r - r.diag().diag()).T
    after = v[:-1] - z[:-1]
    torch.testing.assert_close(v[1:], 0.95 * after + current[1:] + back, rtol=1e-5, atol=1e-5)


def test_self_connections_use_the_diagonal(images):
    neuron = Neuron(dynamics=LIF(), recurrent=True, self_connections=True)
    network = layers(Flatten(), Linear(features=9), neuron, Linear(features=2), encoder=Rate(steps=20))
    with torch.no_grad():
        network.linear1.weight.mul_(4)
    network(images).logits.square().sum().backward()
    assert (network.lif1.recurrent.grad.diag() != 0).any()


def test_batch_normalisation_is_pytorchs_over_time_and_batch(images):
    network = layers(Conv2d(channels=4, kernel=3), BatchNorm(), Flatten())
    norm = nn.BatchNorm2d(4)
    for training in (True, True, False):
        network.train(training)
        norm.train(training)
        before = F.conv2d(images.float() / 255, network.conv2d1.weight, network.conv2d1.bias).repeat(3, 1, 1, 1)
        torch.testing.assert_close(network(images).logits, norm(before)[:6].flatten(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.batch_norm1.running_mean, norm.running_mean)
    torch.testing.assert_close(network.batch_norm1.running_var, norm.running_var)


def test_dropout_silences_a_share_alike_at_all_steps_per_image_and_epoch():
    network = layers(Flatten(), Dropout(p=0.3), image_shape=(1, 60, 60)).train()
    white = torch.full((4, 1, 60, 60), 255, dtype=torch.uint8)
    index = torch.tensor([8, 3, 5, 1])
    out = network(white, Draw(0, 1, index)).trajectory.membrane
    assert torch.equal(out, out[:1].expand_as(out))
    assert {round(value, 5) for value in out.unique().tolist()} == {0.0, round(1 / 0.7, 5)}
    share = (out[0] == 0).float().mean().item()
    assert abs(share - 0.3) < 5 * math.sqrt(0.3 * 0.7 / out[0].numel())  # 5 sigma
    assert torch.equal(network(white[:2], Draw(0, 1, index[[2, 0]])).logits, out[0][[2, 0]])
    assert not torch.equal(out[0, 0], out[0, 1])
    assert not torch.equal(network(white, Draw(0, 2, index)).logits, out[0])
    assert torch.equal(network.eval()(white, Draw(0, 1, index)).logits, torch.ones(4, 3600))


def test_two_dropouts_draw_different_masks():
    network = layers(Flatten(), Dropout(p=0.5), Dropout(p=0.5), image_shape=(1, 60, 60)).train()
    white = torch.full((1, 1, 60, 60), 255, dtype=torch.uint8)
    kept = (network(white).logits != 0).float().mean().item()
    assert abs(kept - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 3600)


def test_spiking_activation_approaches_its_function_as_steps_get_long_and_can_train_without_spikes(images):
    plain = layers(Flatten(), Linear(features=4), SpikingActivation(spiking_aware=False), readout=MeanMembrane())
    spiking = layers(Flatten(), Linear(features=4), SpikingActivation(dt=1000.0), readout=MeanMembrane())
    wanted = (images.flatten(1).float() / 255 @ plain.linear1.weight.T + plain.linear1.bias).relu()
    torch.testing.assert_close(plain.train()(images).logits, wanted)
    assert not torch.allclose(plain.eval()(images).logits, wanted)
    torch.testing.assert_close(spiking(images).logits, wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), "torch.uint8 1x8x8"),
        (torch.zeros(1, 2, 8, 9, dtype=torch.uint8), "torch.uint8 2x8x9"),
    ],
    ids=str,
)
def test_images_of_another_shape_are_refused_in_words(bad, found):
    with pytest.raises(ShapeError, match=f"reads uint8 images of 2x8x8 .*got {found}"):
        make("mlp")(bad)


def test_weights_beyond_memory_are_refused_before_they_are_drawn():
    with pytest.raises(ShapeError, match=r"weights take [\d,.]+ GiB"):
        layers(Flatten(), Linear(features=10**12))


@every
def test_streaming_is_the_whole_run_and_holds_no_gradients(name, images):
    net = make(name)
    draw = Draw.first(1)
    evidence = evidence_of(net.graph.readout, net(images[:1], draw), draw.index)[:, 0]
    streamed = []
    for one in net.stream(images[:1], draw):
        assert torch.is_grad_enabled()  # the caller's code between two steps is his own
        assert not one.requires_grad
        streamed.append(one)
    torch.testing.assert_close(torch.stack(streamed), evidence.detach(), rtol=1e-6, atol=1e-6)


def test_each_step_of_a_stream_reads_that_step_alone(images, monkeypatch):
    net = make("mlp")
    lengths = []
    run = net.run
    monkeypatch.setattr(net, "run", lambda step, *rest: lengths.append(len(step)) or run(step, *rest))
    monkeypatch.setattr(type(net.graph.readout), "evidence", None)  # which reads all steps
    assert len(list(net.stream(images[:1]))) == net.graph.steps
    assert lengths == [1] * net.graph.steps


def test_a_layer_that_is_not_there_cannot_be_recorded(images):
    with pytest.raises(ConfigError, match=r"Unknown layer 'lif9'.*Available: .*lif1"):
        make("mlp")(images, options=RunOptions(record=frozenset({"lif9"})))


@pytest.mark.parametrize(("stored", "used"), [(-3.07, 0.0), (1.5, 1.0), (0.25, 0.25)])
def test_a_stored_parameter_comes_back_into_the_range_in_which_it_is_used(stored, used):
    net = layers(Flatten(), Linear(features=3), Neuron(dynamics=LIF(learn=("beta",))))
    weight = net.lif1.beta
    with torch.no_grad():
        weight.fill_(stored)
    net.clamp_stored()
    assert net.lif1.beta is weight
    assert weight.item() == used


@pytest.mark.parametrize("padding", [0, (1, 2)])
def test_a_strided_kernel_of_one_pixel_is_pytorchs(padding):
    """Computed another way, since oneDNN's own gradient of it writes beyond its memory."""
    layer = Conv2d(channels=4, kernel=1, stride=(2, 3), padding=padding)
    graph = Graph(
        image_shape=(3, 7, 8), encoder=Direct(steps=1), layers=(layer, GlobalAvgPool()), readout=LastMembrane()
    )
    network = Network(graph, engine_name="reference")
    images = torch.randint(0, 256, (5, 3, 7, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    wanted = F.conv2d(images.double() / 255, network.weights["conv2d1.weight"].double(),
                      network.weights["conv2d1.bias"].double(), (2, 3), padding).mean((2, 3))  # fmt: skip
    found = network(images).logits
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)
    found.square().sum().backward()
    weight = network.weights["conv2d1.weight"].detach().double().requires_grad_()
    bias = network.weights["conv2d1.bias"].detach().double()
    F.conv2d(images.double() / 255, weight, bias, (2, 3), padding).mean((2, 3)).square().sum().backward()
    torch.testing.assert_close(network.weights["conv2d1.weight"].grad.double(), weight.grad, rtol=1e-4, atol=1e-6)


def test_a_normalised_single_frame_has_the_gradient_of_its_own_channels():
    """Its memory may be read with channels first or last alike, and PyTorch's own gradient takes the wrong one."""
    layers = (Conv2d(channels=5, kernel=2), Neuron(dynamics=LIF()), BatchNorm(), Flatten(), Linear(features=3))
    graph = Graph(image_shape=(2, 4, 5), encoder=Direct(steps=1), layers=layers, readout=LastMembrane())
    network = Network(graph, engine_name="reference").train()
    network(torch.full((1, 2, 4, 5), 200, dtype=torch.uint8)).logits.sum().backward()
    wanted = network.get_parameter("linear1.weight").detach().sum(0).view(5, -1).sum(1)
    torch.testing.assert_close(network.get_parameter("batch_norm1.bias").grad, wanted)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((1, 6, 1), (1, 3), (1, 2), (0, 1)),
        ((1, 2, 1), (5, 5), (1, 3), 2),
        ((1, 3, 3), (1, 3), (1, 2), 0),
        ((3, 17, 1), (2, 1), 2, (2, 1)),
    ],
)
def test_columns_that_onednn_gets_wrong_are_right(shape, kernel, stride, padding):
    """With weights as the reference engine has them otherwise, it gives what lay in memory, or ends the process."""
    dilation = (1, 2) if kernel == (2, 1) else 1
    layer = Conv2d(channels=56, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    graph = Graph(image_shape=shape, encoder=Direct(steps=1), layers=(layer, GlobalAvgPool()), readout=LastMembrane())
    network = Network(graph, engine_name="reference")
    images = torch.randint(0, 256, (64, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    weight, bias = (network.get_parameter(f"conv2d1.{key}").double() for key in ("weight", "bias"))
    wanted = F.conv2d(images.double() / 255, weight, bias, stride, padding, dilation).mean((2, 3))
    torch.testing.assert_close(network(images).logits.double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_numbers_of_a_draw_may_be_any_integers(engine, images):
    net = layers(Flatten(), Linear(features=3), Neuron(dynamics=LIF()), encoder=Rate(steps=9))
    net.engine_name = engine
    wanted = net(images, Draw(0, 2**32 - 1, torch.arange(6))).trajectory.membrane
    found = net(images, Draw(0, -1, torch.arange(6, dtype=torch.int32))).trajectory.membrane
    assert torch.equal(found, wanted)
