"""The engine of the page answers in node as the network does here."""

import json
from typing import Literal

import numpy as np
import pytest
from exportable import LAYERS, OUT, SMOOTH, dyadic, graph_of, images
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import dyadic as on_grid
from networks import graphs, images_for

from spikewise.dynamics import LIF, RegisteredNeuron
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.errors import ConfigError, DataError, DependencyError
from spikewise.graph import Activation, Conv2d, Flatten, Linear, Neuron
from spikewise.interop import Wish, deploy
from spikewise.interop.html import FORMAT
from spikewise.interop.html.assets import script_of
from spikewise.interop.html.coarse import coarse
from spikewise.interop.html.page import network_page
from spikewise.interop.html.running import _Browser, _Node, programs
from spikewise.interop.runtime import Here, PageContent
from spikewise.network import Network
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount

WISH = Wish(classes=("a", "b", "c"), seed=5)
pytestmark = pytest.mark.skipif(programs()[0] is None, reason="runs the page's engine: needs the Debian package nodejs")


def opened(network, folder, wish=WISH):
    deployed = deploy(network)
    written = FORMAT.write(deployed, folder, wish)
    return FORMAT.open(deployed, folder, written.main, wish)


def agree(network, folder, count=6, wish=WISH, pixels=None):
    """Same spikes, same scores but for the last bit, same answers."""
    pixels = images(count, network.graph.image_shape) if pixels is None else pixels
    ours, theirs = Here(network, seed=wish.seed)(pixels), opened(network, folder, wish).runtime(pixels)
    assert list(ours.spikes) == list(theirs.spikes)
    for name, sent in ours.spikes.items():
        np.testing.assert_array_equal(sent, theirs.spikes[name], err_msg=name)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(ours.scores.argmax(1), theirs.scores.argmax(1))
    return ours


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_and_neuron_says_the_same(name, tmp_path):
    ours = agree(dyadic(graph_of(LAYERS[name], Rate(steps=6), MeanMembrane())), tmp_path)
    assert all((sent != 0).any() for sent in ours.spikes.values()) or not ours.spikes  # else nothing is compared


ENCODERS = [
    Rate(steps=5),
    Latency(steps=9, tau=4.0, threshold=0.25),
    Periodic(steps=9, tau=4.0, threshold=0.25),
    Periodic(steps=1),
    Direct(steps=4, mean=(0.5,), deviation=(0.25,)),
    Direct(steps=1, mean=(0.5, 0.25), deviation=(0.25, 0.5)),
    Delta(steps=7, threshold=0.2, amplitude=2),
    Delta(steps=9, amplitude=5),  # further than the image is wide
]
READOUTS = [SpikeCount(), MaxMembrane(), MeanMembrane(), LastMembrane(scale=2.0), FilteredSum(decay=0.75)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("name", ["lif", "residual", "the image past neurons"])
def test_every_encoder_sends_the_same(name, encoder, tmp_path):
    if name == "the image past neurons" and isinstance(encoder, Delta):
        pytest.skip("its two channels are four of a sensor")
    agree(dyadic(graph_of(LAYERS[name], encoder, MaxMembrane())), tmp_path)


@pytest.mark.parametrize("readout", READOUTS, ids=str)
@pytest.mark.parametrize("name", ["lif", "cuba", "recurrent alif", "global average"])
def test_every_readout_reads_the_same(name, readout, tmp_path):
    if name in ("recurrent alif", "global average") and isinstance(readout, SpikeCount):
        pytest.skip("its last layer has no spikes to count")
    agree(dyadic(graph_of(LAYERS[name], Rate(steps=6), readout)), tmp_path)


@pytest.mark.parametrize("function", SMOOTH)
def test_smooth_functions_are_the_same_but_for_rounding(function, tmp_path):
    layers = (Flatten(), Linear(features=9), Activation(function=function), Linear(features=3))
    agree(dyadic(graph_of(layers, Rate(steps=4), MeanMembrane())), tmp_path)


@settings(max_examples=15, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 2**62))
def test_random_networks_say_the_same(graph, seed, tmp_path_factory):
    network = on_grid(Network(graph), seed=seed % 1000)
    agree(network, tmp_path_factory.mktemp("page"), wish=WISH._replace(seed=seed), pixels=images_for(graph))


def test_energy_is_that_of_the_run(tmp_path):
    """Whatever the layers: what the page adds up is what the energy models say of the counted work."""
    import torch

    from spikewise.engine import RunOptions
    from spikewise.evaluation.cost import ENERGY_MODELS, layer_work
    from spikewise.interop.html.costs import costs
    from spikewise.types import Draw

    for name in ("lif", "recurrent lif", "sums", "groups", "spikes added", "the image past a convolution"):
        network = dyadic(graph_of(LAYERS[name], Direct(steps=4) if "image" in name else Rate(steps=4), MeanMembrane()))
        graph, told = network.graph, costs(network.graph, 3)
        with torch.no_grad():
            pixels, draw = torch.from_numpy(images(1, graph.image_shape)), Draw(0, 0, torch.zeros(1, dtype=torch.int64))
            events = network(pixels, draw, RunOptions(measure=True)).result.input_events
        for model in ENERGY_MODELS:
            expected, priced = model.price(layer_work(graph, events), 3), told["models"][model.name]
            if expected is None:
                assert priced is None
                continue
            found = priced["time"][0] + priced["time"][1] * graph.steps
            for key, (arrival, synapse) in priced["layers"].items():
                at = next(one for one in graph.named if one.name == key.removesuffix(".recurrent"))
                reached = at.layer.fan_out(at.input) if at.name == key else float(at.layer.feedback(at.output))
                passes = 1 if at.name == key and at.arriving.constant else graph.steps
                found += passes * float((events[key] * (arrival + synapse * reached)).sum())
            assert found == pytest.approx(expected, rel=1e-5), (name, model.name)


