"""The exported Python file does in snnTorch what the network does here."""

import re

import numpy as np
import pytest
import torch
from exportable import LAYERS, SHAPE, dyadic, graph_of, images, neurons
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewise.dynamics import CubaLIF
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.errors import ConfigError, DataError
from spikewise.graph import Flatten, Graph, Linear
from spikewise.interop import CheckImages, Wish, deploy, export_network, verify_bundle
from spikewise.interop.check import Source
from spikewise.interop.runtime import Here
from spikewise.interop.snntorch import FORMAT
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount

pytest.importorskip("snntorch")
WISH = Wish(classes=("a", "b", "c"), seed=5)
REFUSED = {
    "lif, later reset to zero": "Layer lif1 resets to zero one step late",
    "two phases": "Layer two_phase_if1: snnTorch has no neurons of kind 'two_phase_if'",
    "alif": "Layer alif1: snnTorch has no neurons of kind 'alif'",
    "recurrent alif": "Layer alif1: snnTorch has no neurons of kind 'alif'",
    "izhikevich": "Layer izhikevich1: snnTorch has no neurons of kind 'izhikevich'",
    "spiking activations": "Layer spiking_activation1",
    "quantised": "Layer qcfs1",
}
SAID = sorted(LAYERS.keys() - REFUSED.keys())


def opened(network, folder):
    deployed = deploy(network)
    written = FORMAT.write(deployed, folder, WISH)
    return FORMAT.open(deployed, folder, written.main, WISH)


def agree(network, folder, count=6):
    pixels = images(count, network.graph.image_shape)
    ours, theirs = Here(network, seed=WISH.seed)(pixels), opened(network, folder).runtime(pixels)
    assert list(ours.spikes) == list(theirs.spikes)
    for name, sent in ours.spikes.items():
        np.testing.assert_array_equal(sent, theirs.spikes[name], err_msg=name)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(ours.scores.argmax(1), theirs.scores.argmax(1))
    return ours


@pytest.mark.parametrize("name", SAID)
def test_every_layer_that_snntorch_has_sends_the_same(name, tmp_path):
    agree(dyadic(graph_of(LAYERS[name], Rate(steps=6), MeanMembrane())), tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_what_snntorch_has_not_is_refused_by_name(name, tmp_path):
    network = dyadic(graph_of(LAYERS[name], Rate(steps=6), MeanMembrane()))
    with pytest.raises(ConfigError, match=rf"{REFUSED[name]}.*(xport to onnx)"):
        FORMAT.write(deploy(network), tmp_path, WISH)
    assert not list(tmp_path.iterdir())


ENCODERS = [
    Rate(steps=5),
    Latency(steps=9, tau=4.0, threshold=0.25),
    Periodic(steps=9, tau=4.0, threshold=0.25),
    Direct(steps=4),
    Direct(steps=4, mean=(0.5, 0.25), deviation=(0.25, 0.5)),
    Delta(steps=7, threshold=0.2, amplitude=2),
    Delta(steps=9, amplitude=5),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_every_encoder_sends_the_same(encoder, tmp_path):
    agree(dyadic(graph_of(LAYERS["lif"], encoder, MaxMembrane())), tmp_path)


@pytest.mark.parametrize(
    "readout", [SpikeCount(), MaxMembrane(), MeanMembrane(), LastMembrane(scale=2.0), FilteredSum(decay=0.75)], ids=str
)
@pytest.mark.parametrize("name", ["lif", "lif, reset to zero", "lif, no reset", "lif, later reset", "cuba"])
def test_every_readout_reads_the_membrane_that_met_the_threshold(name, readout, tmp_path):
    agree(dyadic(graph_of(LAYERS[name], Rate(steps=5), readout), seed=1), tmp_path)


@settings(max_examples=10)
@given(name=st.sampled_from(SAID), seed=st.integers(0, 10**6), steps=st.integers(1, 8), count=st.integers(1, 4))
def test_any_weights_steps_and_batch(tmp_path_factory, name, seed, steps, count):
    agree(dyadic(graph_of(LAYERS[name], Rate(steps=steps), MeanMembrane()), seed), tmp_path_factory.mktemp("e"), count)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("delay", [False, True])
def test_cuba_with_every_reset(reset, delay, tmp_path):
    layers = (
        Flatten(),
        Linear(features=12),
        neurons(CubaLIF, alpha=0.5, reset=reset, reset_delay=delay),
        *LAYERS["lif"][2:],
    )
    agree(dyadic(graph_of(layers, Rate(steps=6), SpikeCount())), tmp_path)


def test_a_membrane_far_above_the_threshold_is_lowered_once(tmp_path):
    """Where snnTorch's own reset in the same step would subtract twice."""
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=6), SpikeCount()))
    with torch.no_grad():
        network.weights["linear1.weight"].mul_(4)
    agree(network, tmp_path)
    import snntorch

    text = (tmp_path / "network.py").read_text()
    assert "LeakyNow(" in text
    current = torch.tensor([[3.5], [0.0], [0.0]])
    theirs, mem = snntorch.Leaky(beta=1.0, reset_delay=False), None
    sent = []
    for now in current:
        spike, mem = theirs(now, mem)
        sent.append(int(spike))
    assert sent == [1, 1, 0]  # three thresholds and a half are three spikes: the reason for the subclass


