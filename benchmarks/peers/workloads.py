"""The workloads: networks of the shipped presets on real images."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikewise.data import load_data
from spikewise.encoders import Direct, Latency
from spikewise.experiments import resolve
from spikewise.graph import Graph, Layer, Linear, Neuron, Residual
from spikewise.models import build
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["WORKLOADS", "Problem", "Workload", "encode", "load", "trained", "with_reset"]

_STEPS = 40
_PLAIN_LIF = "{kind = 'lif', beta = 0.9, reset_delay = true, surrogate = {kind = 'fast_sigmoid', slope = 25.0}}"
"""What every library has."""
_LEAST_OUTPUT = 0.2


class Workload(NamedTuple):
    """A network, and images to run it on."""

    title: str
    preset: str
    overrides: tuple[str, ...]
    batch: int
    rounds: int
    compiles: bool = True
    """Whether the PyTorch loop is also run under torch.compile here."""


WORKLOADS = {
    "W1": Workload("`pneumonia-conv`, T 20, PneumoniaMNIST", "pneumonia-conv", (), 128, 5),
    "W2": Workload("784-1024-10 LIF, T 25, Fashion-MNIST", "fashion-snn", (), 128, 5),
    "W2m": Workload("784-1024-10 LIF, T 25, MNIST", "fashion-snn", ("data.source=mnist",), 128, 5, compiles=False),
    "W2s": Workload(
        "9409-1024-10 LIF, T 25, SOCOFing 97x97",
        "fingers-snn",
        ("data.size=97", "data.grey=true", "data.part=real"),
        128,
        3,
        compiles=False,
    ),
    "W3": Workload(
        "784-128 ALIF recurrent-10, T 100, latency code, MNIST", "mnist-alif", ("model.recurrent=true",), 256, 5
    ),
    "W4": Workload(
        "residual c16, blocks 16/32/64 with batch normalisation, T 4, direct code, Fashion-MNIST",
        "fashion-resnet",
        (f"model.cell={_PLAIN_LIF}", "readout.kind=max_membrane"),
        128,
        5,
        compiles=False,
    ),
}


class Problem(NamedTuple):
    """One batch, and the network for it."""

    graph: Graph
    images: Tensor
    """uint8 [B, C, H, W]."""
    labels: Tensor
    learning_rate: float = 1e-3


def load(workload: Workload, batch: int) -> Problem:
    """The first images of the set that a fixed shuffle gives."""
    experiment = resolve(preset=workload.preset, overrides=list(workload.overrides))
    found = load_data(experiment.data)
    order = np.random.default_rng(0).permutation(len(found))[:batch]
    graph = build(
        *experiment.network(found.image_shape),
        experiment.readout,
        image_shape=found.image_shape,
        classes=len(found.classes),
    )
    images = torch.from_numpy(np.ascontiguousarray(found.images[np.sort(order)]))
    labels = torch.from_numpy(found.labels[np.sort(order)]).long()
    return Problem(graph, images, labels, experiment.train.rate)


def trained(problem: Problem) -> Network:
    """Our network after 40 steps of Adam on some of these images, so that its layers spike as trained ones do.

    The last layer's biases are raised until outputs spike: silent ones would say nothing about parity.
    """
    network, images, labels = Network(problem.graph, seed=1), problem.images[:64], problem.labels[:64]
    optimizer = torch.optim.Adam(network.parameters(), lr=problem.learning_rate)
    for step in range(_STEPS):
        optimizer.zero_grad()
        logits = network(images, Draw(0, step, torch.arange(len(images)))).logits
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
    last = [at.name for at in problem.graph.named if isinstance(at.layer, Linear)][-1]
    rise = 0.02
    with torch.no_grad():
        while network.eval()(images, Draw.first(len(images))).logits.abs().mean() < _LEAST_OUTPUT:
            network.get_parameter(f"{last}.bias").add_(rise)
            rise *= 1.5
    return network


def with_reset(graph: Graph, *, delayed: bool) -> Graph:
    """The same network with the reset in the step of the spike, or in the next."""

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Residual):
            main, shortcut = (tuple(map(changed, path)) for path in (layer.main, layer.shortcut))
            return Residual(main=main, shortcut=shortcut)
        if isinstance(layer, Neuron) and layer.spikes:
            return layer.replace(dynamics=layer.dynamics.replace(reset_delay=delayed))
        return layer

    return graph.replace(layers=tuple(changed(layer) for layer in graph.layers))


def encode(graph: Graph, images: Tensor) -> Tensor:
    """Spikes [T, B, C, H, W] as a user of a peer makes them: one comparison with uniform noise, or of arrival times.

    A constant current is a view: layers without memory run over it once.
    """
    steps = graph.steps
    if isinstance(graph.encoder, Direct):
        return (images / 255).expand(steps, *images.shape)
    if isinstance(graph.encoder, Latency):
        clock = torch.arange(steps).view(-1, *[1] * images.ndim)
        return (graph.encoder.first_spikes()[images.long()] == clock).float()
    return (torch.rand(steps, *images.shape) < images / 255).float()