def test_a_convolution_that_reads_its_padding_alone_leaves(tmp_path):
    """None of its inputs reaches an output, so that no synapse says what one costs."""
    blind = Conv2d(channels=2, kernel=1, stride=(1, 3), padding=(0, 1))
    layers = (Conv2d(channels=2, kernel=(1, 7)), Neuron(dynamics=LIF(beta=0.75)), blind, Flatten(), Linear(features=3))
    graph = graph_of(layers, Rate(steps=4), MeanMembrane())
    assert not blind.fan_out(graph.named[2].input).any()
    agree(dyadic(graph), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"networks":[{', '"networks":[],"others":[{', "does not run"),
        ("Math.fround", "Math.floor", "its engine is not the one"),
        ('id="engine"', 'id="motor"', "no engine"),
    ],
)
def test_a_damaged_page_is_told_and_a_foreign_engine_is_never_run(old, new, words, tmp_path):
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=3), MeanMembrane()))
    deployed = deploy(network)
    path = tmp_path / FORMAT.write(deployed, tmp_path, WISH).main
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=words):
        FORMAT.open(deployed, tmp_path, path.name, WISH).runtime(images(2))


def test_without_anything_that_runs_javascript_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match="apt install nodejs"):
        opened(dyadic(graph_of(LAYERS["lif"], Rate(steps=3), MeanMembrane())), tmp_path)


def test_a_neuron_from_outside_is_refused_by_the_name_of_its_layer(tmp_path):
    from spikewise.api import register

    class Own(LIF):
        kind: Literal["own lif of a page"] = "own lif of a page"

    register(Own)
    layers = (
        Flatten(),
        Linear(features=4),
        Neuron(dynamics=RegisteredNeuron(name=Own.model_fields["kind"].default)),
        *OUT[1:],
    )
    with pytest.raises(ConfigError, match="Layer own lif of a page1"):
        FORMAT.write(deploy(Network(graph_of(layers, Rate(steps=2), MeanMembrane()))), tmp_path, WISH)


def test_names_of_classes_cannot_leave_the_script_that_holds_them(tmp_path):
    odd = ("</script><script>alert(1)</script>", "<!--", "&amp;")
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=3), MeanMembrane()))
    path = tmp_path / FORMAT.write(deploy(network), tmp_path, WISH._replace(classes=odd)).main
    model = json.loads(script_of(path.read_text(), "model"))
    assert tuple(model["classes"]) == odd
    assert "alert(1)" not in path.read_text().replace(script_of(path.read_text(), "model"), "")


def test_a_twin_that_has_no_room_is_rounded_and_the_network_itself_never(tmp_path, monkeypatch):
    twin = deploy(
        Network(graph_of((Flatten(), Linear(features=40), Activation(), *OUT), Direct(steps=1), LastMembrane()))
    )
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=3), MeanMembrane()))
    wish = WISH._replace(beside=lambda: PageContent(twin=twin, images=images(50, network.graph.image_shape)))
    exact = network_page(deploy(network), wish)
    assert "twin's answers with rounded weights" not in exact.facts
    monkeypatch.setattr("spikewise.interop.html.page._LARGE", len(exact.text.encode()) - 1)
    small = network_page(deploy(network), wish)
    assert len(small.text.encode()) < len(exact.text.encode())
    assert small.facts["twin's answers with rounded weights"] in small.text
    assert not small.warnings
    agree(network, tmp_path, wish=wish)  # the page that is written is the small one
    monkeypatch.setattr("spikewise.interop.html.page._LARGE", 1000)
    assert "fewer would change spikes" in network_page(deploy(network), wish).warnings[0]


@pytest.mark.parametrize("levels", [64, 8])
def test_rounding_moves_weights_by_half_a_level_at_most(levels):
    network = deploy(
        Network(graph_of((Flatten(), Linear(features=40), Activation(), *OUT), Direct(steps=1), LastMembrane()))
    )
    rounded = coarse(network, levels)
    assert set(rounded.steps) == {"linear1.weight", "linear2.weight"}
    for name, step in rounded.steps.items():
        was, now = network.weights[name].double(), rounded.network.weights[name].double()
        assert step == pytest.approx(float(was.square().mean().sqrt()) / levels)
        assert float((was - now).abs().max()) <= step * 0.501
        assert float((was - now).square().mean().sqrt()) == pytest.approx(step / 12**0.5, rel=0.15)
        np.testing.assert_allclose(now / step, (now / step).round(), atol=1e-3)


def test_the_browser_answers_as_node_does(tmp_path):
    if programs()[1] is None:
        pytest.skip("needs the Debian package chromium")
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=3), MeanMembrane()))
    path = tmp_path / FORMAT.write(deploy(network), tmp_path, WISH).main
    parts = (script_of(path.read_text(), name) for name in ("model", "numbers"))
    browser, pixels = _Browser(programs()[1], *parts), images(5)
    line, content = _Node(programs()[0], path)(pixels)
    assert browser(pixels) == (line, content)