def test_ties_and_silence_are_broken_as_here(tmp_path):
    layers = (Flatten(), Linear(features=9), neurons(threshold=2.0))
    network = dyadic(Graph(image_shape=SHAPE, encoder=Rate(steps=3), layers=layers, readout=SpikeCount()), seed=2)
    with torch.no_grad():
        network.weights["linear1.weight"][:, 20:] = 0
        network.weights["linear1.weight"][3:6] = network.weights["linear1.weight"][0]
        network.weights["linear1.bias"].zero_()
    agree(network, tmp_path, 60)
    with torch.no_grad():
        network.weights["linear1.weight"].zero_()
    agree(network, tmp_path)


def test_a_program_that_knows_nothing_of_us_uses_the_file(tmp_path):
    """Imported by its path, called with bytes; gradients pass, so that it can be trained on."""
    import importlib.util

    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    opened(network, tmp_path)
    text = (tmp_path / "network.py").read_text()
    assert "spikewise" not in re.sub(r"Written by spikewise", "", text)
    assert max(map(len, text.splitlines())) <= 120 + 40
    spec = importlib.util.spec_from_file_location("network", tmp_path / "network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load()
    pixels = images(4)
    sent = {}
    scores = model(torch.from_numpy(pixels), sent)
    ours = Here(network, seed=WISH.seed)(pixels)
    np.testing.assert_array_equal(scores.detach().numpy(), ours.scores)
    np.testing.assert_array_equal(torch.stack(sent["lif1"]).detach().numpy(), ours.spikes["lif1"])
    scores.sum().backward()
    assert model.linear1.weight.grad.abs().sum() > 0
    assert module.CLASSES == ["a", "b", "c"]


def test_a_file_that_was_touched_is_not_run(tmp_path):
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    opened(network, tmp_path)
    path = tmp_path / "network.py"
    path.write_text(path.read_text() + "\nraise SystemExit('it ran')\n")
    with pytest.raises(DataError, match=r"is not what spikewise .* writes for this network.*it is not run"):
        FORMAT.open(deploy(network), tmp_path, path.name, WISH)


@pytest.mark.parametrize("damage", ["cut", "gone", "another"])
def test_damaged_weights_are_told(damage, tmp_path):
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    opened(network, tmp_path)
    text, path = (tmp_path / "network.py").read_text(), tmp_path / "network.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "gone":
        path.unlink()
    else:
        opened(dyadic(graph_of(LAYERS["residual"], Rate(steps=5), MaxMembrane())), tmp_path)
        (tmp_path / "network.py").write_text(text)
    with pytest.raises(DataError, match=r"network.safetensors is damaged"):
        FORMAT.open(deploy(network), tmp_path, "network.py", WISH)


def test_the_check_passes_and_is_repeated(tmp_path):
    network = dyadic(graph_of(LAYERS["pools"], Rate(steps=5), MeanMembrane()))
    source = Source(run="a run", network="snn", seed=5, classes=("a", "b", "c"), data="squares")
    pixels = CheckImages(images(20), np.arange(20) % 3)
    made, check = export_network(network, "snntorch", pixels, source, tmp_path / "out", wish=WISH)
    assert check.passed
    assert check.judged.runtime.startswith("snnTorch 1.")
    assert [one.name for one in check.files] == ["network.py", "network.safetensors"]
    again = verify_bundle(made.file)
    assert again.check.passed
    assert not again.changed
