"""The engine of the page answers in node as the network does here."""

import numpy as np
import pytest
from exportable import LAYERS, SMOOTH, dyadic, graph_of, images
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import dyadic as on_grid
from networks import graphs, images_for

from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.graph import Activation, Flatten, Linear
from spikewise.interop import Wish, deploy
from spikewise.interop.html import FORMAT
from spikewise.interop.html.running import programs
from spikewise.interop.runtime import Here
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
