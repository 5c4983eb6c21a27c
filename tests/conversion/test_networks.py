"""A converted network does what the conventional one does: count for count where it waits, in the limit elsewhere."""

import numpy as np
import pytest
import torch

from spikewise.conversion import (
    ComparedImages,
    balanced_thresholds,
    calibration_images,
    check_convertible,
    check_counts,
    convert_network,
    hidden_activations,
    layer_errors,
    levels_of,
    trained_thresholds,
)
from spikewise.data import DataConfig, load_data
from spikewise.dynamics import LIF
from spikewise.encoders import Direct, Rate
from spikewise.engine import RunOptions
from spikewise.engine.reference import run_layer
from spikewise.errors import ConfigError
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    SumPool,
)
from spikewise.network import Network
from spikewise.readouts import LastMembrane, SpikeCount
from spikewise.training.balance import balance
from spikewise.types import Draw

SHAPE = (1, 8, 8)
RELU, LEVELS = Activation(), 6


@pytest.fixture(scope="module")
def digits():
    return load_data(DataConfig(source="digits"))


def shapes(activation):
    """Chains of every layer that can be converted."""
    return {
        "dense": (Flatten(), Linear(features=30), activation, Dropout(), Linear(features=20), activation,
                  Linear(features=10)),
        "convolutions": (Conv2d(channels=4, kernel=3, padding=1), activation, AvgPool(), Conv2d(channels=6, kernel=3),
                         activation, Flatten(), Linear(features=12), activation, Linear(features=10)),
        "normalised": (Conv2d(channels=4, kernel=3, bias=False), BatchNorm(), AvgPool(size=3, stride=1), activation,
                       Conv2d(channels=6, kernel=2, groups=2), BatchNorm(), activation, SumPool(),
                       Flatten(), Linear(features=11), BatchNorm(), activation, Linear(features=10)),
        "two in a row": (Conv2d(channels=3, kernel=1), Conv2d(channels=4, kernel=3, dilation=2), activation,
                         GlobalAvgPool(), Linear(features=9), Linear(features=8), activation, Linear(features=10)),
    }  # fmt: skip


def made(layers, images, *, scale=1.0, seed=0) -> Network:
    """A network as its training begins, its normalisations away from their start."""
    graph = Graph(
        image_shape=SHAPE, encoder=Direct(steps=1, mean=(0.3,), deviation=(0.4,)), layers=layers,
        readout=LastMembrane(scale=scale),
    )  # fmt: skip
    net = Network(graph, seed=seed)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.weights.items():
            if name.startswith("batch_norm"):
                noise = torch.rand(value.shape, generator=g)
                value.copy_(0.5 + noise if name.endswith(("weight", "var")) else noise - 0.5)
    pixels = torch.from_numpy(images.images[:256])
    balance(net, pixels, Draw.first(len(pixels)))
    return net.eval()


@pytest.mark.parametrize("per", ["layer", "channel"])
@pytest.mark.parametrize("name", shapes(RELU))
def test_the_spikes_of_a_waiting_network_are_the_levels_of_the_activations(name, per, digits):
    """1,000 images, every neuron of every layer: whole numbers, all of them equal."""
    net = made(shapes(QCFS(levels=LEVELS, per=per))[name], digits, scale=3.0)
    assert levels_of(net) == LEVELS
    thresholds = trained_thresholds(net)
    converted = convert_network(net.graph, net.weights, thresholds, LEVELS, waits=True)
    depth = len(hidden_activations(net.graph))
    assert converted.graph.steps == depth * LEVELS
    sample = ComparedImages(digits, np.arange(1000), 0)
    checks = check_counts(net, converted, thresholds, sample)
    assert [check.layer for check in checks] == [at.name for at in hidden_activations(net.graph)]
    for check, at in zip(checks, hidden_activations(net.graph), strict=True):
        assert check.counts == 1000 * np.prod(at.output)
        assert check.equal == check.counts
        assert check.equal_float32 > 0.9999 * check.counts
    pixels = torch.from_numpy(digits.images[:100])
    with torch.no_grad():
        ours = converted.network(double=True)
        found = ours.run(ours.encode(pixels, Draw.first(100)).double(), Draw.first(100)).logits
        double = made(shapes(QCFS(levels=LEVELS, per=per))[name], digits, scale=3.0).double()
        wanted = double.run(double.encode(pixels, Draw.first(100)).double(), Draw.first(100)).logits
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_the_first_layer_is_exact_without_waiting_and_deeper_ones_are_not(digits):
    net = made(shapes(QCFS(levels=LEVELS))["convolutions"], digits)
    thresholds = trained_thresholds(net)
    converted = convert_network(net.graph, net.weights, thresholds, LEVELS)
    assert converted.graph.steps == LEVELS
    first, second, third = check_counts(net, converted, thresholds, ComparedImages(digits, np.arange(1000), 0))
    assert first.equal == first.counts
    assert second.equal < second.counts  # uneven spikes: what the waiting is for
    assert third.equal < third.counts


