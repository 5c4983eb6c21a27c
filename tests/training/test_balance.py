"""A balanced start: no layer begins dead or saturated, whatever the images, the neurons or the drawn weights are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikewise.dynamics import ALIF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Direct, Latency, Rate
from spikewise.engine import RunOptions
from spikewise.evaluation.diagnosis.activity import dead_share, saturated_share
from spikewise.graph import Activation, Conv2d, GlobalAvgPool, Linear, Neuron, Residual
from spikewise.initial import Normal, Uniform
from spikewise.models import MLP, Conv, Layers, ResNet, build
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane
from spikewise.training import Silent, fit
from spikewise.training import balance as module
from spikewise.training.balance import BAND, balance, start
from spikewise.types import Draw

SHAPE = (3, 12, 12)


def pictures(low: int, high: int, count: int = 48) -> torch.Tensor:
    """Images of a few soft patches, between two levels."""
    coarse = torch.rand(count, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    fine = torch.nn.functional.interpolate(coarse, size=SHAPE[1:], mode="bilinear")
    return (low + (high - low) * fine).to(torch.uint8)


def network(model, encoder, readout=MeanMembrane(), seed=0) -> Network:  # noqa: B008  # immutable
    return Network(build(model, encoder, readout, image_shape=SHAPE, classes=4), seed=seed).eval()


def rates(net: Network, images: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return net(images, Draw.first(len(images)), RunOptions(measure=True)).result.rates


MODELS = {
    "dense": MLP(hidden=(60, 40)),
    "convolutional": Conv(channels=(8, 12), kernels=(3, 3), hidden=(30,)),
    "high threshold": MLP(hidden=(60,), cell=LIF(threshold=30.0)),
    "adaptive, recurrent": MLP(hidden=(60,), cell=ALIF(), recurrent=True),
    "izhikevich": MLP(hidden=(60,), cell=Izhikevich()),
    "without bias": MLP(hidden=(60,), bias=False),
    "tiny weights": MLP(hidden=(60, 40), init=Normal(sd=1e-4)),
    "huge weights": Conv(channels=(8,), kernels=(3,), init=Uniform(gain=300.0)),
    "spikes to count": MLP(hidden=(60,), output=LIF()),
    "current-based": MLP(hidden=(60, 40), cell=CubaLIF()),
    "pooled currents": Conv(channels=(8,), kernels=(3,), pool_before_cell=True),
}


@pytest.mark.parametrize("encoder", [Rate(steps=12), Direct(steps=5), Latency(steps=30)], ids=lambda one: one.kind)
@pytest.mark.parametrize("name", MODELS)
def test_every_spiking_layer_starts_in_the_band(name, encoder):
    if name == "izhikevich" and encoder.kind == "direct":
        pytest.skip("five steps of a millisecond are too few for its membrane")
    net, images = network(MODELS[name], encoder), pictures(0, 255)
    found = balance(net, images, Draw.first(len(images)))
    measured = rates(net, images)
    assert [one.layer for one in found] == list(net.graph.spiking_layers)
    for one in found:
        assert one.reached
        assert BAND[0] <= float(measured[one.layer].mean()) <= BAND[1]
        assert float(measured[one.layer].mean()) == pytest.approx(one.rate, rel=1e-3)


@pytest.mark.parametrize(("low", "high"), [(0, 60), (200, 255)], ids=["dark", "bright"])
@pytest.mark.parametrize("model", [MODELS["dense"], MODELS["convolutional"]], ids=["dense", "convolutional"])
def test_neither_dark_nor_bright_images_leave_a_layer_dead_or_saturated(model, low, high):
    images = pictures(low, high)
    level = float(images.float().mean() / 255), float(images.float().std() / 255)
    standardised = Direct(steps=5, mean=level[:1], deviation=level[1:])  # as an experiment has it
    drawn, balanced = network(model, Direct(steps=5)), network(model, standardised)
    balance(balanced, images, Draw.first(len(images)))
    before, after = rates(drawn, images), rates(balanced, images)
    assert max(dead_share(rate) + saturated_share(rate) for rate in before.values()) > 0.5
    assert max(dead_share(rate) + saturated_share(rate) for rate in after.values()) < 0.2


def test_conventional_layers_get_currents_of_mean_0_and_variance_1():
    model = Conv(channels=(8, 12), kernels=(3, 3), hidden=(30,), cell=Activation(), output="none")
    net, images = network(model, Direct(steps=1), LastMembrane()), pictures(100, 255)
    assert balance(net, images, Draw.first(len(images))) == ()
    weights, x = net.weights, images.float() / 255
    for name in ("conv2d1", "conv2d2"):
        x = torch.nn.functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        _standard(x.transpose(0, 1).flatten(1))
        x = torch.nn.functional.max_pool2d(x.relu(), 2)
    _standard(torch.nn.functional.linear(x.flatten(1), weights["linear1.weight"], weights["linear1.bias"]).T)


def _standard(rows: torch.Tensor) -> None:
    torch.testing.assert_close(rows.mean(1), torch.zeros(len(rows)), rtol=0, atol=1e-4)
    torch.testing.assert_close(rows.std(1, correction=0), torch.ones(len(rows)), rtol=1e-3, atol=0)


def test_logits_are_made_smaller_where_they_spread_too_far_and_never_larger():
    images, draw = pictures(0, 255), Draw.first(48)

    def spread(net: Network) -> float:
        logits = net(images, draw).logits.detach()
        return float((logits - logits.mean(1, keepdim=True)).square().mean().sqrt())

    loud = network(MLP(hidden=(), output=LeakyIntegrator(), init=Uniform(gain=50.0)), Direct(steps=5))
    quiet = network(MLP(hidden=(), output=LeakyIntegrator(), init=Uniform(gain=0.01)), Direct(steps=5))
    before = {name: value.detach().clone() for name, value in quiet.weights.items()}
    balance(loud, images, draw)
    balance(quiet, images, draw)
    assert spread(loud) == pytest.approx(1.0, rel=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in quiet.weights.items())


def test_batch_normalisation_is_left_to_do_it():
    net = network(Conv(channels=(8,), kernels=(3,), batch_norm=True), Direct(steps=5))
    before = {name: value.detach().clone() for name, value in net.weights.items() if "conv" in name}
    balance(net, pictures(0, 255), Draw.first(48))
    assert all(torch.equal(net.weights[name], value) for name, value in before.items())


@pytest.mark.parametrize("shortcut", ["membrane", "sew", "current"])
def test_blocks_are_left_to_their_normalisation_and_the_logits_are_bounded(shortcut):
    net, images = network(ResNet(channels=(8, 12), shortcut=shortcut), Direct(steps=5)), pictures(0, 255)
    before = {name: value.detach().clone() for name, value in net.weights.items() if "conv" in name}
    assert balance(net, images, Draw.first(48)) == ()
    assert all(torch.equal(net.weights[name], value) for name, value in before.items())
    assert float(net(images, Draw.first(48)).logits.detach().std()) < 1.5


def test_both_paths_into_a_sum_get_currents_of_variance_1():
    block = Residual(
        main=(Conv2d(channels=6, kernel=3, padding=1), Neuron(dynamics=LIF()), Conv2d(channels=6, kernel=3, padding=1)),
        shortcut=(Conv2d(channels=6, kernel=1),),
    )
    net = network(
        Layers(sequence=(block, Neuron(dynamics=LIF()), GlobalAvgPool(), Linear(features=4))), Direct(steps=5)
    )
    images = pictures(0, 255)
    assert [one.layer for one in balance(net, images, Draw.first(48))] == ["lif1"]
    with torch.no_grad():
        options = RunOptions(record=frozenset({"conv2d2", "conv2d3"}))
        traces = Network.run(net, net.encode(images, Draw.first(48)), Draw.first(48), options).result.traces
    for trace in traces.values():
        _standard(trace.output.flatten(0, 1).movedim(1, 0).flatten(1))


def test_the_same_seed_starts_alike_and_no_input_that_is_always_the_same_is_blown_up():
    images = pictures(0, 255)
    images[:, 0] = 0
    first, second = (network(MODELS["convolutional"], Direct(steps=5), seed=3) for _ in range(2))
    for one in (first, second):
        balance(one, images, Draw.first(48))
    assert all(torch.equal(value, second.weights[name]) for name, value in first.weights.items())
    black = network(MODELS["dense"], Direct(steps=5))
    balance(black, images * 0, Draw.first(48))
    assert all(torch.isfinite(value).all() for value in black.weights.values())


def test_a_layer_that_no_scale_can_wake_is_told_and_drawn_weights_stay(make_task, make_network):
    task = make_task(initial="balanced")
    [said] = start(make_network(MLP(hidden=(20,), cell=LIF(threshold=1e9))), task)
    assert "lif1 starts with 0 spikes per neuron and step" in said
    assert start(make_network(), task) == ()
    drawn, untouched = make_network(), make_network()
    assert start(drawn, make_task(initial="drawn")) == ()
    assert all(torch.equal(value, untouched.weights[name]) for name, value in drawn.weights.items())


def test_a_training_begins_there_and_says_what_could_not_be_reached(make_task, make_network, tmp_path):
    said = []

    class Ears(Silent):
        def said(self, text):
            said.append(text)

    network = make_network(MLP(hidden=(20,), cell=LIF(threshold=1e9)))
    fit(network, make_task(epochs=2, initial="balanced"), tmp_path, Ears())
    assert [text for text in said if "no scale of its weights" in text] == said[:1]
    balanced, drawn = make_network(), make_network()
    fit(balanced, make_task(epochs=1, learning_rate=1e-12, initial="balanced"), tmp_path / "balanced")
    fit(drawn, make_task(epochs=1, learning_rate=1e-12), tmp_path / "drawn")
    started = make_network()
    start(started, make_task(initial="balanced"))
    for name, value in started.weights.items():
        torch.testing.assert_close(balanced.weights[name], value)
        torch.testing.assert_close(drawn.weights[name], make_network().weights[name])


def test_trainings_that_differ_in_their_rates_share_one_start_and_others_have_their_own(
    make_task, make_network, monkeypatch
):
    sought = []

    def counted(*given, weights):
        sought.append(given)
        return balance(*given, weights=weights)

    monkeypatch.setattr(module, "balance", counted)
    task = make_task(initial="balanced", seed=31)
    alike = [make_network(seed=31) for _ in range(3)]
    for one, rate in zip(alike, (1e-4, 1e-3, 1e-2), strict=True):
        start(one, replace(task, train=task.train.replace(learning_rate=rate)))
    assert len(sought) == 1
    for name, value in alike[0].weights.items():
        assert all(torch.equal(value, other.weights[name]) for other in alike)
        assert value.data_ptr() != alike[1].weights[name].data_ptr()
    fewer = replace(task, split=task.split._replace(train=task.split.train[1:]))
    brighter = replace(task, images=replace(task.images, images=task.images.images + np.uint8(9)))
    for number, (seed, learns) in enumerate([(32, task), (31, task), (31, fewer), (31, brighter)], start=2):
        other, again = make_network(seed=seed), make_network(seed=seed)
        start(other, learns)
        assert len(sought) == number
        _, images, draw = sought[-1]
        balance(again, images, draw)
        assert all(torch.equal(value, again.weights[name]) for name, value in other.weights.items())
