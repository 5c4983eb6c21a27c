"""Random small graphs with dyadic weights, whose sums are exact in any order."""

import torch
from hypothesis import strategies as st

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.graph import (
    Activation,
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
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount

RESETS = st.sampled_from(["subtract", "zero", "none"])
DECAYS = st.sampled_from([0.0, 0.5, 0.6, 0.9, 1.0])


def neurons() -> st.SearchStrategy:
    shared = {
        "reset": RESETS,
        "reset_delay": st.booleans(),
        "threshold": st.sampled_from([0.5, 1.0]),
        "per": st.sampled_from(["layer", "channel"]),
        "learn": st.sampled_from([(), ("threshold",)]),
    }
    return st.one_of(
        st.builds(LIF, beta=DECAYS, initial=st.sampled_from([0.0, 0.0, 0.5, -1.0]), **shared),
        st.builds(IF, initial=st.sampled_from([0.0, 0.5]), **shared),
        st.builds(CubaLIF, alpha=DECAYS, beta=DECAYS, **shared),
        st.builds(ALIF, beta=DECAYS, adaptation=st.sampled_from([0.0, 0.25]), adaptation_decay=DECAYS, **shared),
    )


def encoders() -> st.SearchStrategy:
    steps = st.integers(1, 5)
    return st.one_of(
        st.builds(Rate, steps=steps),
        st.builds(Latency, steps=steps, tau=st.just(3.0)),
        st.builds(Periodic, steps=steps, tau=st.just(2.0)),
        st.builds(Direct, steps=steps, mean=st.just((0.25,)), deviation=st.just((0.5,))),
        st.builds(Direct, steps=steps),
        st.builds(Delta, steps=steps, threshold=st.sampled_from([0.1, 0.2]), amplitude=st.integers(1, 3)),
    )


def _pairs(low: int, high: int) -> st.SearchStrategy:
    return st.one_of(st.integers(low, high), st.tuples(st.integers(low, high), st.integers(low, high)))


@st.composite
def convolutions(draw, channels=(2, 4)):
    groups = draw(st.sampled_from([1, 1, 2])) if channels == (2, 4) else 1
    return Conv2d(
        channels=draw(st.sampled_from(channels)), kernel=draw(_pairs(1, 3)), stride=draw(_pairs(1, 2)),
        padding=draw(_pairs(0, 2)), dilation=draw(_pairs(1, 2)), bias=draw(st.booleans()), groups=groups,
    )  # fmt: skip


def pools() -> st.SearchStrategy:
    how = {
        "size": st.sampled_from([2, (2, 3), 3]),
        "stride": st.sampled_from([None, 1, 2]),
        "padding": st.integers(0, 1),
    }
    return st.one_of(*(st.builds(kind, **(how if kind is not SumPool else {"size": st.just(2)}))
                       for kind in (MaxPool, AvgPool, SumPool)), st.just(Activation()))  # fmt: skip


@st.composite
def blocks(draw):
    """Layers that keep the shape, in a sum with their input."""
    main = [Conv2d(channels=2, kernel=3, padding=1)]
    if draw(st.booleans()):
        main += [Neuron(dynamics=draw(neurons()))]
    shortcut = () if draw(st.booleans()) else (Conv2d(channels=2, kernel=1, bias=False),)
    return [Residual(main=tuple(main), shortcut=shortcut), Neuron(dynamics=draw(neurons()))]


@st.composite
def graphs(draw):
    """A chain of whatever the C export knows, from an image of 1 or 2 channels to 3 classes."""
    layers: list = []
    if draw(st.booleans()):
        layers.append(Conv2d(channels=2, kernel=3, padding=1))
        layers += draw(st.lists(pools(), max_size=1)) if draw(st.booleans()) else []
        layers.append(Neuron(dynamics=draw(neurons())))
        layers += draw(blocks()) if draw(st.booleans()) else []
        layers += draw(st.lists(pools(), max_size=1))
        if draw(st.booleans()):
            layers += [draw(convolutions()), Neuron(dynamics=draw(neurons()))]
    layers.append(draw(st.sampled_from([Flatten(), Flatten(), GlobalAvgPool()])))
    if draw(st.booleans()):
        layers.append(Linear(features=5, bias=draw(st.booleans())))
        layers.append(Neuron(dynamics=draw(neurons()), recurrent=draw(st.booleans())))
    layers.append(Linear(features=3))
    last = draw(st.one_of(neurons(), st.builds(LeakyIntegrator, beta=DECAYS), st.none()))
    layers += [] if last is None else [Neuron(dynamics=last)]
    kinds = [MaxMembrane(), MeanMembrane(), LastMembrane(scale=0.5), FilteredSum(decay=0.5)]
    readout = draw(st.sampled_from([*kinds, SpikeCount(), SpikeCount()] if last and last.spikes else kinds))
    shape = (draw(st.integers(1, 2)), draw(st.integers(4, 6)), draw(st.integers(4, 6)))
    return Graph(image_shape=shape, encoder=draw(encoders()), layers=tuple(layers), readout=readout)


def dyadic(graph: Graph, seed: int) -> Network:
    """With weights that are multiples of 1/64, of both signs."""
    network = Network(graph, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.weights.items():
            if name.endswith(("weight", "bias", "recurrent")):
                value.copy_(torch.randint(-24, 48, value.shape, generator=draw) / 64)
            elif name.endswith("threshold"):
                value.copy_(torch.randint(16, 64, value.shape, generator=draw) / 32)
    return network.eval()


def pictures(graph: Graph, count: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *graph.image_shape), generator=draw, dtype=torch.uint8)
    images[0] = 0
    return images
