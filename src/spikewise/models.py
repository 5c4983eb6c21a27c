"""Builders of graphs: each model is a frozen config that says which layers stand between encoder and readout."""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spikewise.config import Config, GrowingConfig
from spikewise.dynamics import LIF, Dynamics, Izhikevich, LeakyIntegrator
from spikewise.encoders import Direct, Encoder
from spikewise.errors import ConfigError
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Residual,
)
from spikewise.initial import Init, Uniform
from spikewise.losses import CountMSE, Loss, StepCrossEntropy
from spikewise.modelling import Cell, Share, Size, Width, layer_of, output_of, scaled
from spikewise.readouts import LastMembrane, MeanMembrane, Readout, SpikeCount, Trajectory
from spikewise.resnet import ResNet

__all__ = [
    "MLP", "Cell", "Conv", "Layers", "Model", "ResNet", "Share", "Size", "Width", "build", "quantised",
    "readout_gain", "twin",
]  # fmt: skip


class MLP(Config):
    """Fully connected: flatten | (linear | cell) for each hidden size | linear | output neuron."""

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Size, ...] = (512,)
    """Neurons of each hidden layer."""
    width: Width = 1.0
    """Multiplies every hidden size (rounded, at least 1): one knob for the number of parameters."""
    cell: Cell = LIF()
    recurrent: bool = False
    """Recurrent weights in the hidden layers."""
    bias: bool = True
    """Biases in the hidden layers (the output layer always has them)."""
    init: Init = Uniform()
    """How all weights start."""
    output: Dynamics | Literal["none"] = LeakyIntegrator()
    """Neurons of the output layer; "none" leaves its linear layer bare."""
    dropout: Share = 0.0
    """Share of each hidden layer that is silenced in training."""

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers for a number of classes."""
        last = Linear(features=classes, init=self.init)
        return (Flatten(), *_dense(self.hidden, self), last, *output_of(self.output))


class Conv(GrowingConfig):
    """Convolutional: (convolution | cell | pool) for each channel count | flatten | hidden | linear | output neuron."""

    kind: Literal["conv"] = "conv"
    later: ClassVar[frozenset[str]] = frozenset({"pooling"})
    channels: tuple[Size, ...] = (16, 32)
    """Channels of each convolution."""
    kernels: tuple[Size, ...] = (3, 3)
    """Kernel size of each convolution."""
    padding: Annotated[int, Field(ge=0)] | Literal["same"] = "same"
    """"same" keeps height and width (odd kernels)."""
    pool: Size = 2
    """Window of the pooling after each convolution; 1 is none."""
    pooling: Literal["max", "average"] = "max"
    """What is taken of each window; of its largest value no mean rate of spikes can be made (`spikewise convert`)."""
    pool_before_cell: bool = False
    """Pool the currents before the neurons instead of the spikes after them."""
    batch_norm: bool = False
    """Normalise after each convolution."""
    hidden: tuple[Size, ...] = ()
    """Neurons of each hidden fully connected layer."""
    width: Width = 1.0
    """Multiplies channels and hidden sizes (rounded, at least 1): one knob for the number of parameters."""
    cell: Cell = LIF()
    hidden_cell: Cell | None = None
    """Cell of the hidden layers, where it is another."""
    recurrent: bool = False
    """Recurrent weights in the hidden fully connected layers."""
    bias: bool = True
    """Biases in the convolutions and hidden layers (the output layer always has them)."""
    init: Init = Uniform()
    """How all weights start."""
    output: Dynamics | Literal["none"] = LeakyIntegrator()
    """Neurons of the output layer; "none" leaves its linear layer bare."""
    dropout: Share = 0.0
    """Share of each hidden layer that is silenced in training."""

    def model_post_init(self, context: object) -> None:
        """Check that channels and kernels belong together."""
        del context
        if len(self.channels) != len(self.kernels):
            raise ConfigError(
                f"model.channels has {len(self.channels)} entries and model.kernels {len(self.kernels)}; "
                "give one kernel size for each convolution."
            )

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers for a number of classes."""
        convolutions = [
            x
            for pair in zip(scaled(self.channels, self.width), self.kernels, strict=True)
            for x in self._convolution(*pair)
        ]
        return (
            *convolutions,
            Flatten(),
            *_dense(self.hidden, self),
            Linear(features=classes, init=self.init),
            *output_of(self.output),
        )

    def _convolution(self, channels: int, kernel: int) -> list[Layer]:
        padding = kernel // 2 if self.padding == "same" else self.padding
        kind = MaxPool if self.pooling == "max" else AvgPool
        cell, pool = [layer_of(self.cell)], [kind(size=self.pool)] if self.pool > 1 else []
        norm = [BatchNorm()] if self.batch_norm else []
        after: list[Layer] = [*pool, *cell] if self.pool_before_cell else [*cell, *pool]
        convolution = Conv2d(channels=channels, kernel=kernel, padding=padding, bias=self.bias, init=self.init)
        return [convolution, *norm, *after]


