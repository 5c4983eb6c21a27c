"""NeuroBench's metrics, measured by its own harness on the same network, weights and input spikes.

Source of the definitions: Yik et al., "The NeuroBench framework for benchmarking neuromorphic computing algorithms and
systems", Nature Communications 16:1545, 2025.
"""

import numpy as np
import pytest
import torch
from torch import nn

from spikewise.dynamics import LIF
from spikewise.encoders import Direct, Rate
from spikewise.engine import RunOptions
from spikewise.evaluation.assess import CostMeasures, assess_cost
from spikewise.evaluation.prediction import Predictions
from spikewise.evaluation.speed import Speed
from spikewise.graph import Flatten, Linear, Neuron
from spikewise.models import MLP, Conv, Layers, build, twin
from spikewise.network import Network
from spikewise.readouts import SpikeCount
from spikewise.surrogates import FastSigmoid
from spikewise.types import Draw

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's own
CELL = LIF(beta=0.9, reset_delay=True, surrogate=FastSigmoid())
SHAPE, STEPS, BATCH = (1, 8, 8), 6, 5
MLPS = {"mlp": MLP(hidden=(20, 12), cell=CELL, output=CELL)}
CONVS = {"conv": Conv(channels=(3, 4), kernels=(3, 3), pool_before_cell=True, cell=CELL, output=CELL)}


@pytest.fixture
def neurobench():
    pytest.importorskip("snntorch", reason="snnTorch is not installed: pip install 'spikewise[peers]'")
    return pytest.importorskip("neurobench.models", reason="NeuroBench is not installed: requirements/peers.txt")


def network(model, encoder) -> Network:
    graph = build(model, encoder, SpikeCount(), image_shape=SHAPE, classes=10)
    made = Network(graph, seed=3)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(3).add_(0.05)  # so that all layers spike
    return made.eval()


def cut(ours: Network) -> Network:
    """The same network without a third of the first layer's connections."""
    with torch.no_grad():
        ours.get_parameter("linear1.weight")[:, ::3] = 0
    return ours


class Steps(nn.Module):
    """The layers of one of our networks in snnTorch, one time step at a time."""

    def __init__(self, ours: Network) -> None:
        super().__init__()
        import snntorch

        spikes = snntorch.surrogate.fast_sigmoid(slope=25)
        layers = []
        for at in ours.graph.named:
            own = dict(ours.get_submodule(at.name).named_parameters())
            kind = at.layer.kind
            if kind == "linear":
                layer = nn.Linear(at.input[0], at.layer.features)
            elif kind == "conv2d":
                layer = nn.Conv2d(at.input[0], at.layer.channels, at.layer.kernel, padding=at.layer.padding)
            elif kind == "neuron":
                layer = snntorch.Leaky(beta=0.9, spike_grad=spikes, init_hidden=True)
            else:
                layer = {"flatten": nn.Flatten(), "max_pool": nn.MaxPool2d(2), "activation": nn.ReLU()}[kind]
            if own:
                layer.load_state_dict(own)
            layers.append(layer)
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        out = self.layers(x)
        return out, out


def cost(ours: Network, images: torch.Tensor):
    """Our cost of one image over these images."""
    with torch.no_grad():
        result = ours(images, Draw.first(len(images)), RunOptions(measure=True)).result
    nothing = np.zeros(0, np.int64)
    counted = (dict(result.rates), dict(result.input_events), dict(result.active))
    said = Predictions(nothing, nothing, np.zeros((0, 10)), *counted, None)
    return assess_cost(ours, [said], CostMeasures(None, Speed(1.0, 1.0, 1.0), None), steps=STEPS)


def measured(model, data, *metrics):
    """What NeuroBench's metrics say of one batch [B, T, ...]."""
    model.register_hooks()
    with torch.no_grad():
        predicted = model(data)
    return [metric(model, predicted, (data, torch.zeros(len(data)))) for metric in metrics]


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, *SHAPE), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.mark.parametrize("model", [*MLPS.values(), *CONVS.values()], ids=[*MLPS, *CONVS])
def test_synaptic_operations_and_activation_sparsity_agree(neurobench, images, model):
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations

    ours = network(model, Rate(steps=STEPS))
    spikes = ours.encode(images, Draw.first(BATCH)).transpose(0, 1)
    found = cost(ours, images)
    theirs = neurobench.SNNTorchModel(Steps(ours))
    operations, sparsity = measured(theirs, spikes, SynapticOperations(), ActivationSparsity())
    assert 0.02 < 1 - sparsity < 0.98
    assert found.synaptic_operations == pytest.approx(operations["Effective_ACs"], rel=1e-5)
    assert found.dense_operations == pytest.approx(operations["Dense"])
    assert (found.macs, operations["Effective_MACs"]) == (0, 0)
    assert found.activation_sparsity == pytest.approx(sparsity, abs=1e-6)


