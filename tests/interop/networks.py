"""Small networks of every layer that leaves, with weights on a dyadic grid, and images for them."""

import numpy as np
import torch
from hypothesis import reject
from hypothesis import strategies as st

from spikewise.dynamics import IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.encoders import Direct, Latency, Rate
from spikewise.errors import ShapeError
from spikewise.graph import (
    AvgPool,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    SumPool,
)
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MaxMembrane, MeanMembrane, SpikeCount

GRID = 2.0**-6


def dyadic(network: Network, seed: int = 0) -> Network:
    """The network with weights that are small multiples of 2^-6, whose sums are exact in any order."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith(("weight", "bias", "recurrent")):
                drawn = rng.integers(-24, 40, value.shape) * GRID
                value.copy_(torch.from_numpy(drawn).float())
            else:
                value.copy_(torch.from_numpy(rng.choice([0.5, 0.75, 1.0], value.shape)).float())
    return network.eval()


def images_for(graph: Graph, count: int = 6, seed: int = 1) -> np.ndarray:
    """Random images of the graph's shape."""
    return np.random.default_rng(seed).integers(0, 256, (count, *graph.image_shape), dtype=np.uint8)


def neurons(beta: float = 0.75, **how) -> Neuron:
    return Neuron(dynamics=LIF(beta=beta, **how))


def graph_of(*layers, shape=(1, 6, 6), encoder=None, readout=None) -> Graph:
    return Graph(image_shape=shape, encoder=encoder or Rate(steps=7), layers=layers, readout=readout or MeanMembrane())


resets = st.sampled_from(["subtract", "zero", "none"])
channels = st.sampled_from(["layer", "channel"])


@st.composite
def cells(draw, *, flat: bool) -> Neuron:
    """Any neuron that NIR can say."""
    kind = draw(st.sampled_from([LIF, IF, CubaLIF]))
    per = draw(channels)
    how = {"reset": draw(resets), "reset_delay": draw(st.booleans()), "per": per}
    if per == "channel" or draw(st.booleans()):
        how["learn"] = ("threshold",) if kind is IF else ("beta", "threshold")
    if kind is not CubaLIF:
        how["initial"] = draw(st.sampled_from([0.0, 0.5]))
    if kind is not IF:
        how["beta"] = draw(st.sampled_from([0.0, 0.5, 0.75, 0.9, 1.0]))
    if kind is CubaLIF:
        how["alpha"] = draw(st.sampled_from([0.0, 0.5, 0.875]))
    return Neuron(dynamics=kind(**how), recurrent=flat and draw(st.booleans()))


@st.composite
def graphs(draw) -> Graph:
    """Convolutions, pools, residual blocks and flat layers behind one another."""
    layers: list = []
    if draw(st.booleans()):
        groups = draw(st.sampled_from([1, 2]))
        layers += [
            Conv2d(
                channels=4,
                kernel=draw(st.sampled_from([1, 3, (3, 2)])),
                stride=draw(st.sampled_from([1, 2, (1, 2)])),
                padding=draw(st.sampled_from([0, 1, (0, 1)])),
                dilation=draw(st.sampled_from([1, 2])),
                groups=groups,
                bias=draw(st.booleans()),
            ),
            draw(cells(flat=False)),
        ]
        if draw(st.booleans()):
            inside = (Conv2d(channels=4, kernel=3, padding=1, bias=False), draw(cells(flat=False)))
            layers.append(Residual(main=inside, shortcut=draw(st.sampled_from([(), (Conv2d(channels=4, kernel=1),)]))))
        pool = draw(st.sampled_from([None, AvgPool(size=2), SumPool(size=(2, 1)), MaxPool(size=2), GlobalAvgPool()]))
        if pool is not None and not (isinstance(pool, MaxPool) and not isinstance(layers[-1], Neuron)):
            layers.append(pool)
    if not (layers and isinstance(layers[-1], GlobalAvgPool)):
        layers.append(Flatten())
    if draw(st.booleans()):
        layers += [Linear(features=5, bias=draw(st.booleans())), draw(cells(flat=True))]
    end = draw(st.sampled_from(["integrator", "spikes", "none"]))
    layers.append(Linear(features=3))
    if end == "integrator":
        layers.append(Neuron(dynamics=LeakyIntegrator(beta=draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])))))
    if end == "spikes":
        layers.append(draw(cells(flat=True)))
    readouts = [MeanMembrane(), MaxMembrane(), LastMembrane(scale=2.0), *([SpikeCount()] if end == "spikes" else [])]
    encoder = draw(st.sampled_from([Rate(steps=5), Direct(steps=3), Latency(steps=6)]))
    readout = draw(st.sampled_from(readouts))
    try:
        return graph_of(*layers, shape=(2, 7, 6), encoder=encoder, readout=readout)
    except ShapeError:  # nothing was left of the map
        reject()
