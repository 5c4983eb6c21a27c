"""A network as a NIR graph."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from spikewise.dynamics import LeakyIntegrator
from spikewise.errors import ConfigError
from spikewise.graph import (
    AvgPool,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SumPool,
)
from spikewise.interop.deployed import Deployed
from spikewise.interop.nir.files import nir_package
from spikewise.interop.nir.neurons import neuron_node
from spikewise.interop.nir.notes import KEY, Notes
from spikewise.interop.nir.tools import NEUTRAL, Tool
from spikewise.layers.base import both

if TYPE_CHECKING:
    import nir

__all__ = ["recurrent_name", "to_nir"]


def to_nir(network: Deployed, tool: Tool = NEUTRAL, *, seed: int = 0, classes: tuple[str, ...] = ()) -> "nir.NIRGraph":
    """The network as a NIR graph, with its exact settings in the metadata.

    Nodes have the names of the layers; a sum of two paths is two edges into the next node.

    Args:
        tool: whose form it takes.
        seed: of the encoder's random numbers.
    Raises:
        ConfigError: NIR, or the tool, cannot say a layer; the message names it.
        DependencyError: `nir` is not installed.
    """
    package = nir_package()
    writer = _Writer(package, network, tool)
    for at in network.graph.named:
        writer.add(at)
    notes = Notes(tool=tool.name, seed=seed, classes=classes, graph=network.graph.model_dump(mode="json"))
    return writer.graph({KEY: notes.model_dump_json()})


def recurrent_name(name: str) -> str:
    """The node of the matrix that feeds a layer's spikes back to it."""
    return f"{name}_recurrent"


