"""Every candidate as one module: weights of our network, neurons of a library, layers over all steps at once.

Each library gets the fastest layers we know: linear layers over [T, B, F] in one call, convolutions over all frames in
chunks of 128 with channels last (five times faster on these processors than all frames at once), and its own fastest
documented way of running neurons over time.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.neurons import NEURONS, Means, PlainALIF, PlainIntegrator, Sum
from benchmarks.peers.workloads import encode
from spikewise.dynamics import ALIF, LeakyIntegrator
from spikewise.graph import BatchNorm, Conv2d, GlobalAvgPool, Graph, Linear, MaxPool, Neuron, Residual
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["CANDIDATES", "Candidate", "Ours", "Stack", "make"]

_FRAMES = 128
_WHOLE = 1 << 30
OURS = ("spikewise native", "spikewise reference")
CANDIDATES = (*OURS, *NEURONS)
"""Names, in the order of the tables."""


class Candidate(NamedTuple):
    """One network of one library."""

    name: str
    model: nn.Module
    delayed: bool | None
    """Whether its reset comes a step after the spike, as the workload says; None: other equations."""
    note: str = ""

    def train(self, images: Tensor, labels: Tensor) -> Callable[[], None]:
        """A training step: encode, forward, backward, Adam."""
        optimizer = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], lr=1e-4, fused=True)
        self.model.train()

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(self.model(images), labels).backward()
            optimizer.step()

        return step

    def infer(self, images: Tensor) -> Callable[[], None]:
        """Encode, forward, argmax."""
        self.model.eval()

        def answer() -> None:
            with torch.no_grad():
                self.model(images).argmax(-1)

        return answer


class Ours(nn.Module):
    """A Spikewise network."""

    def __init__(self, graph: Graph, engine: str) -> None:
        super().__init__()
        self.network = Network(graph, engine_name=engine)
        self.asked: Network = self.network

    def train(self, mode: bool = True) -> "Ours":
        """Evaluation asks the network with its weights frozen, as the documentation advises."""
        if not mode and self.training:
            self.asked = self.network.frozen()
        elif mode:
            self.asked = self.network
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        return self.asked(images, Draw(0, 1, torch.arange(len(images)))).logits


class Stack(nn.Module):
    """The layers of a graph with a library's neurons."""

    def __init__(self, ours: Network, neuron: Callable[[Neuron, int], nn.Module]) -> None:
        super().__init__()
        self.graph = ours.graph
        self.layers = nn.ModuleList()
        for at in ours.graph.named:
            own = {key: p.detach().clone() for key, p in ours.get_submodule(at.name).state_dict().items()}
            self.layers.append(_layer(at.layer, own, neuron, at.output[0]))

    def run(self, spikes: Tensor) -> Tensor:
        """What the last layer sends, [T, B, K], for encoded spikes."""
        outputs = {"": spikes}
        for at, layer in zip(self.graph.named, self.layers, strict=True):
            outputs[at.name] = layer(*(outputs[name] for name in at.inputs))
        return outputs[self.graph.named[-1].name]

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.run(encode(self.graph, images)))

    def logits(self, out: Tensor) -> Tensor:
        """The graph's readout: spikes counted, or the highest membrane."""
        return out.amax(0) if self.graph.readout.kind == "max_membrane" else out.sum(0)


class Frames(nn.Module):
    """A function of frames [N, ...] over [T, B, ...], in chunks; once where all steps are one."""

    def __init__(self, function: nn.Module, most: int = _FRAMES) -> None:
        super().__init__()
        self.function, self.most = function, most

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1 and x.stride(0) == 0:
            return self(x[:1]).expand(len(x), *[-1] * (x.ndim - 1))
        frames = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        done = torch.cat([self.function(chunk) for chunk in frames.split(self.most)])
        return done.unflatten(0, x.shape[:2])


def _layer(  # noqa: PLR0911  # one line or two for each kind of layer
    layer: object, own: dict[str, Tensor], neuron: Callable[[Neuron, int], nn.Module], features: int
) -> nn.Module:
    match layer:
        case Linear():
            weight = own["weight"]
            made: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias=layer.bias)
        case Conv2d():
            weight = own["weight"]
            made = nn.Conv2d(
                weight.shape[1], weight.shape[0], layer.kernel, layer.stride, layer.padding, bias=layer.bias
            )
        case BatchNorm():
            made = nn.BatchNorm2d(own["weight"].shape[0], layer.epsilon, layer.momentum)
            made.load_state_dict(own, strict=False)
            return Frames(made, _WHOLE)  # statistics are of the whole batch
        case Residual():
            return Sum()
        case GlobalAvgPool():
            return Means()
        case Neuron(dynamics=LeakyIntegrator()):
            return PlainIntegrator(layer)
        case MaxPool():
            return Frames(nn.MaxPool2d(layer.size, layer.stride))
        case Neuron():
            made = neuron(layer, features)
            if isinstance(made, PlainALIF):
                made.load_state_dict(own, strict=False)
            return made
        case _:
            return nn.Flatten(2)
    made.load_state_dict(own)
    return Frames(made.to(memory_format=torch.channels_last)) if isinstance(layer, Conv2d) else made


class Unavailable(Exception):
    """A library cannot take part in a workload; the message says why, and stands in its row."""


def make(name: str, ours: Network) -> Candidate:
    """The candidate of that name, with the weights of `ours`."""
    if name in OURS:
        model = Ours(ours.graph, name.split()[1])
        model.network.load_state_dict(ours.state_dict())
        return Candidate(name, model, delayed=True)
    kind = NEURONS[name]
    adaptive = any(isinstance(layer, Neuron) and isinstance(layer.dynamics, ALIF) for layer in ours.graph.layers)
    build = kind.adaptive if adaptive else kind.leaky
    if build is None:
        raise Unavailable("the library has no recurrent adaptive neuron with these equations")
    delayed = None if adaptive and not kind.same_adaptive else kind.delayed
    return Candidate(name, Stack(ours, build), delayed, kind.adaptive_note if adaptive else kind.note)
