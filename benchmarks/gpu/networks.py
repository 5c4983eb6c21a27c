"""The workloads, and the opponents with the same weights."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.peers.neurons import NEURONS, Kind, Means, PlainIntegrator, Sum
from spikewise.dynamics import ALIF, LIF, LeakyIntegrator
from spikewise.encoders import Direct, Latency, Rate
from spikewise.engine.contract import RunOptions
from spikewise.engine.triton import run as engine
from spikewise.engine.triton.job import Operands
from spikewise.graph import BatchNorm, Conv2d, GlobalAvgPool, Graph, Linear, MaxPool, Neuron, Residual
from spikewise.models import MLP, Conv, build
from spikewise.network import Network
from spikewise.readouts import MaxMembrane, SpikeCount
from spikewise.resnet import ResNet
from spikewise.surrogates import FastSigmoid
from spikewise.types import Draw

__all__ = ["WORKLOADS", "Ours", "Workload", "opponents", "random_images"]


class Workload(NamedTuple):
    title: str
    graph: Graph
    batches: tuple[int, ...]


def _lif(beta: float) -> LIF:
    return LIF(beta=beta, reset_delay=True, surrogate=FastSigmoid())


def _workloads() -> dict[str, Workload]:
    shape = (1, 28, 28)
    conv = Conv(channels=(12, 32), kernels=(5, 3), padding=0, pool_before_cell=True, cell=_lif(0.6), output=_lif(0.6))
    wide = MLP(hidden=(1024,), cell=_lif(0.95), output=_lif(0.95))
    adaptive = ALIF(surrogate=FastSigmoid(), reset="zero", reset_delay=True)
    recurrent = MLP(hidden=(128,), cell=adaptive, recurrent=True)
    residual = ResNet(cell=_lif(0.9), output=LeakyIntegrator())
    return {
        "W1": Workload(
            "`pneumonia-conv` T 20",
            build(conv, Rate(steps=20), SpikeCount(), image_shape=shape, classes=2), (128, 1024),
        ),
        "W2": Workload(
            "784-1024-10 T 25", build(wide, Rate(steps=25), SpikeCount(), image_shape=shape, classes=10), (128, 1024)
        ),
        "W3": Workload(
            "784-128 ALIF recurrent-10 T 100",
            build(recurrent, Latency(steps=100), MaxMembrane(), image_shape=shape, classes=10), (1024,),
        ),
        "W4": Workload(
            "residual c16, blocks 16/32/64 with batch normalisation T 4",
            build(residual, Direct(steps=4), MaxMembrane(), image_shape=shape, classes=10), (512,),
        ),
    }  # fmt: skip


WORKLOADS = _workloads()


class Ours(nn.Module):
    """Our network, on the Triton engine."""

    def __init__(self, network: Network, precision: str) -> None:
        super().__init__()
        self.network, self.operands = network, Operands.of(precision)

    def forward(self, images: Tensor, index: Tensor) -> Tensor:
        draw = Draw(0, 1, index)
        options = RunOptions(training=self.training)
        result = engine.run_encoding(self.network.graph, self.network.weights, images, draw, options, self.operands)
        return self.network.graph.readout(result.trajectory)


class Stack(nn.Module):
    """The layers of a graph with a library's neurons, each over all steps at once."""

    def __init__(self, network: Network, library: str) -> None:
        super().__init__()
        self.graph, self.layers = network.graph, nn.ModuleList()
        kind = NEURONS[library]
        for at in self.graph.named:
            own = {name: p.detach().clone() for name, p in network.get_submodule(at.name).named_parameters()}
            self.layers.append(_layer(at.layer, own, kind, at.output[0]))

    def forward(self, images: Tensor, index: Tensor) -> Tensor:
        del index
        outputs = {"": self._encoded(images)}
        for at, layer in zip(self.graph.named, self.layers, strict=True):
            arrived = [outputs[name] for name in at.inputs]
            outputs[at.name] = _over_steps(layer, arrived[0]) if isinstance(layer, _FRAMES) else layer(*arrived)
        x = outputs[self.graph.named[-1].name]
        return x.amax(0) if self.graph.readout.kind == "max_membrane" else x.sum(0)

    def _encoded(self, images: Tensor) -> Tensor:
        steps = self.graph.steps
        if isinstance(self.graph.encoder, Direct):
            return self.graph.encoder.currents(images).expand(steps, *images.shape)
        if isinstance(self.graph.encoder, Latency):
            if not hasattr(self, "table"):
                self.table = self.graph.encoder.first_spikes().to(images.device)
                self.clock = torch.arange(steps, device=images.device).view(-1, 1, 1, 1, 1)
            return (self.table[images.long()] == self.clock).float()
        return (torch.rand(steps, *images.shape, device=images.device) < images / 255).float()


_FRAMES = nn.Conv2d | nn.MaxPool2d | nn.BatchNorm2d


def _over_steps(layer: nn.Module, x: Tensor) -> Tensor:
    """All frames of all steps at once; those of one step where all are the same."""
    if len(x) > 1 and x.stride(0) == 0:
        return _over_steps(layer, x[:1]).expand(len(x), *[-1] * (x.ndim - 1))
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _layer(  # noqa: PLR0911  # one line or two for each kind of layer
    layer: object, own: dict[str, Tensor], kind: Kind, features: int
) -> nn.Module:
    match layer:
        case Linear():
            made: nn.Module = nn.Linear(own["weight"].shape[1], layer.features, bias=layer.bias)
        case Conv2d():
            made = nn.Conv2d(
                own["weight"].shape[1], layer.channels, layer.kernel, layer.stride, layer.padding, bias=layer.bias
            )
        case BatchNorm():
            return nn.BatchNorm2d(features, layer.epsilon, layer.momentum)
        case Residual():
            return Sum()
        case GlobalAvgPool():
            return Means()
        case MaxPool():
            return nn.MaxPool2d(layer.size, layer.stride)
        case Neuron(dynamics=LeakyIntegrator()):
            return PlainIntegrator(layer)
        case Neuron(dynamics=ALIF()):
            if kind.adaptive is None:
                raise KeyError("no recurrent adaptive neuron with these equations")
            made = kind.adaptive(layer, features)
            made.load_state_dict(own, strict=False)
            return made
        case Neuron():
            return kind.leaky(layer, features)
        case _:
            return nn.Flatten(2)
    made.load_state_dict(own)
    return made


def opponents(network: Network) -> dict[str, nn.Module]:
    """Those that are installed and run such neurons."""
    out: dict[str, nn.Module] = {}
    for title in ("PyTorch loop", "SpikingJelly"):
        try:
            out[title] = Stack(network, title).to(network.device)
        except (ImportError, KeyError, TypeError) as error:
            print(f"({title} does not run here: {error!r})")
    return out


def random_images(count: int, graph: Graph) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, *graph.image_shape), dtype=torch.uint8, generator=g).cuda()