class _Writer:
    """Collects nodes and edges."""

    def __init__(self, package: ModuleType, network: Deployed, tool: Tool) -> None:
        self._package, self._network, self._tool = package, network, tool
        self._nodes: dict[str, Any] = {"input": package.Input(np.array(network.graph.named[0].input))}
        self._edges: list[tuple[str, str]] = []
        self._ends: dict[str, tuple[str, ...]] = {"": ("input",)}
        """The nodes whose sum is what each layer sends."""

    def add(self, at: NamedLayer) -> None:
        """One layer more."""
        sources = tuple(end for name in at.inputs for end in self._ends[name])
        match at.layer:
            case Residual():
                self._sum(at, sources)
            case Neuron():
                self._neurons(at, sources)
            case Linear() | Conv2d():
                self._join(at.name, self._weighted(at), sources)
            case Flatten():
                self._flatten(at, at.name, sources)
            case AvgPool() | SumPool() | GlobalAvgPool():
                self._pool(at, sources)
            case MaxPool():
                self._largest(at, sources)
            case _:
                raise ConfigError(
                    f"Layer {at.name} is a {at.layer.summary} layer, and {_ADVICE.get(at.layer.kind, _NONE)}"
                )

    def graph(self, metadata: dict[str, str]) -> "nir.NIRGraph":
        """The whole, once every layer is there."""
        last = self._network.graph.named[-1]
        self._nodes["output"] = self._package.Output(np.array(last.output))
        self._edges += [(end, "output") for end in self._ends[last.name]]
        made: nir.NIRGraph = self._package.NIRGraph(
            nodes=self._nodes, edges=self._edges, metadata=metadata, type_check=False
        )
        return made

    def _join(self, name: str, node: Any, sources: tuple[str, ...]) -> None:
        """Put a node behind others."""
        kind = type(node).__name__
        if kind in self._tool.unknown:
            raise ConfigError(
                f"Layer {name}: {self._tool.title} reads no {kind} from NIR, or misreads it. Leave --for out, or train "
                "a network without it."
            )
        self._nodes[name] = node
        self._edges += [(source, name) for source in sources]
        self._ends[name] = (name,)

    def _sum(self, at: NamedLayer, sources: tuple[str, ...]) -> None:
        if not self._tool.graphs:
            raise ConfigError(f"Layer {at.name} adds two paths, and {self._tool.title} reads chains. Leave --for out.")
        if len(set(sources)) < len(sources):
            raise ConfigError(
                f"Layer {at.name} adds {sources[0]} to itself, which NIR cannot say (an edge is there once). Leave the "
                "block out."
            )
        self._ends[at.name] = sources

    def _neurons(self, at: NamedLayer, sources: tuple[str, ...]) -> None:
        layer = at.layer
        assert isinstance(layer, Neuron)
        node = neuron_node(self._package, at, self._network.parameters(at), self._tool)
        dynamics = layer.dynamics
        if not isinstance(dynamics, LeakyIntegrator):
            node.metadata |= {"reset": getattr(dynamics, "reset"), "reset_delay": int(getattr(dynamics, "reset_delay"))}  # noqa: B009
        if getattr(dynamics, "initial", 0.0):
            node.metadata["initial"] = getattr(dynamics, "initial")  # noqa: B009
        stored = {f"stored_{key}": _numpy(self._weight(at, key)) for key in dynamics.stored()}
        # `nir` compresses arrays, and HDF5 compresses none without axes: one value of the layer is written as a number
        node.metadata |= {key: value if value.ndim else value.item() for key, value in stored.items()}
        self._join(at.name, node, sources)
        if layer.recurrent:
            if "recurrence" in self._tool.unknown:
                raise ConfigError(
                    f"Layer {at.name} is recurrent, which {self._tool.title} does not read. Leave --for out."
                )
            back = recurrent_name(at.name)
            self._nodes[back] = self._package.Linear(weight=_numpy(self._weight(at, "recurrent")))
            self._edges += [(at.name, back), (back, at.name)]

    def _weighted(self, at: NamedLayer) -> Any:
        layer, weight = at.layer, _numpy(self._weight(at, "weight"))
        assert isinstance(layer, Linear | Conv2d)
        bias = _numpy(self._weight(at, "bias")) if layer.bias else np.zeros(len(weight), np.float32)
        if isinstance(layer, Linear):
            if layer.bias or self._tool.biased:
                return self._package.Affine(weight=weight, bias=bias)
            return self._package.Linear(weight=weight)
        if layer.groups > 1 and not self._tool.grouped:
            raise ConfigError(
                f"Layer {at.name} has {layer.groups} groups, which {self._tool.title} does not read. Leave --for out."
            )
        return self._package.Conv2d(
            input_shape=at.input[1:],
            weight=weight,
            stride=layer.strides,
            padding=layer.paddings,
            dilation=layer.dilations,
            groups=layer.groups,
            bias=bias,
        )

    def _flatten(self, at: NamedLayer, name: str, sources: tuple[str, ...], shape: tuple[int, ...] = ()) -> None:
        node = self._package.Flatten(input_type={"input": np.array(shape or at.input)}, start_dim=0, end_dim=-1)
        self._join(name, node, sources)

    def _pool(self, at: NamedLayer, sources: tuple[str, ...]) -> None:
        layer = at.layer
        if isinstance(layer, GlobalAvgPool):
            window = np.array(at.input[1:])
            node = self._package.AvgPool2d(kernel_size=window, stride=window, padding=np.zeros(2, np.int64))
            self._join(at.name, node, sources)
            self._flatten(at, f"{at.name}_flatten", (at.name,), (at.output[0], 1, 1))
            self._ends[at.name] = (f"{at.name}_flatten",)
            return
        assert isinstance(layer, AvgPool | SumPool)
        make = self._package.AvgPool2d if isinstance(layer, AvgPool) else self._package.SumPool2d
        self._join(at.name, make(**_window(layer)), sources)

    def _largest(self, at: NamedLayer, sources: tuple[str, ...]) -> None:
        """The largest of spikes is whether their sum is above a half."""
        assert isinstance(at.layer, MaxPool)
        if at.arriving.carrier != "spikes":
            raise ConfigError(
                f"Layer {at.name} takes the largest of what are no spikes, and NIR has no such node. Pool behind the "
                "neurons (model.pool_before_cell = false), or train with avg_pool or sum_pool."
            )
        self._join(at.name, self._package.SumPool2d(**_window(at.layer)), sources)
        above = f"{at.name}_threshold"
        self._join(above, self._package.Threshold(threshold=np.full(at.output, 0.5)), (at.name,))
        self._ends[at.name] = (above,)

    def _weight(self, at: NamedLayer, key: str) -> Tensor:
        return self._network.weights[f"{at.name}.{key}"]


_NONE = "NIR has none. Train a network without it, or export to onnx or c."
_ADVICE = {
    "batch_norm": "it does not stand right behind a linear or convolutional layer, into which it could be folded; NIR "
    "has no normalisation. Put it there, or leave it out.",
    "activation": "NIR has no conventional activations: the network does not spike there. Export to onnx.",
    "spiking_activation": "NIR has no neuron that sends several spikes a step. Train LIF or IF neurons "
    "(--set model.cell.kind=lif), or export to onnx.",
}


def _window(layer: AvgPool | SumPool | MaxPool) -> dict[str, Any]:
    return {
        "kernel_size": np.array(layer.window),
        "stride": np.array(layer.strides),
        "padding": np.array(both(layer.padding)),
    }


def _numpy(value: Tensor) -> np.ndarray:
    array: np.ndarray = value.detach().cpu().float().numpy()
    return array
