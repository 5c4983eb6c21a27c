"""`Network`: the weights of a `Graph`, as a PyTorch module. State is passed and returned, never kept."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from spikewise import engine
from spikewise.engine import EngineName, EngineResult, EngineState, FrozenWeights, RunOptions
from spikewise.engine.parameters import clamp_stored
from spikewise.errors import ConfigError, ShapeError
from spikewise.graph import QCFS, BatchNorm, Conv2d, Graph, Linear, NamedLayer, Neuron
from spikewise.initial import Uniform, fans
from spikewise.memory import memory_limit
from spikewise.randomness import generator
from spikewise.readouts import Carry, MeanMembrane, Trajectory
from spikewise.ties import without_ties
from spikewise.types import Draw

__all__ = ["FrozenNetwork", "Network", "Output", "check_size"]


class Output(NamedTuple):
    """What a network says about a batch."""

    logits: Float[Tensor, "B K"]
    result: EngineResult

    @property
    def trajectory(self) -> Trajectory:
        """The last layer, step by step."""
        return self.result.trajectory


class Network(nn.Module):
    """Parameters of a graph, and the forward pass.

    Args:
        seed: fixes the initial weights; the global seed is neither used nor changed.
        engine_name: which engine runs the graph ("auto" picks).
    """

    def __init__(self, graph: Graph, *, seed: int = 0, engine_name: EngineName = "auto") -> None:
        super().__init__()
        self.graph = graph
        self.engine_name: EngineName = engine_name
        check_size(graph)
        draw = generator("weights", seed)
        for at in graph.named:
            holder = nn.Module()
            for key, tensor in _initial(at, draw).items():
                if key.startswith("running_"):
                    holder.register_buffer(key, tensor)
                else:
                    holder.register_parameter(key, nn.Parameter(tensor, requires_grad=_is_learned(at, key)))
            self.add_module(at.name, holder)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Every parameter and buffer, by name."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def frozen(self) -> "FrozenNetwork":
        """A copy whose weights cannot change: the fastest way to ask the same network again and again."""
        return FrozenNetwork(self)

    def count_parameters(self) -> int:
        """Number of learned values."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def forward(
        self, images: UInt8[Tensor, "B C H W"], draw: Draw | None = None, options: RunOptions | None = None
    ) -> Output:
        """Encode, run and read out a batch.

        Args:
            draw: key of the random numbers; None is the key of evaluation with seed 0, images counted from 0.
        Raises:
            ShapeError: the images are not of the graph's shape.
        """
        draw = Draw.first(len(images)) if draw is None else draw
        draw = draw._replace(index=draw.index.to(images.device))
        self._check(images)
        options = RunOptions(training=self.training) if options is None else options._replace(training=self.training)
        result = engine.run_images(self.graph, self.weights, images, draw, options, self.engine_name)
        return Output(self.graph.readout(result.trajectory), result)

    def encode(self, images: UInt8[Tensor, "B C H W"], draw: Draw) -> Float[Tensor, "T B C2 H W"]:
        """Spikes or currents that enter the first layer."""
        self._check(images)
        currents: Tensor = self.graph.encoder(images, draw)
        return currents

    def _check(self, images: Tensor) -> None:
        if images.shape[1:] != self.graph.image_shape or images.dtype != torch.uint8:
            wanted = "x".join(map(str, self.graph.image_shape))
            found = "x".join(map(str, images.shape[1:]))
            raise ShapeError(
                f"The network reads uint8 images of {wanted} (channels, height, width); got {images.dtype} {found}."
            )

    def run(self, inputs: Float[Tensor, "T B C2 H W"], draw: Draw, options: RunOptions | None = None) -> Output:
        """Run and read out what is already encoded."""
        options = RunOptions(training=self.training) if options is None else options._replace(training=self.training)
        result = engine.run(self.graph, self.weights, inputs, draw, options, self.engine_name)
        return Output(self.graph.readout(result.trajectory), result)

    def stream(self, image: UInt8[Tensor, "1 C H W"], draw: Draw | None = None) -> Iterator[Float[Tensor, "K"]]:
        """Evidence after each step for one image, without gradients; stop taking when it is enough.

        Each step costs the same: the state is passed on, and running totals are kept. Ties of the highest evidence are
        broken (`spikewise.ties`), so that its highest class is the answer that `predict` and the report give.
        """
        draw = Draw.first(len(image)) if draw is None else draw
        readout, mean = self.graph.readout, MeanMembrane()
        state: EngineState | None = None
        total: Carry | None = None
        membranes: Carry | None = None
        for number, step in enumerate(self.encode(image, draw).chunk(self.graph.steps), start=1):
            # Not around the loop: the caller's code runs between two steps.
            with torch.no_grad():
                result = self.run(step, draw, RunOptions(state=state)).result
                last, state = result.trajectory, result.state
                total, membranes = readout.add(total, last), mean.add(membranes, last)
                evidence = readout.read(total.to(last.membrane.dtype), number)
                means = mean.read(membranes.to(last.membrane.dtype), number)
                evidence = without_ties(evidence, means, draw.index)[0]
            yield evidence

    @torch.no_grad()
    def clamp_stored(self) -> None:
        """Bring learned neuron parameters back into the range in which they are used; to be called after an update."""
        clamp_stored(self.graph, dict(self.named_parameters()))