def test_multiply_accumulates_of_a_conventional_network_agree(neurobench, images):
    from neurobench.metrics.workload import SynapticOperations

    model = MLP(hidden=(20, 12), cell=CELL, output=CELL)
    spiking = build(model, Rate(steps=STEPS), SpikeCount(), image_shape=SHAPE, classes=10)
    ours = Network(twin(spiking), seed=3).eval()
    found = cost(ours, images)
    theirs = neurobench.TorchModel(Steps(ours).layers)
    (operations,) = measured(theirs, images.float() / 255, SynapticOperations())
    assert operations["Effective_MACs"] < operations["Dense"]
    assert found.effective_macs == pytest.approx(operations["Effective_MACs"], rel=1e-5)
    assert found.dense_operations == found.macs == operations["Dense"]


def test_footprint_and_connection_sparsity_agree(neurobench, images):
    from neurobench.metrics.static import ConnectionSparsity, Footprint

    ours = cut(network(MLPS["mlp"], Rate(steps=STEPS)))
    found = cost(ours, images)
    theirs = neurobench.TorchModel(nn.Sequential(*[x for x in Steps(ours).layers if not hasattr(x, "beta")]))
    assert found.bytes == Footprint()(theirs)
    assert found.connection_sparsity == pytest.approx(ConnectionSparsity()(theirs), abs=1e-4)
    assert found.connection_sparsity > 0.2


def test_a_constant_current_is_multiplied_once_here_and_at_every_step_there(neurobench, images):
    from neurobench.metrics.workload import SynapticOperations

    ours = network(MLPS["mlp"], Direct(steps=STEPS))
    found = cost(ours, images)
    currents = ours.encode(images, Draw.first(BATCH)).transpose(0, 1)
    (operations,) = measured(neurobench.SNNTorchModel(Steps(ours)), currents, SynapticOperations())
    assert operations["Effective_MACs"] == pytest.approx(STEPS * found.effective_macs, rel=1e-5)
    assert operations["Effective_ACs"] == pytest.approx(found.synaptic_operations, rel=1e-5)


def test_connections_of_weight_zero_count_here_and_not_there(neurobench, images):
    from neurobench.metrics.workload import SynapticOperations

    ours = cut(network(MLPS["mlp"], Rate(steps=STEPS)))
    spikes = ours.encode(images, Draw.first(BATCH)).transpose(0, 1)
    (operations,) = measured(neurobench.SNNTorchModel(Steps(ours)), spikes, SynapticOperations())
    left_out = 20 * float(spikes.flatten(2)[:, :, ::3].sum()) / BATCH
    assert cost(ours, images).synaptic_operations == pytest.approx(operations["Effective_ACs"] + left_out, rel=1e-5)


class Recurrent(nn.Module):
    """One of our networks with a recurrent hidden layer in snnTorch, one time step at a time."""

    def __init__(self, ours: Network) -> None:
        super().__init__()
        import snntorch

        weights, hidden = ours.weights, ours.graph.named[1].output[0]
        spikes = snntorch.surrogate.fast_sigmoid(slope=25)
        self.linear, self.last = nn.Linear(SHAPE[1] * SHAPE[2], hidden), nn.Linear(hidden, 10)
        self.hidden = snntorch.RLeaky(beta=0.9, linear_features=hidden, spike_grad=spikes, init_hidden=True)
        self.output = snntorch.Leaky(beta=0.9, spike_grad=spikes, init_hidden=True)
        for layer, name in ((self.linear, "linear1"), (self.last, "linear2")):
            layer.load_state_dict({key: weights[f"{name}.{key}"] for key in ("weight", "bias")})
        self.hidden.recurrent.load_state_dict({"weight": weights["lif1.recurrent"], "bias": torch.zeros(hidden)})

    def forward(self, x):
        out = self.output(self.last(self.hidden(self.linear(x.flatten(1)))))
        return out, out


def test_a_recurrent_network_is_charged_for_the_spikes_that_arrive(neurobench, images):
    from neurobench.metrics.workload import SynapticOperations

    layers = (
        Flatten(),
        Linear(features=20),
        Neuron(dynamics=CELL, recurrent=True, self_connections=True),
        Linear(features=10),
        Neuron(dynamics=CELL),
    )
    ours = network(Layers(sequence=layers), Rate(steps=STEPS))
    spikes = ours.encode(images, Draw.first(BATCH)).transpose(0, 1)
    (operations,) = measured(neurobench.SNNTorchModel(Recurrent(ours)), spikes, SynapticOperations())
    found = cost(ours, images)
    assert found.synaptic_operations == pytest.approx(operations["Effective_ACs"], rel=1e-6)
    assert found.dense_operations == operations["Dense"]
