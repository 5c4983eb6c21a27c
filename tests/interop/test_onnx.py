"""The ONNX file answers in onnxruntime as the network does here."""

import builtins
import json

import numpy as np
import pytest
import torch
from exportable import LAYERS, SHAPE, SMOOTH, dyadic, graph_of, images, neurons
from hypothesis import given, settings
from hypothesis import strategies as st
from presets import PRESETS, drawn_set, networks_of, real_set

from spikewise.dynamics import ALIF, CubaLIF, Izhikevich
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.errors import ConfigError, DataError, DependencyError
from spikewise.evaluation.prediction import fitting_batch
from spikewise.evaluation.ties import evidence_of
from spikewise.experiments import resolve
from spikewise.graph import Activation, Flatten, Graph, Linear
from spikewise.interop import Wish, deploy
from spikewise.interop.onnx import FORMAT
from spikewise.interop.runtime import Here
from spikewise.network import Network
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
WISH = Wish(classes=("a", "b", "c"), seed=5)


def opened(network, folder, wish=WISH):
    deployed = deploy(network)
    written = FORMAT.write(deployed, folder, wish)
    return FORMAT.open(deployed, folder, written.main, wish)


def agree(network, folder, count=6, wish=WISH):
    """Same spikes, same scores but for the last bit, same answers."""
    shape = network.graph.image_shape
    pixels = images(count, shape)
    ours, theirs = Here(network, seed=wish.seed)(pixels), opened(network, folder, wish).runtime(pixels)
    assert list(ours.spikes) == list(theirs.spikes)
    for name, sent in ours.spikes.items():
        np.testing.assert_array_equal(sent, theirs.spikes[name], err_msg=name)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(ours.scores.argmax(1), theirs.scores.argmax(1))
    return ours


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_and_neuron_says_the_same(name, tmp_path):
    graph = graph_of(LAYERS[name], Rate(steps=6), MeanMembrane())
    ours = agree(dyadic(graph), tmp_path)
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
    agree(dyadic(graph_of(LAYERS[name], Rate(steps=5), readout)), tmp_path)


@pytest.mark.parametrize("encoder", [Rate(steps=70), Direct(steps=70, mean=(0.5,), deviation=(0.25,))], ids=str)
@pytest.mark.parametrize("name", ["lif", "cuba", "two phases", "recurrent alif", "spiking activations", "izhikevich"])
def test_many_steps_are_scanned_and_say_the_same(name, encoder, tmp_path):
    if name == "spiking activations" and isinstance(encoder, Direct):
        pytest.skip("a slope of 0.01 and a pixel of 1/255 round")
    agree(dyadic(graph_of(LAYERS[name], encoder, FilteredSum(decay=0.5))), tmp_path)
    kinds = {node.op_type for node in onnx.load(tmp_path / "network.onnx").graph.node}
    assert "Scan" in kinds


@settings(max_examples=15)
@given(
    name=st.sampled_from(sorted(LAYERS)),
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 8),
    count=st.integers(1, 5),
    readout=st.sampled_from([one for one in READOUTS if not isinstance(one, SpikeCount)]),
)
def test_any_weights_steps_and_batch(tmp_path_factory, name, seed, steps, count, readout):
    network = dyadic(graph_of(LAYERS[name], Rate(steps=steps), readout), seed)
    agree(network, tmp_path_factory.mktemp("export"), count)