def test_each_layer_is_exact_alone_where_the_mean_of_the_spikes_before_it_arrives_at_every_step(digits):
    net = made(shapes(QCFS(levels=LEVELS))["convolutions"], digits).double()
    thresholds = trained_thresholds(net)
    converted = convert_network(net.graph, net.weights, thresholds, LEVELS)
    spiking, draw = converted.network(double=True), Draw.first(200)
    currents = spiking.encode(torch.from_numpy(digits.images[:200]), draw).double()
    names = frozenset(converted.neurons)
    with torch.no_grad():
        wanted = net.run(currents[:1], draw, RunOptions(record=names)).result.traces
        means = currents
        counted = []
        for position, at in enumerate(converted.graph.named):
            done = run_layer(at, spiking.weights, (means,), draw, (RunOptions(), position))
            means = done.output
            if at.layer.spikes:
                counted.append(done.output.sum(0))
                means = done.output.mean(0, keepdim=True).expand_as(done.output)  # evenly in time
    for name, counts in zip(converted.neurons, counted, strict=True):
        levels = (wanted[name].output[0] * LEVELS / thresholds[name]).round()
        assert torch.equal(counts, levels), name


@pytest.mark.parametrize("name", shapes(RELU))
def test_with_many_steps_the_rates_become_the_activations(name, digits):
    net = made(shapes(RELU)[name], digits, scale=2.0)
    chosen = calibration_images(net, np.arange(600), 500)
    assert len(chosen) == 500
    thresholds = balanced_thresholds(net, digits, chosen, 100.0)
    pixels, sample = torch.from_numpy(digits.images[:64]), ComparedImages(digits, np.arange(64), 0)
    apart, errors = [], []
    with torch.no_grad():
        wanted = net(pixels).logits
        for steps in (16, 64, 256):
            converted = convert_network(net.graph, net.weights, thresholds, steps)
            apart.append(float((converted.network()(pixels).logits - wanted).abs().mean() / wanted.abs().mean()))
            errors.append([one.error for one in layer_errors(net, converted, thresholds, steps, sample)])
    assert apart[2] < apart[1] < apart[0]
    assert apart[2] < 0.03
    assert np.all(np.array(errors[2]) < np.array(errors[0]) / 4)


def test_thresholds_are_the_percentile_of_each_channel_over_images_and_positions(digits):
    net = made(shapes(RELU)["convolutions"], digits)
    index = np.arange(300)
    found = balanced_thresholds(net, digits, index, 99.0)
    pixels = torch.from_numpy(digits.images[index])
    with torch.no_grad():
        traces = net(pixels, options=RunOptions(record=frozenset(found))).result.traces
    for name, threshold in found.items():
        values = traces[name].output[0].movedim(1, 0).flatten(1).numpy()
        wanted = np.percentile(values, 99.0, axis=1)
        np.testing.assert_allclose(threshold.numpy(), wanted.clip(min=0.01 * wanted.max()), rtol=1e-6)
        above = (values > threshold.numpy()[:, None]).mean()
        assert 0 < above < 0.011


def test_a_layer_that_gives_nothing_gets_threshold_one_and_a_silent_channel_a_share(digits):
    net = made((Flatten(), Linear(features=3), RELU, Linear(features=10)), digits)
    with torch.no_grad():
        net.weights["linear1.bias"][0] = -1e6
    first = balanced_thresholds(net, digits, np.arange(100), 99.9)["activation1"]
    assert first[0] == pytest.approx(0.01 * float(first.max()))
    with torch.no_grad():
        net.weights["linear1.bias"].fill_(-1e6)
    assert balanced_thresholds(net, digits, np.arange(100), 99.9)["activation1"].tolist() == [1.0, 1.0, 1.0]


HEAD = (Flatten(), Linear(features=4), RELU, Linear(features=10))
REFUSED = {
    r"layer max_pool1: the largest of several rates is no sum of spikes; average": (Conv2d(channels=2, kernel=3), RELU,
                                                                                    MaxPool(), *HEAD),
    r"layer activation1: the function tanh is no rate": (Conv2d(channels=2, kernel=3), Activation(function="tanh"),
                                                         *HEAD),
    r"layer batch_norm1: .* does not stand right behind weights": (BatchNorm(), *HEAD),
    r"layer batch_norm1: .* right behind": (Conv2d(channels=2, kernel=3), AvgPool(), BatchNorm(), *HEAD),
    r"layer activation1: no weights stand before": (RELU, *HEAD),
    r"layer activation1: a flatten layer stands between": (Conv2d(channels=2, kernel=3), Flatten(), RELU, *HEAD[1:]),
    r"layer lif1 spikes already": (Flatten(), Linear(features=4), Neuron(dynamics=LIF()), Linear(features=10)),
    r"layer add1: two paths": (Residual(main=(Conv2d(channels=1, kernel=3, padding=1), RELU)), *HEAD),
    r"it has no activations that could become neurons": (Flatten(), Linear(features=10)),
    r"it ends in an activation": (*HEAD, RELU),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_converted_is_refused_by_name(words):
    graph = Graph(image_shape=SHAPE, encoder=Direct(steps=1), layers=REFUSED[words], readout=LastMembrane())
    with pytest.raises(ConfigError, match=rf"The network 'twin' cannot be converted: {words}"):
        check_convertible(graph, name="twin")


def test_what_is_coded_otherwise_is_refused():
    def graph(**changes):
        given = {"image_shape": SHAPE, "encoder": Direct(steps=1), "layers": HEAD, "readout": LastMembrane(), **changes}
        return Graph(**given)

    check_convertible(graph(), name="twin")
    for changes, words in (
        ({"encoder": Rate(steps=1)}, r"through the encoder 'rate' in 1 steps"),
        ({"encoder": Direct(steps=4)}, r"through the encoder 'direct' in 4 steps"),
        ({"readout": SpikeCount()}, r"its readout counts spikes"),
    ):
        with pytest.raises(ConfigError, match=words):
            check_convertible(graph(**changes), name="twin")
