"""What an engine is given: shapes are looked at before anything is read."""

import pytest
import torch

from spikewise.dynamics import LIF
from spikewise.encoders import Direct
from spikewise.errors import ShapeError
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.types import Draw


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_what_is_not_of_the_networks_shape_is_refused_not_read(engine):
    """The native engine works on addresses: it would read what lies behind, or divide by no steps."""
    layers = (Flatten(), Linear(features=3), Neuron(dynamics=LIF()))
    graph = Graph(image_shape=(1, 3, 4), encoder=Direct(steps=3), layers=layers, readout=LastMembrane())
    net, draw, steps = Network(graph, engine_name=engine), Draw.first(6), torch.zeros(2, 6, 1, 3, 4)
    wrong = (steps[..., :3], steps.mT, steps.flatten(2), steps.expand(2, 6, 2, 3, 4), steps[:0], steps.to(torch.uint8))
    for inputs in wrong:
        with pytest.raises(ShapeError, match=r"spikes or currents of \[steps, images, 1, 3, 4\]; got torch"):
            net.run(inputs, draw)
    for run in (lambda: net.run(steps, Draw.first(5)), lambda: net(steps[0].to(torch.uint8), Draw.first(5))):
        with pytest.raises(ShapeError, match="index has 5 of 6"):
            run()
