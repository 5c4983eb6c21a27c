"""NIR graphs of other tools come in: what their numbers mean is found out, or asked for."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from tests.interop.networks import dyadic, graph_of, graphs, images_for, neurons

from spikewise.dynamics import LIF, CubaLIF
from spikewise.encoders import Direct, Rate
from spikewise.engine import RunOptions
from spikewise.errors import ConfigError, DataError, ShapeError
from spikewise.graph import AvgPool, Conv2d, Flatten, Linear, MaxPool, Neuron, Residual
from spikewise.interop.deployed import deploy
from spikewise.interop.nir import files
from spikewise.interop.nir.reading import from_nir_graph
from spikewise.interop.nir.tools import tool_named
from spikewise.interop.nir.writing import to_nir
from spikewise.interop.runtime import Here
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.types import Draw

nir = pytest.importorskip("nir", reason="nir is not installed: pip install 'spikewise[nir]'")
WILD = Path(__file__).parents[3].parent / "shared" / "nir"
"""Files that other tools wrote, where somebody has laid them beside the project."""


def array(*values, dtype=np.float64):
    return np.array(values, dtype)


def lif(tau, r, threshold=1.0, v_leak=0.0, v_reset=0.0, size=2):
    full = np.ones(size)
    return nir.LIF(
        tau=full * tau, r=full * r, v_leak=full * v_leak, v_threshold=full * threshold, v_reset=full * v_reset
    )


def chain(*nodes, inputs=2, outputs=2):
    """Input, nodes called 0, 1, 2, ..., output."""
    names = {str(place): node for place, node in enumerate(nodes)}
    order = ["input", *names, "output"]
    ends = {"input": nir.Input(np.array([inputs])), "output": nir.Output(np.array([outputs]))}
    return nir.NIRGraph({**ends, **names}, list(itertools.pairwise(order)), type_check=False)


def affine(weight=((1.0, 0.5), (0.25, 1.0)), bias=(0.0, 0.0)):
    return nir.Affine(weight=array(*weight, dtype=np.float32), bias=array(*bias, dtype=np.float32))


def only_neuron(network):
    return next(layer.dynamics for layer in network.graph.layers if isinstance(layer, Neuron))


@pytest.mark.parametrize(
    ("node", "tool"),
    [
        (nir.IF(r=np.full(2, 1e4), v_threshold=np.ones(2), v_reset=np.zeros(2)), "SpikingJelly"),
        (lif(1e-3, 1 - 1e-5, v_leak=0.5, v_reset=0.5), None),
        (lif(1e-3, 10.0, v_leak=0.25, v_reset=0.25), "SpikingJelly"),
        (lif(1e-5, 1.0), None),
        (lif(20.0, 0.95), "Spyx"),
    ],
)
def test_the_pattern_of_the_numbers_names_the_tool(node, tool):
    graph = chain(affine(), node)
    if tool is None:
        with pytest.raises(ConfigError, match=r"--dialect nir"):
            from_nir_graph(graph)
    else:
        assert from_nir_graph(graph).tool == tool


def test_what_snntorch_and_spikingjelly_write_alike_is_asked_for():
    graph = chain(affine(), lif(1e-3, 10.0))
    with pytest.raises(ConfigError, match=r"--dialect snntorch.*--dialect spikingjelly"):
        from_nir_graph(graph)
    with pytest.raises(ConfigError, match="give --reset subtract"):
        from_nir_graph(graph, dialect="snntorch")
    read = from_nir_graph(graph, reset="subtract")  # which SpikingJelly does not export
    assert read.tool == "snnTorch"
    assert only_neuron(read.network).reset_delay
    assert "one step late" in read.said[0]
    assert only_neuron(read.network).beta == 0.9


def test_a_step_that_is_not_known_is_asked_for():
    graph = chain(affine(), lif(1e-2, 10.0))
    with pytest.raises(ConfigError, match="give --dt"):
        from_nir_graph(graph, dialect="nir")
    with pytest.raises(ConfigError, match="above 0"):
        from_nir_graph(graph, dialect="nir", dt=-1.0)
    assert only_neuron(from_nir_graph(graph, dialect="nir", dt=1e-3).network).beta == 0.9


def test_no_tool_fits_is_said():
    with pytest.raises(ConfigError, match="No tool that is known here"):
        from_nir_graph(chain(affine(), lif(3.0, 7.0)))
    with pytest.raises(ConfigError, match="Did you mean 'norse'"):
        from_nir_graph(chain(affine(), lif(3.0, 7.0)), dialect="nors")


def run(network, currents):
    """Spikes of the only spiking layer, for currents [T, N]."""
    inputs = torch.from_numpy(np.asarray(currents, np.float32)).view(len(currents), 1, *network.graph.image_shape)
    record = RunOptions(record=frozenset(network.graph.spiking_layers))
    with torch.no_grad():
        traces = network.run(inputs, Draw.first(1), record).result.traces
    return next(iter(traces.values())).spikes[:, 0].numpy()


def equation(currents, *, decay, gain, leak, threshold, v_reset, start):
    """A neuron as NIR has it, written out."""
    v, out = np.full(2, start), []
    for now in currents:
        v = v + (1 - decay) * (leak - v) + gain * now
        z = v > threshold
        v = np.where(z, v_reset, v)
        out.append(z)
    return np.array(out, np.float32)


@pytest.mark.parametrize("leak", [0.0, 0.5])
@pytest.mark.parametrize("v_reset", [0.0, -0.25])
def test_gain_leak_and_reset_are_folded(leak, v_reset):
    """tau 4 steps, r 2: decay 3/4, gain 1/2; the membrane starts where it is reset to."""
    dt = 2.0**-10
    graph = chain(affine(((1.0, 0.0), (0.0, 1.0))), lif(4 * dt, 2.0, 1.0, leak, v_reset))
    network = from_nir_graph(graph, dialect="nir", dt=dt).network
    currents = np.random.default_rng(0).integers(0, 6, (40, 2)) / 4
    expected = equation(currents, decay=0.75, gain=0.5, leak=leak, threshold=1.0, v_reset=v_reset, start=v_reset)
    assert np.array_equal(run(network, currents), expected)
    assert expected.any()
    assert not expected.all()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_a_file_without_our_metadata_gives_the_same_spikes(graph):
    """Read as snnTorch writes, in whose form ours are; one reset for all neurons, which is told."""
    found = {(at.layer.dynamics.reset, at.layer.dynamics.reset_delay) for at in graph.named if at.layer.spikes}
    assume(
        len(found) == 1 and not any(getattr(at.layer.dynamics, "initial", 0) for at in graph.named if at.layer.spikes)
    )
    reset, delay = found.pop()
    assume((reset, delay) != ("zero", True))  # snnTorch's is another
    network = dyadic(Network(graph))
    made = to_nir(deploy(network))
    bare = nir.NIRGraph(made.nodes, made.edges, type_check=False)
    how = {"encoder": graph.encoder, "readout": graph.readout, "image_shape": graph.image_shape}
    back = from_nir_graph(bare, dialect="snntorch", reset=reset, reset_delay=delay, **how).network
    ours, theirs = (Here(one)(images_for(graph)) for one in (network, back))
    for name, sent, again in zip(ours.spikes, ours.spikes.values(), theirs.spikes.values(), strict=True):
        assert (sent != again).mean() < 2e-3, name  # a LIF neuron with beta 1 comes back as what it is, an IF neuron


def test_blocks_behind_one_another_are_found_in_the_edges():
    def block():
        return Residual(main=(neurons(reset="zero"), Conv2d(channels=2, kernel=3, padding=1)))

    layers = (
        Conv2d(channels=2, kernel=1),
        block(),
        block(),
        block(),
        neurons(reset="zero"),
        Flatten(),
        Linear(features=3),
    )
    network = dyadic(Network(graph_of(*layers)))
    made = to_nir(deploy(network))
    assert sum(b in {"conv2d4", "lif4"} for _, b in made.edges) == 5  # a sum of four is edges, not a node
    bare = nir.NIRGraph(made.nodes, made.edges, type_check=False)
    back = from_nir_graph(bare, dialect="snntorch", reset="zero", encoder=Rate(steps=7), readout=MeanMembrane()).network
    images = images_for(network.graph)
    ours, theirs = Here(network)(images), Here(back)(images)
    assert all(np.array_equal(sent, theirs.spikes[name]) for name, sent in ours.spikes.items())


def test_recurrent_and_nested_graphs_are_read():
    dynamics = CubaLIF(alpha=0.5, beta=0.75, reset="zero")
    layers = (Flatten(), Linear(features=4), Neuron(dynamics=dynamics, recurrent=True, self_connections=True))
    network = dyadic(Network(graph_of(*layers, Linear(features=3))))
    made = to_nir(deploy(network))
    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])),
            "lif": made.nodes["cuba_lif1"],
            "w_rec": made.nodes["cuba_lif1_recurrent"],
            "output": nir.Output(np.array([4])),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        type_check=False,
    )
    nodes = {name: node for name, node in made.nodes.items() if not name.startswith("cuba")}
    edges = [
        ("input", "flatten1"),
        ("flatten1", "linear1"),
        ("linear1", "rnn"),
        ("rnn", "linear2"),
        ("linear2", "output"),
    ]
    outer = nir.NIRGraph({**nodes, "rnn": inner}, edges, type_check=False)
    how = {"encoder": Rate(steps=7), "readout": MeanMembrane(), "image_shape": (1, 6, 6)}
    back = from_nir_graph(outer, dialect="snntorch", reset="zero", **how).network
    images = images_for(network.graph)
    ours, theirs = Here(network)(images), Here(back)(images)
    assert np.array_equal(ours.spikes["cuba_lif1"], theirs.spikes["cuba_lif1"])
    assert ours.spikes["cuba_lif1"].any()


def test_parameters_may_differ_between_neurons_but_not_within_a_channel():
    tau = 1e-4 / (1 - array(0.5, 0.75))
    node = nir.LIF(tau=tau, r=tau / 1e-4, v_leak=np.zeros(2), v_threshold=array(1.0, 0.5), v_reset=np.zeros(2))
    network = from_nir_graph(chain(affine(), node), reset="subtract").network
    weights = network.weights
    assert weights["lif1.beta"].tolist() == [0.5, 0.75]
    assert weights["lif1.threshold"].tolist() == [1.0, 0.5]
    convolution = to_nir(
        deploy(Network(graph_of(Conv2d(channels=2, kernel=1), neurons(), Flatten(), Linear(features=3))))
    )
    node = convolution.nodes["lif1"]
    node.v_threshold[0, 0, 0] = 2.0
    bare = nir.NIRGraph(convolution.nodes, convolution.edges, type_check=False)
    with pytest.raises(ConfigError, match="of its own for each pixel"):
        from_nir_graph(bare, dialect="snntorch", reset="zero")


def test_max_pools_of_spikes_come_back():
    layers = (Conv2d(channels=2, kernel=1), neurons(), MaxPool(size=2), Flatten(), Linear(features=3))
    made = to_nir(deploy(Network(graph_of(*layers))))
    bare = nir.NIRGraph(made.nodes, made.edges, type_check=False)
    back = from_nir_graph(bare, dialect="snntorch", reset="zero").network
    assert [at.name for at in back.graph.named][2] == "max_pool1"


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (chain(affine(), nir.Delay(np.ones(2))), "'1' is a Delay"),
        (chain(nir.Linear(np.ones((3, 2, 2), np.float32))), "2 axes"),
        (chain(nir.Threshold(np.ones(2))), "'0' is a threshold"),
        (chain(affine(((np.nan, 0.0), (0.0, 1.0)))), "no finite numbers"),
        (chain(affine(), lif(-1e-3, -10.0)), "No tool"),
        (chain(affine(), inputs=5), "needs"),
    ],
)
def test_what_cannot_be_read_is_named(graph, words):
    with pytest.raises((ConfigError, DataError, ShapeError), match=words):
        from_nir_graph(graph, **({} if "No tool" in words else {"reset": "zero"}))


def test_edges_into_nowhere_and_loops_are_named():
    good = chain(affine(), affine())
    nodes, edges = good.nodes, good.edges
    with pytest.raises(ConfigError, match="no such node"):
        from_nir_graph(nir.NIRGraph(nodes, [*edges, ("1", "lost")], type_check=False))
    with pytest.raises(ConfigError, match=r"does not lie on a way|leads nowhere"):
        from_nir_graph(nir.NIRGraph({**nodes, "2": affine()}, edges, type_check=False))
    with pytest.raises(ConfigError, match=r"sum|cycle|two paths"):
        from_nir_graph(nir.NIRGraph(nodes, [*edges, ("1", "0")], type_check=False))
    with pytest.raises(ConfigError, match="a cycle through '0'"):  # into a fork, so that each path leads to the next
        from_nir_graph(nir.NIRGraph(nodes, [*edges, ("0", "input"), ("input", "1")], type_check=False))
    with pytest.raises(ConfigError, match="0 output nodes"):
        from_nir_graph(nir.NIRGraph({k: v for k, v in nodes.items() if k != "output"}, edges[:-1], type_check=False))


def test_blocks_within_blocks_are_followed_to_a_depth():
    def nested(depth: int) -> nir.NIRGraph:
        names = [f"{side}{at}" for at in range(depth + 1) for side in ("in", "out")]
        edges = [("input", "in0"), ("out0", "output"), (f"in{depth}", f"out{depth}")]
        for at in range(depth):
            edges += [(f"in{at}", f"in{at + 1}"), (f"out{at + 1}", f"out{at}"), (f"in{at}", f"out{at}")]
        whole = chain(affine())
        nodes = {**{name: affine() for name in names}, **{k: whole.nodes[k] for k in ("input", "output")}}
        return nir.NIRGraph(nodes, edges, type_check=False)

    assert from_nir_graph(nested(3)).network.graph.named
    with pytest.raises(ConfigError, match="more than 20 deep"):
        from_nir_graph(nested(200))


def test_our_own_settings_may_be_overridden():
    network = dyadic(
        Network(graph_of(Flatten(), Linear(features=8), neurons(), Linear(features=3), encoder=Rate(steps=7)))
    )
    made = to_nir(deploy(network), seed=4)
    read = from_nir_graph(made, encoder=Direct(steps=3))
    assert (read.network.graph.steps, read.seed) == (3, 4)
    assert from_nir_graph(made).network.graph == network.graph


def test_a_file_for_a_tool_is_read_as_that_tools():
    layers = (Flatten(), Linear(features=4), Neuron(dynamics=LIF(beta=0.75, reset="zero")), Linear(features=3))
    deployed = deploy(dyadic(Network(graph_of(*layers, encoder=Rate(steps=9)))))
    images = images_for(deployed.graph)
    for tool in ("snntorch", "spikingjelly", "sinabs", "spyx"):
        made = to_nir(deployed, tool_named(tool))
        bare = nir.NIRGraph(made.nodes, made.edges, type_check=False)
        how = {"reset_delay": False, "image_shape": (1, 6, 6), "encoder": Rate(steps=9), "readout": MeanMembrane()}
        back = from_nir_graph(bare, dialect=tool, reset="zero", **how)
        found = Here(back.network)(images).spikes["lif1"]
        expected = Here(deployed.network())(images).spikes["lif1"]
        if tool == "sinabs":  # it takes the input times 1 - exp(-1 / tau), unless told not to
            assert (found != expected).any()
        else:
            assert (found == expected).mean() > 0.995


wild = pytest.mark.skipif(not WILD.is_dir(), reason="no files of other tools lie beside the project")


@wild
def test_the_neuron_of_the_nir_paper_spikes_when_it_should():
    """Its equation solved exactly spikes at steps 460, 510, 710 and 760 of 1e-4 s."""
    network = from_nir_graph(WILD / "lif_norse.nir", dialect="nir", dt=1e-4).network
    exact = np.loadtxt(WILD / "lif_exact.csv", delimiter=",")
    assert np.flatnonzero(run(network, exact[:, :1])).tolist() == [460, 510, 710, 760]
    assert np.flatnonzero(exact[:, 2]).tolist() == [460, 510, 710, 760]


@wild
def test_ambiguities_of_files_in_the_wild_are_asked_for():
    for name in ("braille_noDelay_bias_zero", "cnn_sinabs", "lif_norse"):
        with pytest.raises(ConfigError, match="fit more than one tool"):
            from_nir_graph(WILD / f"{name}.nir")
    with pytest.raises(ConfigError, match="give --dt"):
        from_nir_graph(WILD / "lif_rockpool.nir")
    read = from_nir_graph(WILD / "braille_noDelay_noBias_subtract.nir", reset="subtract", reset_delay=False).network
    assert [at.name for at in read.graph.named] == ["flatten1", "linear1", "cuba_lif1", "linear2", "cuba_lif2"]
    assert read.graph.named[2].layer.recurrent
    convolutional = from_nir_graph(WILD / "cnn_sinabs.nir", dialect="sinabs").network
    assert convolutional.graph.image_shape == (2, 34, 34)
    assert convolutional.graph.classes == 10


def test_average_pools_and_flattening_come_back():
    layers = (Conv2d(channels=2, kernel=3), neurons(reset="zero"), AvgPool(size=2), Flatten(), Linear(features=3))
    made = to_nir(deploy(Network(graph_of(*layers))))
    bare = nir.NIRGraph(made.nodes, made.edges, type_check=False)
    assert from_nir_graph(bare, dialect="snntorch", reset="zero").network.graph.layers[2] == AvgPool(size=2, stride=2)


@pytest.mark.parametrize("kind", [[], [b"a", b"b"], 3, "Nothing"])
def test_a_node_whose_type_is_no_word_is_told(tmp_path, kind):
    import h5py

    from spikewise.interop.nir.files import save_graph

    path = tmp_path / "odd.nir"
    save_graph(chain(affine()), path)
    for place in ("node/type", "node/nodes/0/type"):
        with h5py.File(path, "r+") as file:
            del file[place]
            file[place] = kind
        with pytest.raises(DataError, match=r"no NIR graph|no whole NIR graph"):
            from_nir_graph(path)
        save_graph(chain(affine()), path)


def test_what_nir_raises_is_told_without_python_classes(tmp_path):
    import h5py

    path = tmp_path / "odd.nir"
    files.save_graph(chain(affine()), path)
    with h5py.File(path, "r+") as file:
        del file["node/edges"]
        file["node/edges"] = np.zeros((2, 2, 2), int)
    with pytest.raises(DataError, match="no whole NIR graph") as told:
        from_nir_graph(path)
    assert "<class" not in str(told.value)


def test_a_node_that_a_tool_does_not_write_is_told():
    layers = (Flatten(), Linear(features=4), Neuron(dynamics=CubaLIF(reset="zero")), Linear(features=3))
    made = to_nir(deploy(Network(graph_of(*layers))))
    bare = nir.NIRGraph(made.nodes, made.edges, type_check=False)
    with pytest.raises(ConfigError, match="sinabs does not write"):
        from_nir_graph(bare, dialect="sinabs")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "cannot read it to the end"),
        ("while True: pass", "cannot read it to the end"),
        ("import sys; sys.exit(3)", "more memory than any NIR file"),
    ],
    ids=["ends its process", "comes to no end", "fills the memory"],
)
def test_a_file_that_the_library_cannot_bear_is_tried_by_another_process(tmp_path, monkeypatch, program, words):
    stand_in = tmp_path / "program.py"
    stand_in.write_text(program)
    (tmp_path / "some.nir").write_bytes(b"bytes from elsewhere")
    monkeypatch.setattr(files, "__file__", str(stand_in))
    monkeypatch.setattr(files, "_SECONDS", 1)
    monkeypatch.setattr(files, "_PATIENCE", 1)
    with pytest.raises(DataError, match=words):
        files.read_graph(tmp_path / "some.nir")


def test_a_sound_file_from_elsewhere_is_tried_once(tmp_path, monkeypatch):
    path = tmp_path / "some.nir"
    files.save_graph(nir.NIRGraph({"input": nir.Input({"input": np.array([3])})}, [], type_check=False), path)
    monkeypatch.setattr(files, "_sound", set())
    files.read_graph(path)
    monkeypatch.setattr(files, "__file__", "no program")
    files.read_graph(path)
