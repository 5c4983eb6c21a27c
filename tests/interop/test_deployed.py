"""`deploy`: what leaves of a network does what the network does in evaluation."""

import pytest
import torch

from spikewise.dynamics import LIF
from spikewise.encoders import Direct
from spikewise.graph import AvgPool, BatchNorm, Conv2d, Dropout, Flatten, Graph, Linear, Neuron, SpikingActivation
from spikewise.interop import deploy
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, SpikeCount
from spikewise.resnet import ResNet
from spikewise.types import Draw


def with_statistics(graph: Graph) -> Network:
    """A network whose running statistics and biases are not those of the start."""
    network = Network(graph, seed=3)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in network.weights.items():
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=draw))
            elif name.endswith(("running_mean", "bias")):
                value.copy_(0.2 * torch.randn(value.shape, generator=draw))
    return network.eval()


def images(graph: Graph, count: int = 8) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, *graph.image_shape), generator=draw, dtype=torch.uint8)


CHAIN = Graph(
    image_shape=(1, 8, 8),
    encoder=Direct(steps=4),
    layers=(
        Conv2d(channels=4, kernel=3, padding=1, bias=False),
        BatchNorm(),
        Neuron(dynamics=LIF(learn=("beta",))),
        AvgPool(size=2),
        Flatten(),
        Dropout(p=0.5),
        Linear(features=6),
        Neuron(dynamics=LIF()),
    ),
    readout=SpikeCount(),
)


def resnet(shortcut: str) -> Graph:
    layers = ResNet(channels=(4, 8), shortcut=shortcut, dropout=0.2).layers(3)
    return Graph(image_shape=(1, 8, 8), encoder=Direct(steps=3), layers=layers, readout=MeanMembrane())


ALL = {"chain": CHAIN, **{shortcut: resnet(shortcut) for shortcut in ("membrane", "sew", "current")}}


@pytest.mark.parametrize("graph", ALL.values(), ids=ALL)
def test_what_leaves_answers_as_the_network_does(graph):
    network = with_statistics(graph)
    left = deploy(network)
    pixels, draw = images(graph), Draw.first(8)
    with torch.no_grad():
        torch.testing.assert_close(left.network()(pixels, draw).logits, network(pixels, draw).logits)


@pytest.mark.parametrize("graph", ALL.values(), ids=ALL)
def test_normalisation_behind_weights_and_dropout_are_gone_and_the_others_keep_their_names(graph):
    left = deploy(with_statistics(graph)).graph
    kept = [at.name for at in graph.named if not isinstance(at.layer, BatchNorm | Dropout)]
    assert [at.name for at in left.named] == kept
    before = {at.name: at.output for at in graph.named}
    assert all(at.output == before[at.name] for at in left.named)


def test_normalisation_that_stands_alone_stays():
    alone = Graph(
        image_shape=(1, 4, 4),
        encoder=Direct(steps=2),
        layers=(BatchNorm(), Flatten(), Linear(features=2)),
        readout=MeanMembrane(),
    )
    network = with_statistics(alone)
    left = deploy(network)
    assert [at.name for at in left.graph.named] == [at.name for at in alone.named]
    assert torch.equal(left.weights["batch_norm1.running_var"], network.weights["batch_norm1.running_var"])


@pytest.mark.parametrize("spiking", [False, True])
def test_what_stays_behind_what_is_folded_does_what_it_did(spiking):
    """Normalisation that stays is the second of its name, and a voltage that starts anywhere has a place to draw at."""
    behind = SpikingActivation(dt=2.0) if spiking else Neuron(dynamics=LIF(threshold=0.2))
    graph = Graph(
        image_shape=(1, 8, 8),
        encoder=Direct(steps=3),
        layers=(Conv2d(channels=3, kernel=3), BatchNorm(), Dropout(), AvgPool(), BatchNorm(), behind, Flatten(),
                Linear(features=4), Neuron(dynamics=LIF(threshold=0.2))),
        readout=SpikeCount(),
    )  # fmt: skip
    network = with_statistics(graph)
    left = deploy(network)
    assert [at.name for at in left.graph.named][:3] == ["conv2d1", "avg_pool1", "batch_norm1"]
    assert torch.equal(left.weights["batch_norm1.running_var"], network.weights["batch_norm2.running_var"])
    assert left.streams["batch_norm1"] == 4
    if not spiking:
        pixels, draw = images(graph), Draw.first(8)
        with torch.no_grad():
            torch.testing.assert_close(left.network()(pixels, draw).logits, network(pixels, draw).logits)


def test_values_leave_in_the_range_in_which_they_are_used():
    network = with_statistics(CHAIN)
    with torch.no_grad():
        network.weights["lif1.beta"].fill_(7.0)
    highest = LIF().bounds()["beta"][1]
    assert deploy(network).weights["lif1.beta"].item() == pytest.approx(highest)
    assert network.weights["lif1.beta"].item() == 7.0  # the network's own stay


def test_a_second_departure_changes_nothing():
    once = deploy(with_statistics(CHAIN))
    twice = deploy(once.network())
    assert twice.graph == once.graph
    assert all(torch.equal(twice.weights[name], value) for name, value in once.weights.items())
