"""Networks of snnTorch, SpikingJelly and sinabs come in by their own exporters and go out to their own importers."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.interop.networks import GRID, dyadic, graph_of, images_for, neurons
from torch import nn

from spikewise.data import load_data
from spikewise.dynamics import IF, LeakyIntegrator
from spikewise.encoders import Rate
from spikewise.graph import AvgPool, Conv2d, Flatten, Linear, Neuron
from spikewise.interop.converting import from_snntorch_module, from_spikingjelly_module
from spikewise.interop.deployed import deploy
from spikewise.interop.nir.reading import from_nir_graph
from spikewise.interop.nir.tools import tool_named
from spikewise.interop.nir.writing import to_nir
from spikewise.interop.runtime import Here
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, SpikeCount
from spikewise.types import Draw

pytest.importorskip("nir", reason="nir is not installed: pip install 'spikewise[nir]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # the peers' own
STEPS = 12
SMALL, MNIST = (1, 6, 6), (1, 28, 28)


def new_nirtorch():
    """Importers of SpikingJelly 2.0 and Norse 1.1 need it."""
    nirtorch = pytest.importorskip("nirtorch")
    import inspect

    if "device" not in inspect.signature(nirtorch.nir_to_torch).parameters:
        pytest.skip("the importer needs nirtorch 2.6 or newer: pip install -U nirtorch")


def exchange():
    """SpikingJelly's own exporter and importer."""
    spikingjelly()
    new_nirtorch()
    from spikingjelly.activation_based import nir_exchange

    return nir_exchange


def snntorch():
    return pytest.importorskip("snntorch", reason="snnTorch is not installed: pip install 'spikewise[peers]'")


def spikingjelly():
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed: pip install 'spikewise[peers]'")
    from spikingjelly.activation_based import functional, layer, neuron

    return functional, layer, neuron


def on_a_grid(module: nn.Module, scale: float = 1.0) -> nn.Module:
    """Weights that are multiples of 2^-6, whose sums are exact; or real ones, where the scale is 0."""
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for one in module.modules():
            if isinstance(one, nn.Linear | nn.Conv2d):
                for value in (one.weight, one.bias):
                    if value is None:
                        continue
                    fan = max(value[0].numel(), 1) if value.ndim > 1 else 1
                    drawn = rng.normal(0.06, 0.6, value.shape) * scale * 3 / max(fan, 9) ** 0.5
                    value.copy_(torch.from_numpy(np.round(drawn / GRID) * GRID).float())
    return module.eval()


def leaky(shape, reset="subtract", **how):
    beta = torch.from_numpy(np.random.default_rng(1).choice([0.5, 0.75, 0.875, 0.9375], shape)).float()
    return snntorch().Leaky(beta=beta, threshold=torch.ones(shape), reset_mechanism=reset, init_hidden=True, **how)


def dense_snntorch(features=36, hidden=20, **how):
    return nn.Sequential(
        nn.Linear(features, hidden), leaky((hidden,), **how), nn.Linear(hidden, 10), leaky((10,), **how)
    )


def conv_snntorch(side=6, **how):
    quarter = side // 4
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        leaky((3, 1, 1), **how),
        nn.AvgPool2d(2),
        nn.Conv2d(3, 4, 3, padding=1),
        leaky((4, 1, 1), **how),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * quarter * quarter, 10),
        leaky((10,), **how),
    )