class FrozenNetwork(Network):
    """A network as it is now, for evaluation alone; engines keep what they make of its weights."""

    def __init__(self, network: Network) -> None:
        nn.Module.__init__(self)
        self.graph, self.engine_name = network.graph, network.engine_name
        self._frozen = FrozenWeights(network.weights)
        self.training = False

    @property
    def weights(self) -> dict[str, Tensor]:
        """Every weight, by name."""
        return self._frozen

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((w.device for w in self._frozen.values()), torch.device("cpu"))

    def train(self, mode: bool = True) -> "FrozenNetwork":
        """Evaluation is all there is.

        Raises:
            ConfigError: training was asked for.
        """
        if mode:
            raise ConfigError("A frozen network cannot be trained; train the network it was made of.")
        return self

    def state_dict(self, *arguments: Any, **named: Any) -> Any:
        """Not of this one: its weights are no parameters, and an empty dictionary would be saved without a word.

        Raises:
            ConfigError: always.
        """
        del arguments, named
        raise ConfigError("A frozen network cannot be saved; save the network it was made of.")

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What `to`, `cuda`, `half` and the like call."""
        del fn, recurse
        raise ConfigError("A frozen network cannot be moved or converted; do that to the network, and freeze it then.")


def check_size(graph: Graph) -> None:
    """Weights that cannot fit are refused before they are drawn; training needs several times as much.

    Raises:
        ShapeError: they are larger than this machine's memory.
    """
    size = sum(4 * math.prod(shape) for at in graph.named for shape in at.parameters().values())
    available = memory_limit()
    if size > available:
        raise ShapeError(
            f"The network's weights take {size / 2**30:,.1f} GiB, and there are {available / 2**30:,.1f} GiB of "
            "memory. Make model.hidden, model.width or data.size smaller."
        )


def _is_learned(at: NamedLayer, key: str) -> bool:
    return not isinstance(at.layer, Neuron) or key == "recurrent" or key in at.layer.dynamics.learned()


def _initial(at: NamedLayer, draw: torch.Generator) -> dict[str, Tensor]:
    """Initial weights of one layer, from an explicit generator."""
    shapes = at.parameters()
    if isinstance(at.layer, BatchNorm):
        ones = {"weight", "running_var"}
        return {key: torch.ones(shape) if key in ones else torch.zeros(shape) for key, shape in shapes.items()}
    if isinstance(at.layer, QCFS):  # until training begins, see `training.balance`
        return {key: torch.ones(shape) for key, shape in shapes.items()}
    if isinstance(at.layer, Neuron):
        return {key: _initial_neuron(at.layer, key, shape, draw) for key, shape in shapes.items()}
    if not isinstance(at.layer, Linear | Conv2d):
        return {}
    init, out = at.layer.init, {"weight": at.layer.init.draw(shapes["weight"], draw)}
    if at.layer.bias:
        # PyTorch starts biases like weights; the other schemes start them at zero.
        spread = isinstance(init, Uniform)
        bound = fans(shapes["weight"])[0] ** -0.5 if spread else 0.0
        out["bias"] = bound * (2 * torch.rand(shapes["bias"], generator=draw) - 1)
    return out


def _initial_neuron(layer: Neuron, key: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    if key == "recurrent":
        return layer.init.draw(shape, draw)
    dynamics = layer.dynamics
    low, high = dynamics.bounds().get(key, (-math.inf, math.inf))
    noise = torch.randn(shape, generator=draw) if dynamics.spread else torch.zeros(shape)
    return (dynamics.values()[key] * (1 + dynamics.spread * noise)).clamp(low, high)
