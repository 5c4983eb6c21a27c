"""Networks leave as NIR graphs: what the file says does what the network does, and comes back to the bit."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from tests.interop.networks import dyadic, graph_of, graphs, images_for, neurons

from spikewise.dynamics import ALIF, IF, LIF, Izhikevich, LeakyIntegrator
from spikewise.errors import ConfigError, DataError, MissingDataError
from spikewise.graph import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.interop.deployed import deploy
from spikewise.interop.nir.files import read_graph, save_graph
from spikewise.interop.nir.format import FORMAT
from spikewise.interop.nir.interpreter import Interpreter, Rules
from spikewise.interop.nir.notes import notes_of
from spikewise.interop.nir.restoring import restored
from spikewise.interop.nir.runtime import NirRuntime
from spikewise.interop.nir.tools import TOOLS, tool_named
from spikewise.interop.nir.writing import to_nir
from spikewise.interop.runtime import Here, Wish
from spikewise.network import Network

nir = pytest.importorskip("nir", reason="nir is not installed: pip install 'spikewise[nir]'")


def both(network, tool=None):
    deployed = deploy(network)
    made = to_nir(deployed, tool_named(tool))
    images = images_for(network.graph)
    return Here(network)(images), NirRuntime(made, notes_of(made))(images), made


def assert_same(ours, theirs):
    assert ours.spikes.keys() == theirs.spikes.keys()
    for name, sent in ours.spikes.items():
        assert np.array_equal(sent, theirs.spikes[name]), name
    assert np.allclose(ours.scores, theirs.scores, rtol=1e-5, atol=1e-5)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_the_equations_of_a_file_give_the_spikes_of_the_network(graph):
    network = dyadic(Network(graph))
    ours, theirs, _ = both(network)
    for name, sent in ours.spikes.items():
        # 0.9 and 0.875 are no sums of few powers of two times another: what they make is rounded
        assert (sent != theirs.spikes[name]).mean() < 2e-3, name


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_the_way_there_and_back_is_the_identity(graph, tmp_path_factory):
    deployed = deploy(dyadic(Network(graph)))
    path = tmp_path_factory.mktemp("nir") / "network.nir"
    save_graph(to_nir(deployed, seed=3, classes=("a", "b", "c")), path)
    read = read_graph(path)
    notes = notes_of(read)
    back = restored(read, notes)
    assert back.graph == deployed.graph
    assert (notes.seed, notes.classes) == (3, ("a", "b", "c"))
    for name, value in deployed.weights.items():
        assert torch.equal(back.weights[name].detach(), value), name


def test_normalisation_is_folded_and_dropout_is_gone():
    layers = (Conv2d(channels=4, kernel=3), BatchNorm(), neurons(), Dropout(), Flatten(), Linear(features=3))
    network = Network(graph_of(*layers)).eval()
    with torch.no_grad():
        network.weights["batch_norm1.running_var"].fill_(0.25)
        network.weights["batch_norm1.running_mean"].fill_(0.125)
    ours, theirs, made = both(network)
    assert {type(node).__name__ for node in made.nodes.values()} == {
        "Input",
        "Conv2d",
        "LIF",
        "Flatten",
        "Affine",
        "Output",
    }
    assert (ours.spikes["lif1"] != theirs.spikes["lif1"]).mean() < 1e-3


def test_the_neutral_form_is_exact_under_euler():
    network = dyadic(Network(graph_of(Flatten(), Linear(features=3), neurons(beta=0.9, threshold=0.5))))
    node = to_nir(deploy(network)).nodes["lif1"]
    beta = float(np.float32(0.9))
    assert node.tau.dtype == np.float64
    assert node.tau.shape == node.r.shape == node.v_threshold.shape == (3,)
    assert np.allclose(1 - 1e-4 / node.tau, beta, rtol=1e-15)
    assert np.allclose(node.r * 1e-4 / node.tau, 1, rtol=1e-15)
    assert (node.v_threshold == 0.5).all()
    assert not node.v_leak.any()
    assert not node.v_reset.any()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("end", [LeakyIntegrator(beta=0.75), LIF(beta=0.5, reset="zero"), IF(reset="zero")])
def test_a_file_for_a_tool_does_the_same_by_the_tools_own_step(tool, end):
    layers = (Flatten(), Linear(features=8), neurons(reset="zero"), Linear(features=3), Neuron(dynamics=end))
    ours, theirs, _ = both(dyadic(Network(graph_of(*layers))), tool)
    if tool == "sinabs":  # exp(log(beta)) is not beta to the last bit
        assert max((ours.spikes[name] != theirs.spikes[name]).mean() for name in ours.spikes) < 1e-2
    else:
        assert_same(ours, theirs)


def refusal(*layers, tool=None, shape=(1, 6, 6)):
    with pytest.raises(ConfigError) as found:
        to_nir(deploy(Network(graph_of(*layers, Flatten(), Linear(features=3), shape=shape))), tool_named(tool))
    return str(found.value)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ((Conv2d(channels=2, kernel=3), MaxPool(), neurons()), "max_pool1"),
        ((Activation(),), "activation1"),
        ((SpikingActivation(),), "spiking_activation1"),
        ((Neuron(dynamics=ALIF()),), "alif1"),
        ((Neuron(dynamics=Izhikevich()),), "izhikevich1"),
        ((BatchNorm(),), "batch_norm1"),
    ],
)
def test_what_nir_cannot_say_is_refused_by_name(layers, named):
    assert f"Layer {named} " in refusal(*layers)


@pytest.mark.parametrize(
    ("tool", "layers", "named"),
    [
        ("spikingjelly", (Conv2d(channels=2, kernel=3), neurons(), SumPool()), "sum_pool1"),
        ("norse", (Conv2d(channels=2, kernel=3), neurons(), AvgPool()), "avg_pool1"),
        ("sinabs", (Conv2d(channels=2, kernel=3), neurons(), MaxPool()), "max_pool1_threshold"),
        ("snntorch", (Conv2d(channels=2, kernel=3, groups=2), neurons()), "conv2d1"),
        ("spyx", (Residual(main=(Conv2d(channels=2, kernel=1),)),), "add1"),
        ("spikingjelly", (neurons(beta=0.0),), "lif1"),
        ("snntorch", (Neuron(dynamics=LIF(learn=("threshold",), per="channel")),), "lif1"),
    ],
)
def test_what_a_tool_cannot_read_is_refused_by_name(tool, layers, named):
    shape = (2, 6, 6)
    if tool == "snntorch" and named == "lif1":
        network = dyadic(Network(graph_of(*layers, Flatten(), Linear(features=3), shape=shape)))
        with pytest.raises(ConfigError, match="Layer lif1 "):
            to_nir(deploy(network), tool_named(tool))
        return
    assert f"Layer {named}" in refusal(*layers, tool=tool, shape=shape)


def test_unknown_tools_are_named():
    with pytest.raises(ConfigError, match="Did you mean 'sinabs'"):
        tool_named("sinab")


def test_a_reset_that_nir_cannot_say_is_warned_of_and_measured(tmp_path):
    network = dyadic(Network(graph_of(Flatten(), Linear(features=8), neurons(), Linear(features=3))))
    deployed = deploy(network)
    written = FORMAT.write(deployed, tmp_path, Wish())
    assert any("lif1 reset by subtraction" in one and "Norse" in one for one in written.warnings)
    opened = FORMAT.open(deployed, tmp_path, written.main, Wish())
    images = images_for(network.graph)
    assert_same(Here(network)(images), opened.runtime(images))
    reset_to_zero = opened.readers[0].runtime(images)
    assert (reset_to_zero.spikes["lif1"] != opened.runtime(images).spikes["lif1"]).any()


def test_a_plain_reset_needs_no_warning(tmp_path):
    layers = (Flatten(), Linear(features=8), neurons(reset="zero"), Linear(features=3))
    written = FORMAT.write(deploy(Network(graph_of(*layers))), tmp_path, Wish())
    assert written.warnings == ()


def test_the_interpreter_solves_the_equation_of_one_neuron():
    """Constant current 2 into tau 10 ms from rest: v(t) = 2 (1 - exp(-t / tau))."""
    one = np.ones(1)
    lif = nir.LIF(tau=one * 1e-2, r=one, v_leak=one * 0, v_threshold=one * 99, v_reset=one * 0)
    graph = nir.NIRGraph.from_list(nir.Input(np.array([1])), lif, nir.Output(np.array([1])))
    rules = Rules(tool_named(None)._replace(dt=1e-5))
    seen, _ = Interpreter(graph, rules, np.float64)(np.full((2000, 1, 1), 2.0))
    time = 1e-5 * np.arange(1, 2001)
    assert np.allclose(seen["lif"].membrane[:, 0, 0], 2 * (1 - np.exp(-time / 1e-2)), atol=1e-3)


def test_files_that_are_none_are_told_in_words(tmp_path):
    with pytest.raises(MissingDataError, match="There is no file"):
        read_graph(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("hello")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_graph(tmp_path / "text.nir")


def test_an_hdf5_bomb_is_refused_before_it_is_unpacked(tmp_path):
    import h5py

    with h5py.File(tmp_path / "bomb.nir", "w") as file:
        node = file.create_group("node")
        node.create_dataset("type", data="NIRGraph")
        node.create_dataset("bomb", shape=(2**32,), dtype="f8", chunks=(2**20,), compression="gzip")
    assert (tmp_path / "bomb.nir").stat().st_size < 10_000
    with pytest.raises(DataError, match="unpacks to more than"):
        read_graph(tmp_path / "bomb.nir")


def test_links_out_of_a_file_are_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "link.nir", "w") as file:
        file["node"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(DataError, match="links"):
        read_graph(tmp_path / "link.nir")
