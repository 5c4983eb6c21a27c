"""Networks of every layer, neuron, encoder and readout, whose numbers are sums of powers of two: nothing rounds."""

import numpy as np
import torch

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, LeakyIntegrator, TwoPhaseIF
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.network import Network

SHAPE = (2, 7, 8)


def neurons(kind=LIF, *, recurrent=False, **more):
    decays = {"beta": 0.75} if kind in {LIF, CubaLIF, ALIF, LeakyIntegrator} else {}
    return Neuron(dynamics=kind(**{**decays, **more}), recurrent=recurrent)


def conv(channels=4, kernel=3, **more):
    return Conv2d(channels=channels, kernel=kernel, padding=kernel // 2, **more)


OUT = (Flatten(), Linear(features=3), neurons(LeakyIntegrator))
DENSE = (Flatten(), Linear(features=12))
NORM = BatchNorm(epsilon=0.0625)
LAYERS = {
    "lif": (*DENSE, neurons(threshold=0.5), Linear(features=3), neurons(threshold=0.5)),
    "lif, reset to zero": (*DENSE, neurons(reset="zero"), Linear(features=3), neurons(reset="zero")),
    "lif, no reset": (*DENSE, neurons(reset="none"), Linear(features=3), neurons(reset="none")),
    "lif, later reset": (*DENSE, neurons(reset_delay=True), Linear(features=3), neurons(reset_delay=True)),
    "lif, later reset to zero": (*DENSE, neurons(reset_delay=True, reset="zero"), *OUT[1:]),
    "if, charged": (*DENSE, neurons(IF, initial=0.5), Linear(features=3), neurons(IF, initial=-0.25)),
    "two phases": (*DENSE, neurons(TwoPhaseIF, phase=3, fires_from=2, listens_from=1, initial=0.5), *OUT[1:]),
    "lif, per channel": (conv(), neurons(learn=("beta", "threshold"), per="channel", spread=0.2), *OUT),
    "cuba": (*DENSE, neurons(CubaLIF, alpha=0.5, reset="zero"), Linear(features=3), neurons(CubaLIF, alpha=0.5)),
    "alif": (
        *DENSE,
        neurons(ALIF, adaptation_decay=0.5, adaptation=0.25, reset_delay=True),
        Linear(features=9),
        neurons(ALIF, adaptation_decay=0.75, adaptation=0.5, relative_surrogate=True),
        *OUT[1:],
    ),
    "izhikevich": (*DENSE, neurons(Izhikevich, gain=512.0, k=0.5, a=0.25, dt=0.5, capacitance=64.0), *OUT[1:]),
    "recurrent lif": (*DENSE, neurons(recurrent=True), *OUT[1:]),
    "recurrent alif": (*DENSE, neurons(ALIF, adaptation_decay=0.5, adaptation=0.25, recurrent=True), *OUT[1:]),
    "integrators within": (conv(), neurons(LeakyIntegrator, beta=0.5), conv(3), neurons(), *OUT),
    "pools": (conv(), neurons(), MaxPool(size=3, stride=2, padding=1), conv(), neurons(), AvgPool(size=2), *OUT),
    "sums": (conv(), neurons(), SumPool(size=(3, 2), stride=1, padding=(1, 0)), conv(), neurons(), *OUT),
    "global average": (conv(), neurons(), conv(), GlobalAvgPool(), neurons(), Linear(features=3)),
    "groups": (
        conv(),
        neurons(),
        Conv2d(channels=6, kernel=(3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2), groups=2, bias=False),
        neurons(),
        *OUT,
    ),
    "dropout and normalisation": (conv(), NORM, neurons(), Dropout(), AvgPool(), NORM, *OUT),
    "residual": (
        conv(),
        Residual(main=(neurons(), conv(), neurons(), conv())),
        Residual(main=(neurons(), conv(6, stride=2)), shortcut=(Conv2d(channels=6, kernel=1, stride=2),)),
        neurons(),
        *OUT,
    ),
    "spikes added": (conv(), neurons(), Residual(main=(conv(), neurons())), conv(), neurons(), *OUT),
    "the image past a convolution": (Residual(main=(conv(2),)), neurons(), *OUT),
    "the image past neurons": (Residual(main=(conv(2), neurons())), conv(), neurons(), *OUT),
    "spiking activations": (
        conv(),
        SpikingActivation(dt=0.5, function="leaky_relu", random_start=False),
        MaxPool(),
        Dropout(),
        conv(3),
        SpikingActivation(),
        *OUT,
    ),
    "quantised": (conv(), QCFS(levels=4), *OUT[:2]),
    "no spikes": (conv(), Activation(), MaxPool(), Flatten(), Linear(features=3)),
}
SMOOTH = ("sigmoid", "tanh", "softplus", "gelu")
"""Functions that round."""


def dyadic(graph: Graph, seed: int = 0) -> Network:
    """A network whose weights are multiples of 1/16 up to 1, more of them above zero, so that layers spike."""
    network = Network(graph, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.weights.items():
            drawn = torch.randint(-13, 17, value.shape, generator=draw) / 16
            if name.endswith("running_var"):
                drawn = torch.full(value.shape, 0.25 - NORM.epsilon)  # whose root is a power of two
            elif name.endswith(("threshold", "beta")):
                drawn = 0.25 + drawn.abs() / 2
            elif name.endswith("bias"):
                drawn = drawn.abs()
            value.copy_(drawn)
    return network.eval()


def graph_of(layers, encoder, readout) -> Graph:
    return Graph(image_shape=SHAPE, encoder=encoder, layers=layers, readout=readout)


def images(count: int, shape=SHAPE, seed: int = 0) -> np.ndarray:
    """Random pixels, with some that are black and white."""
    drawn = np.random.default_rng(seed).integers(-64, 320, (count, *shape))
    return drawn.clip(0, 255).astype(np.uint8)
