"""With weights as training leaves them, float sums round: how many spikes are not those of float64."""

import pytest
import torch
from cases import images

from spikewise.dynamics import ALIF, LIF
from spikewise.encoders import Rate
from spikewise.engine import RunOptions, native
from spikewise.graph import Conv2d, Flatten, Graph, Linear, MaxPool, Neuron
from spikewise.network import Network
from spikewise.readouts import SpikeCount
from spikewise.types import Draw

pytestmark = pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")

NETS = {
    "dense": (Flatten(), Linear(features=256), Neuron(dynamics=LIF(beta=0.95)), Linear(features=10),
              Neuron(dynamics=LIF())),
    "recurrent": (Flatten(), Linear(features=128), Neuron(dynamics=ALIF(beta=0.9), recurrent=True), Linear(features=10),
                  Neuron(dynamics=LIF())),
    "convolutional": (Conv2d(channels=12, kernel=5), MaxPool(), Neuron(dynamics=LIF(beta=0.6)),
                      Conv2d(channels=32, kernel=3), MaxPool(), Neuron(dynamics=LIF(beta=0.6)), Flatten(),
                      Linear(features=2), Neuron(dynamics=LIF())),
}  # fmt: skip
MOST = 2e-4
"""Share of spikes, over all layers, that may differ from float64."""


def share_apart(name, engine, count=24):
    graph = Graph(image_shape=(1, 28, 28), encoder=Rate(steps=25), layers=NETS[name], readout=SpikeCount())
    net, exact = Network(graph, seed=3, engine_name=engine), Network(graph, seed=3, engine_name="reference").double()
    for one in (net, exact):
        for parameter in one.parameters():
            parameter.data *= 3  # untrained networks hardly spike
    batch, draw = images(count, (1, 28, 28)), Draw.first(count)
    options = RunOptions(record=frozenset(graph.spiking_layers))
    with torch.no_grad():
        found = net(batch, draw, options).result.traces
        wanted = exact.run(exact.encode(batch, draw).double(), draw, options).result.traces
    apart = sum((found[n].spikes.double() != wanted[n].spikes).sum().item() for n in wanted)
    total = sum(wanted[n].spikes.sum().item() for n in wanted)
    assert total > 1000
    return apart / total


@pytest.mark.parametrize("name", NETS)
def test_few_spikes_differ_from_float64(name):
    apart = share_apart(name, "native")
    assert apart < MOST
    assert apart < 1e-5 + 4 * share_apart(name, "reference")  # no worse than PyTorch's own rounding


if __name__ == "__main__":
    for name in NETS:
        print(name, *(f"{engine} {share_apart(name, engine, 256):.1e}" for engine in ("native", "reference")))