class Layers(Config):
    """Any sequence of layers, written out; the last linear layer must have one output per class."""

    kind: Literal["layers"] = "layers"
    sequence: tuple[Layer, ...]

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers, as given."""
        del classes  # `build` checks the number of outputs
        return self.sequence


Model = Annotated[MLP | Conv | ResNet | Layers, Field(discriminator="kind")]


def build(
    model: Model, encoder: Encoder, readout: Readout, *, image_shape: tuple[int, int, int], classes: int
) -> Graph:
    """The graph of a model for one image shape.

    Raises:
        ShapeError: the layers do not fit the images or each other.
        ConfigError: the number of outputs is not the number of classes.
    """
    graph = Graph(image_shape=image_shape, encoder=encoder, layers=model.layers(classes), readout=readout)
    if graph.classes != classes:
        raise ConfigError(
            f"The network has {graph.classes} outputs and the images have {classes} classes; make them equal."
        )
    return graph


def twin(graph: Graph, *, gain: float | None = None) -> Graph:
    """The conventional network with the same layers: ReLU for spikes, one pass over the image itself.

    Its input is the spiking network's current where that is one, standardised or not, and else the intensity.

    Spiking neurons become ReLU (without recurrent weights), spiking activations the function they carry, output
    neurons fall away, and the readout is the last layer's output times the gain of the readout it replaces.

    Args:
        gain: None is `readout_gain(graph)`; 1 leaves the logits as the last layer gives them.
    """
    layers = list(graph.layers)
    if isinstance(layers[-1], Neuron):
        layers.pop()
    return Graph(
        image_shape=graph.image_shape,
        encoder=_one_look(graph.encoder),
        layers=tuple(layer.conventional() for layer in layers),
        readout=LastMembrane(scale=readout_gain(graph) if gain is None else gain),
    )


def quantised(graph: Graph, levels: int) -> Graph:
    """A conventional network as spikes can carry it: quantised activations for ReLU, means for largest values."""
    return graph.replace(layers=[_quantised(layer, levels) for layer in graph.layers])


def _quantised(layer: Layer, levels: int) -> Layer:
    match layer:
        case Activation(function="relu"):
            return QCFS(levels=levels)
        case MaxPool(size=size, stride=stride, padding=padding):
            return AvgPool(size=size, stride=stride, padding=padding)
        case Residual(main=main, shortcut=shortcut):
            return Residual(
                main=tuple(_quantised(one, levels) for one in main),
                shortcut=tuple(_quantised(one, levels) for one in shortcut),
            )
    return layer


def _one_look(encoder: Encoder) -> Direct:
    """The image as a conventional network sees it; a current stays the current that it is."""
    return encoder.replace(steps=1) if isinstance(encoder, Direct) else Direct(steps=1)


def readout_gain(graph: Graph, loss: Loss | None = None) -> float:
    """What output neurons and readout together make of a constant current of 1 into the output: their gain.

    The output neurons answer a current of 1 with the membrane v[t] = 1 + beta + ... + beta^(t-1), as long as none
    spikes, and the readout is applied to that; without output neurons v[t] = 1. A mean over 25 steps at beta 0.9 gives
    6.66: the same weights get logits, and the gradients behind them, 6.66 times as large. A count of spikes rises by
    T / threshold (a current moves a membrane by itself at each step, a spike takes it down by the threshold);
    Izhikevich neurons have no such law: 1.

    Args:
        loss: what training sees, where that is not the logits: the outputs of single steps (mean over them), or rates.
    """
    last, steps = graph.layers[-1], graph.steps
    neuron = last.dynamics if isinstance(last, Neuron) else None
    if isinstance(neuron, Izhikevich):
        return 1.0
    values = {} if neuron is None else neuron.values()
    threshold, drive = values.get("threshold", 1.0), _accumulated(values.get("alpha", 0.0), torch.ones(steps))
    if isinstance(loss, CountMSE) or (isinstance(loss, StepCrossEntropy) and loss.on == "spikes"):
        return float(drive.mean()) / threshold
    read = MeanMembrane() if isinstance(loss, StepCrossEntropy) else graph.readout
    if isinstance(read, SpikeCount):
        return float(drive.sum()) / threshold
    response = _accumulated(values.get("beta", 0.0), drive).view(-1, 1, 1)
    return float(read(Trajectory(None, response)))


def _accumulated(decay: float, x: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
    """y <- decay y + x, in float64."""
    out, y = torch.empty(len(x), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t, now in enumerate(x.double()):
        y = decay * y + now
        out[t] = y
    return out


def _dense(hidden: tuple[int, ...], model: MLP | Conv) -> list[Layer]:
    cell = (model.hidden_cell if isinstance(model, Conv) else None) or model.cell
    drop: list[Layer] = [Dropout(p=model.dropout)] if model.dropout else []
    after = layer_of(cell, recurrent=model.recurrent, init=model.init)
    return [
        x
        for size in scaled(hidden, model.width)
        for x in (Linear(features=size, bias=model.bias, init=model.init), after, *drop)
    ]