def plain(path, pixels, names=None):
    """What a user's program gets from a file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = names or [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": pixels}), strict=True))


def test_the_file_answers_a_program_that_knows_nothing_of_us(tmp_path):
    """Scores, evidence after each step with ties broken, and spikes counted by layer, for any number of images."""
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    here = Here(network, seed=WISH.seed)
    opened(network, tmp_path)
    for count in (1, 9):
        pixels = images(count)
        found, ours = plain(tmp_path / "network.onnx", pixels), here(pixels)
        assert list(found) == ["scores", "evidence", "spikes_per_layer"]
        np.testing.assert_array_equal(found["scores"], ours.scores)
        sums = [sent.sum((0, *range(2, sent.ndim))) for sent in ours.spikes.values()]
        np.testing.assert_array_equal(found["spikes_per_layer"], np.stack(sums, 1))
        with torch.no_grad():
            draw = here.draw(count)
            evidence = evidence_of(network.graph.readout, network(torch.from_numpy(pixels), draw), draw.index)
        np.testing.assert_array_equal(found["evidence"], evidence.numpy())


def test_spikes_that_are_worth_less_than_one_and_below_zero_are_counted(tmp_path):
    network = dyadic(graph_of(LAYERS["spiking activations"], Rate(steps=5), MeanMembrane()), seed=4)
    ours = agree(network, tmp_path)
    assert any((sent < 0).any() for sent in ours.spikes.values())
    found = plain(tmp_path / "network.onnx", images(6), ["spikes_per_layer"])["spikes_per_layer"]
    sums = [np.abs(sent).sum((0, *range(2, sent.ndim))) for sent in ours.spikes.values()]
    np.testing.assert_array_equal(found, np.stack(sums, 1))


def test_ties_are_broken_as_here(tmp_path):
    """Of nine outputs that count few spikes many share the highest count; some outputs have equal membranes, too."""
    layers = (Flatten(), Linear(features=9), neurons(threshold=2.0))
    network = dyadic(Graph(image_shape=SHAPE, encoder=Rate(steps=3), layers=layers, readout=SpikeCount()), seed=2)
    with torch.no_grad():
        weight = network.weights["linear1.weight"]
        weight[:, 20:] = 0
        weight[3:6] = weight[0]
        network.weights["linear1.bias"].zero_()
    pixels = images(60)
    with torch.no_grad():
        counts = network(torch.from_numpy(pixels), Here(network, seed=WISH.seed).draw(60)).logits
    assert ((counts == counts.amax(1, keepdim=True)).sum(1) > 1).float().mean() > 0.2
    agree(network, tmp_path, 60)


def test_an_output_that_is_silent_is_drawn_as_here(tmp_path):
    network = Network(graph_of((Flatten(), Linear(features=5, bias=False), neurons()), Rate(steps=3), SpikeCount()))
    with torch.no_grad():
        network.weights["linear1.weight"].zero_()
    agree(network, tmp_path)


@pytest.mark.parametrize("function", SMOOTH)
def test_functions_that_round_are_nearly_the_same(function, tmp_path):
    network = dyadic(graph_of((Flatten(), Linear(features=9), Activation(function=function), *LAYERS["lif"][1:]),
                              Direct(steps=2), MaxMembrane()))  # fmt: skip
    pixels = images(4)
    theirs = opened(network, tmp_path).runtime(pixels)
    np.testing.assert_allclose(theirs.scores, Here(network)(pixels).scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dynamics", [ALIF(), CubaLIF(), Izhikevich()], ids=lambda one: one.kind)
def test_real_weights_differ_in_a_few_of_a_million_spikes(dynamics, tmp_path):
    layers = (Flatten(), Linear(features=200), neurons(type(dynamics)), Linear(features=3))
    network = Network(graph_of(layers, Rate(steps=20), MeanMembrane()), seed=1)
    with torch.no_grad():
        network.weights["linear1.weight"].mul_(3)
    pixels = images(100)
    ours, theirs = Here(network, seed=WISH.seed)(pixels), opened(network, tmp_path).runtime(pixels)
    ((name, sent),) = ours.spikes.items()
    assert sent.any()
    assert (sent != theirs.spikes[name]).mean() <= 10e-6


def test_what_is_in_the_file_says_where_it_comes_from(tmp_path):
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    opened(network, tmp_path, WISH._replace(data="squares"))
    model = onnx.load(tmp_path / "network.onnx")
    said = {one.key: one.value for one in model.metadata_props}
    assert json.loads(said["classes"]) == ["a", "b", "c"]
    assert json.loads(said["spiking_layers"]) == ["lif1", "lif2"]
    assert said["data"] == "squares"
    assert said["steps"] == "5"
    assert said["seed"] == "5"
    assert "0 black and 255 white" in said["preprocessing"]
    assert [one.version for one in model.opset_import] == [21]


def test_the_first_layer_of_constant_currents_is_computed_once(tmp_path):
    """Its weights meet the images, not the frames of all steps."""
    network = dyadic(graph_of(LAYERS["lif"], Direct(steps=8), SpikeCount()))
    opened(network, tmp_path)
    model = onnx.load(tmp_path / "network.onnx")
    kinds = [node.op_type for node in model.graph.node]
    before = kinds[: kinds.index("Greater")]
    assert "Split" not in before
    assert "Expand" not in before


def test_what_the_format_has_not_is_refused_in_words(tmp_path, monkeypatch):
    network = deploy(dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount())))
    with pytest.raises(ConfigError, match="no dialect 'norse'"):
        FORMAT.write(network, tmp_path, WISH._replace(tool="norse"))
    with pytest.raises(ConfigError, match="no integers"):
        FORMAT.write(network, tmp_path, WISH._replace(numbers="int8"))
    monkeypatch.setattr("spikewise.interop.onnx.model._MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="an ONNX file holds 2 GiB"):
        FORMAT.write(network, tmp_path, WISH)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    network = deploy(dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount())))
    real = builtins.__import__

    def without(name, *more, **named):
        if name == "spikewise.interop.onnx.model":
            raise ModuleNotFoundError("No module named 'onnx'")
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=r"No module named 'onnx'.*pip install 'spikewise\[onnx\]'"):
        FORMAT.write(network, tmp_path, WISH)


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("damage", ["cut", "words", "another"])
def test_a_damaged_file_is_told(damage, foreign, tmp_path):
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    opened(network, tmp_path)
    path = tmp_path / "network.onnx"
    if damage == "another":
        opened(dyadic(graph_of(LAYERS["residual"], Rate(steps=3), MaxMembrane())), tmp_path)
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else b"no model at all")
    with pytest.raises(DataError, match=r"network\.onnx is damaged, or is no export of this network"):
        FORMAT.open(deploy(network), tmp_path, path.name, WISH._replace(foreign=foreign)).runtime(images(2))


def test_a_file_from_elsewhere_runs_in_a_process_of_its_own_and_says_the_same(tmp_path):
    network = dyadic(graph_of(LAYERS["pools"], Rate(steps=5), MeanMembrane()))
    near = opened(network, tmp_path)
    far = FORMAT.open(deploy(network), tmp_path, "network.onnx", WISH._replace(foreign=True))
    for count in (3, 1):
        one, other = near.runtime(images(count)), far.runtime(images(count))
        np.testing.assert_array_equal(one.scores, other.scores)
        for name, sent in one.spikes.items():
            np.testing.assert_array_equal(sent, other.spikes[name])
    assert far.alone(images(1))["scores"].shape == (1, 3)


def test_a_file_that_asks_for_more_memory_than_its_network_could_is_told(tmp_path):
    network = dyadic(graph_of(LAYERS["lif"], Rate(steps=5), SpikeCount()))
    opened(network, tmp_path)
    path = tmp_path / "network.onnx"
    model = onnx.load(path)
    huge = onnx.helper.make_tensor("huge", onnx.TensorProto.INT64, [1], [1 << 31])
    model.graph.initializer.append(huge)
    made = onnx.helper.make_node("ConstantOfShape", ["huge"], ["giant"])
    total = onnx.helper.make_node("ReduceMax", ["giant"], ["most"], keepdims=0)
    scores = next(node for node in model.graph.node if "scores" in node.output)
    scores.output[0] = "small"
    model.graph.node.extend([made, total, onnx.helper.make_node("Add", ["small", "most"], ["scores"])])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="is damaged, or is no export"):
        FORMAT.open(deploy(network), tmp_path, path.name, WISH._replace(foreign=True)).runtime(images(2))


def same_decisions(network, folder, classes, pixels):
    """How many answers differ; at most ten of a million spikes may."""
    here = Here(network)
    runtime = opened(network, folder, Wish(classes=tuple(classes))).runtime
    batch = min(64, fitting_batch(network.graph, record=network.graph.spiking_layers))
    others = differing = places = 0
    for start in range(0, len(pixels), batch):
        part = pixels[start : start + batch]
        ours, theirs = here(part), runtime(part)
        others += int((ours.scores.argmax(1) != theirs.scores.argmax(1)).sum())
        differing += sum(int((sent != theirs.spikes[name]).sum()) for name, sent in ours.spikes.items())
        places += sum(sent.size for sent in ours.spikes.values())
    assert differing <= max(10e-6 * places, 1)
    return others


LARGE = pytest.mark.slow  # maps of 100 x 96 x 96, 75 MB of weights
QUICK = [pytest.param(name, marks=[LARGE] if name.startswith(("xray", "fingers")) else []) for name in PRESETS]


@pytest.mark.parametrize("name", QUICK)
def test_every_side_of_every_preset_leaves(name, tmp_path):
    images = drawn_set(resolve(preset=name), 8)
    for _, network in networks_of(name, images):
        assert not same_decisions(network, tmp_path, images.classes, images.images[:4])


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_thousand_images_get_the_same_answers(name, real_data, tmp_path):
    """As many as the test set has; a hundred of the X-rays, which take a second each."""
    images, pixels = real_set(name, real_data, 100 if name.startswith("xray") else 1000)
    for _, network in networks_of(name, images):
        # One step and a million spikes: a rounded one can move a score by 0.04, and random weights tell nothing apart.
        assert same_decisions(network, tmp_path, images.classes, pixels) <= (name == "xray-hybrid")