def conv_exportable(side=6, **how):
    """Full-shape parameters, which their exporter and `nir` need behind a convolution."""
    net = conv_snntorch(side, **how)
    sizes = iter([(3, side, side), (4, side // 2, side // 2), (10,)])
    for one in net:
        if hasattr(one, "beta"):
            shape = next(sizes)
            one.beta = one.beta.expand(shape).clone()
            one.threshold = one.threshold.expand(shape).clone()
    return net


def spikes_of(module, frames, is_neuron, *, clear=lambda module: None):
    """Spikes [T, B, ...] of every layer of neurons of a module that is called step by step."""
    found: dict[int, list] = {}
    layers = [one for one in module.modules() if is_neuron(one)]
    hooks = [
        one.register_forward_hook(
            lambda _, __, said, place=place: found.setdefault(place, []).append(
                (said[0] if isinstance(said, tuple) else said).clone()
            )
        )
        for place, one in enumerate(layers)
    ]
    clear(module)
    with torch.no_grad():
        for frame in frames:
            module(frame)
    for hook in hooks:
        hook.remove()
    return [torch.stack(found[place]).numpy() for place in range(len(layers))]


def is_leaky(one):
    return hasattr(one, "reset_mechanism_val")


def clear_snntorch(module):
    for one in module.modules():
        if is_leaky(one):
            one.mem = torch.zeros(0)
            if hasattr(one, "syn"):
                one.syn = torch.zeros(0)


def frames_of(images, *, flat, steps=STEPS):
    encoded = Rate(steps=steps)(torch.from_numpy(images), Draw(0, 0, torch.zeros(len(images), dtype=torch.int64)))
    return encoded.flatten(2) if flat else encoded


def assert_same_spikes(network, images, theirs, most=0.0):
    ours = Here(network)(images).spikes
    assert len(ours) == len(theirs)
    for sent, (name, mine) in zip(theirs, ours.items(), strict=True):
        assert 0.01 < mine.mean() < 0.9, name  # something is compared
        apart = (mine.reshape(sent.shape) != sent).mean()
        assert apart <= most, (name, apart)


def exported_by_snntorch(module, shape):
    from snntorch.export_nir import export_to_nir

    clear_snntorch(module)
    sample = torch.rand(1, *shape) if isinstance(module[0], nn.Conv2d) else torch.rand(1, int(np.prod(shape)))
    graph = export_to_nir(module, sample, ignore_dims=[0])
    clear_snntorch(module)
    return graph


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(("make", "flat"), [(dense_snntorch, True), (conv_exportable, False)])
def test_snntorch_networks_come_in_by_their_exporter(make, flat, reset):
    pytest.importorskip("nirtorch")
    module = on_a_grid(make(reset=reset))
    network = from_nir_graph(
        exported_by_snntorch(module, SMALL), dialect="snntorch", reset=reset, encoder=Rate(steps=STEPS)
    ).network
    images = images_for(network.graph, 12)
    theirs = spikes_of(module, frames_of(images, flat=flat), is_leaky, clear=clear_snntorch)
    assert_same_spikes(network, images, theirs)


@pytest.mark.parametrize("how", [{}, {"reset": "zero"}, {"reset": "none"}, {"reset": "zero", "reset_delay": False}])
@pytest.mark.parametrize(("make", "flat"), [(dense_snntorch, True), (conv_snntorch, False)])
def test_snntorch_modules_come_in_by_their_attributes(make, flat, how):
    module = on_a_grid(make(**how), 0.4 if how.get("reset") == "none" else 1.0)
    network = from_snntorch_module(module, image_shape=SMALL, encoder=Rate(steps=STEPS)).network
    images = images_for(network.graph, 12)
    theirs = spikes_of(module, frames_of(images, flat=flat), is_leaky, clear=clear_snntorch)
    ours = Here(network)(images).spikes
    for sent, mine in zip(theirs, ours.values(), strict=True):
        assert np.array_equal(mine.reshape(sent.shape), sent)
        assert mine.any()


def test_synaptic_and_recurrent_neurons_come_in_by_their_attributes():
    snn = snntorch()
    module = nn.Sequential(
        nn.Linear(36, 12),
        snn.RSynaptic(alpha=0.5, beta=0.75, linear_features=12, init_hidden=True),
        nn.Linear(12, 10),
        snn.RLeaky(beta=0.5, V=torch.full((10,), 0.25), all_to_all=False, init_hidden=True),
    )
    on_a_grid(module, 0.5)
    network = from_snntorch_module(module, encoder=Rate(steps=STEPS)).network
    images = images_for(network.graph, 12)

    def clear(module):
        for one in module.modules():
            if is_leaky(one):
                one.reset_mem()
                for key in ("spk", "mem", "syn"):
                    if hasattr(one, key):
                        setattr(one, key, torch.zeros(0))

    theirs = spikes_of(module, frames_of(images, flat=True), is_leaky, clear=clear)
    ours = Here(network)(images).spikes
    for sent, mine in zip(theirs, ours.values(), strict=True):
        assert np.array_equal(mine, sent)
        assert mine.any()


class Custom(nn.Module):
    """As tutorials write networks: layers as attributes, an order in `forward`."""

    def __init__(self, snn):
        super().__init__()
        self.last = nn.Linear(16, 10)  # not in the order of calling
        self.conv, self.pool = nn.Conv2d(1, 4, 3), nn.AvgPool2d(2)
        self.lif1, self.lif2 = snn.Leaky(beta=0.75), snn.Leaky(beta=0.5)

    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        total = 0
        for _ in range(3):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.last(self.pool(spk1).flatten(1)), mem2)
            total = total + spk2
        return total


def test_the_order_of_layers_is_seen_by_calling_a_module():
    network = from_snntorch_module(Custom(snntorch()), image_shape=SMALL).network
    names = [at.name for at in network.graph.named]
    assert names == ["conv2d1", "lif1", "avg_pool1", "flatten1", "linear1", "lif2"]


def spikingjelly_net(cell, dense=True):
    layer = spikingjelly()[1]
    if dense:
        return nn.Sequential(layer.Linear(36, 20), cell(), layer.Linear(20, 10), cell())
    return nn.Sequential(
        layer.Conv2d(1, 3, 3, padding=1), cell(), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(27, 10), cell()
    )


def cells():
    def make(kind, **how):
        return lambda: getattr(spikingjelly()[2], kind)(**how)

    return {
        "hard, input decays": make("LIFNode", tau=2.0, decay_input=True, v_reset=0.0),
        "hard, input stays": make("LIFNode", tau=4.0, decay_input=False, v_reset=0.0),
        "soft": make("LIFNode", tau=4.0, decay_input=False, v_reset=None),
        "below zero": make("LIFNode", tau=2.0, decay_input=False, v_reset=-0.25),
        "if": make("IFNode", v_reset=0.0),
        "if, soft": make("IFNode", v_reset=None),
        "current": make("CUBALIFNode", c_decay=0.5, v_decay=0.75, v_reset=0.0),
        "parametric": make("ParametricLIFNode", init_tau=2.0, decay_input=True, v_reset=0.0),
    }


def jelly_spikes(module, frames):
    functional, _, neuron = spikingjelly()
    return spikes_of(module, frames, lambda one: isinstance(one, neuron.BaseNode), clear=functional.reset_net)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("name", ["hard, input decays", "hard, input stays", "below zero", "if", "current"])
def test_spikingjelly_networks_come_in_by_their_exporter(name, dense):
    export_to_nir = exchange().export_to_nir
    module = on_a_grid(spikingjelly_net(cells()[name], dense), 0.5 if name == "current" else 1.0)
    sample = torch.rand(1, 36) if dense else torch.rand(1, *SMALL)
    graph = export_to_nir(module, sample)
    spikingjelly()[0].reset_net(module)
    network = from_nir_graph(graph, dialect="spikingjelly", encoder=Rate(steps=STEPS)).network
    images = images_for(network.graph, 12)
    assert_same_spikes(network, images, jelly_spikes(module, frames_of(images, flat=dense)))


@pytest.mark.parametrize("name", list(cells()))
def test_spikingjelly_modules_come_in_by_their_attributes(name):
    module = on_a_grid(spikingjelly_net(cells()[name]), 0.5 if name == "current" else 1.0)
    network = from_spikingjelly_module(module, encoder=Rate(steps=STEPS)).network
    images = images_for(network.graph, 12)
    assert_same_spikes(network, images, jelly_spikes(module, frames_of(images, flat=True)))


def ours(*cells_):
    first, second = cells_
    layers = (Flatten(), Linear(features=20), first, Linear(features=10), second)
    return dyadic(Network(graph_of(*layers, encoder=Rate(steps=STEPS), readout=SpikeCount())), 3)


def test_our_file_does_the_same_in_snntorchs_importer():
    pytest.importorskip("nirtorch")
    snntorch()
    from snntorch.import_nir import import_from_nir

    network = ours(neurons(0.75, reset="zero"), neurons(0.5, reset="zero"))
    graph = to_nir(deploy(network), tool_named("snntorch"))
    module = import_from_nir(graph)
    images = images_for(network.graph, 1)  # their importer flattens the images of a batch together
    frames = frames_of(images, flat=False)
    found: dict = {}
    for name, one in module.named_modules():
        if is_leaky(one):
            one.register_forward_hook(
                lambda _, __, said, name=name: found.setdefault(name, []).append(
                    said[0] if isinstance(said, tuple) else said
                )
            )
    state = None
    with torch.no_grad():
        for frame in frames:
            said = module(frame, state) if state is not None else module(frame)
            state = said[1] if isinstance(said, tuple) and len(said) > 1 else None
    mine = Here(network)(images).spikes
    assert len(found) == 2
    for sent, (name, here) in zip(found.values(), mine.items(), strict=True):
        there = torch.stack(sent).reshape(here.shape).numpy()
        assert np.array_equal(there, here), name


def test_our_file_does_the_same_in_spikingjellys_importer():
    import_from_nir = exchange().import_from_nir
    network = ours(neurons(0.75, reset="zero"), Neuron(dynamics=IF(reset="zero")))
    graph = to_nir(deploy(network), tool_named("spikingjelly"))
    images = images_for(network.graph, 12)
    mine = Here(network)(images).spikes["if1"]

    def sent() -> np.ndarray:
        module, state, out = import_from_nir(graph), None, []
        with torch.no_grad():
            for frame in frames_of(images, flat=False):
                said, state = module(frame, state)
                out.append(said)
        return torch.stack(out).numpy()

    assert mine.any()
    assert np.array_equal(sent(), mine)
    for name in network.graph.spiking_layers:
        assert (graph.nodes[name].v_threshold > 1).all()
        graph.nodes[name].v_threshold = np.ones_like(graph.nodes[name].v_threshold)
    assert (sent() != mine).any()  # it spikes at the threshold, which sums on a grid meet


def test_our_file_does_the_same_in_norses_importer():
    new_nirtorch()
    norse = pytest.importorskip("norse.torch", reason="Norse is not installed: pip install 'spikewise[peers]'")

    network = ours(neurons(0.75, reset="zero"), neurons(0.5, reset="zero"))
    module = norse.from_nir(to_nir(deploy(network), tool_named("norse")))
    images = images_for(network.graph, 12)
    mine = Here(network)(images).spikes["lif2"]
    assert mine.any()
    frames = frames_of(images, flat=False)
    for at in range(len(images)):  # their importer flattens the images of a batch together
        state, out = None, []
        with torch.no_grad():
            for frame in frames:
                said, state = module(frame[at], state)
                out.append(said)
        assert np.array_equal(torch.stack(out).reshape(mine[:, at].shape).numpy(), mine[:, at]), at


@pytest.mark.parametrize("tool", ["snntorch", "norse"])
def test_the_membrane_is_read_where_the_documentation_says(tool, tmp_path, monkeypatch):
    new_nirtorch()
    nir = pytest.importorskip("nir")
    pytest.importorskip({"snntorch": "snntorch", "norse": "norse.torch"}[tool])
    layers = Flatten(), Linear(features=20), neurons(0.75, reset="zero"), Linear(features=4)
    readout = Neuron(dynamics=LeakyIntegrator(beta=0.5))
    network = dyadic(Network(graph_of(*layers, readout, encoder=Rate(steps=STEPS), readout=MeanMembrane())), 3)
    nir.write(tmp_path / "network.nir", to_nir(deploy(network), tool_named(tool)))
    images = images_for(network.graph, 12)
    page = (Path(__file__).parents[2] / "docs" / "export-nir.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if f"{tool}." in one]
    monkeypatch.chdir(tmp_path)
    answers = []
    with torch.no_grad():
        for at in range(len(images)):
            names = {"nir": nir, "torch": torch, "frames": frames_of(images, flat=False)[:, at]}
            exec(block, names)  # what a reader of the page would run
            answers.append(int(names["answer"]))
    here = Here(network)(images)
    assert here.spikes["lif1"].any()
    assert answers == here.scores.argmax(1).tolist()
    assert len(set(answers)) > 1


def mnist(real_data, count=1000):
    images = load_data("mnist", data_dir=real_data)
    return images.images[:: len(images.images) // count][:count]


@pytest.mark.real
def test_snntorch_networks_spike_alike_on_a_thousand_digits(real_data):
    pytest.importorskip("nirtorch")
    images = mnist(real_data)
    for make, flat in ((dense_snntorch, True), (conv_exportable, False)):
        module = on_a_grid(make(784, 100) if flat else make(28))
        how = {"dialect": "snntorch", "reset": "subtract", "encoder": Rate(steps=STEPS)}
        network = from_nir_graph(exported_by_snntorch(module, MNIST), **how).network
        for start in range(0, len(images), 250):
            part = images[start : start + 250]
            theirs = spikes_of(module, frames_of(part, flat=flat), is_leaky, clear=clear_snntorch)
            assert_same_spikes(network, part, theirs)


@pytest.mark.real
def test_real_weights_differ_in_ten_of_a_million_spikes_at_most(real_data):
    pytest.importorskip("nirtorch")
    torch.manual_seed(0)
    images = mnist(real_data)
    module = dense_snntorch(784, 100)
    with torch.no_grad():
        for one in (module[0], module[2]):
            one.weight.mul_(6)
    module.eval()
    how = {"dialect": "snntorch", "reset": "subtract", "encoder": Rate(steps=STEPS)}
    network = from_nir_graph(exported_by_snntorch(module, MNIST), **how).network
    theirs = spikes_of(module, frames_of(images, flat=True), is_leaky, clear=clear_snntorch)
    mine = Here(network)(images)
    apart = sum(int((a != b).sum()) for a, b in zip(theirs, mine.spikes.values(), strict=True))
    assert apart / sum(one.size for one in theirs) <= 1e-5
    counts = theirs[-1].sum(0)
    assert mine.spikes["lif2"].any()
    clear = counts.max(1) > np.sort(counts, 1)[:, -2]
    assert (counts.argmax(1) == mine.scores.argmax(1))[clear].all()


@pytest.mark.real
def test_spikingjelly_networks_spike_alike_on_a_thousand_digits(real_data):
    export_to_nir = exchange().export_to_nir
    layer = spikingjelly()[1]
    images = mnist(real_data)
    for name in ("hard, input decays", "hard, input stays"):
        cell = cells()[name]
        module = on_a_grid(nn.Sequential(layer.Linear(784, 100), cell(), layer.Linear(100, 10), cell()))
        graph = export_to_nir(module, torch.rand(1, 784))
        network = from_nir_graph(graph, dialect="spikingjelly", encoder=Rate(steps=STEPS)).network
        assert_same_spikes(network, images, jelly_spikes(module, frames_of(images, flat=True)))


def test_sinabs_networks_come_in_by_their_exporter():
    """With single spikes, and no floor that a membrane reaches: what neurons here do."""
    pytest.importorskip("nirtorch")
    sinabs = pytest.importorskip("sinabs", reason="sinabs is not installed: pip install 'spikewise[peers]'")
    import sinabs.layers as sl
    from sinabs.activation import SingleSpike
    from sinabs.nir import to_nir as export

    def cell():
        return sl.IAFSqueeze(batch_size=1, spike_fn=SingleSpike, min_v_mem=None)

    module = on_a_grid(nn.Sequential(nn.Linear(36, 20), cell(), nn.Linear(20, 10), cell()))
    frames = frames_of(images_for(graph_of(Flatten(), Linear(features=3)), 1), flat=True)
    try:
        graph = export(module, frames[:, 0])
    except (AssertionError, TypeError, AttributeError) as error:
        pytest.skip(f"sinabs {sinabs.__version__} cannot write to this nir: {error}")
    sinabs.reset_states(module)
    network = from_nir_graph(graph, dialect="sinabs", encoder=Rate(steps=STEPS)).network
    images = images_for(network.graph, 1)
    theirs = []
    x = frames[:, 0]
    with torch.no_grad():
        for one in module:
            x = one(x)
            if isinstance(one, sl.IAFSqueeze):
                theirs.append(x[:, None].numpy())
    assert_same_spikes(network, images, theirs)


def test_average_pools_are_written_for_spikingjelly():
    import_from_nir = exchange().import_from_nir
    layers = (
        Conv2d(channels=2, kernel=3),
        neurons(0.75, reset="zero"),
        AvgPool(size=2),
        Flatten(),
        Linear(features=10),
    )
    network = dyadic(Network(graph_of(*layers, neurons(0.5, reset="zero"), readout=SpikeCount())))
    module = import_from_nir(to_nir(deploy(network), tool_named("spikingjelly")))
    out, _ = module(torch.rand(3, 1, 6, 6), None)
    assert out.shape == (3, 10)
