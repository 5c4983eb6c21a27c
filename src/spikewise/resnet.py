"""`ResNet`: residual networks of spiking neurons, and by their twin the conventional ones."""

from typing import Literal

from pydantic import Field

from spikewise.config import Config
from spikewise.dynamics import LIF, Dynamics, LeakyIntegrator
from spikewise.errors import ConfigError
from spikewise.graph import BatchNorm, Conv2d, Dropout, GlobalAvgPool, Layer, Linear, MaxPool, Residual
from spikewise.initial import Init, Uniform
from spikewise.modelling import Cell, Share, Size, Width, layer_of, output_of, scaled

__all__ = ["ResNet"]

Shortcut = Literal["membrane", "sew", "current"]


class ResNet(Config):
    """Residual: stem | blocks of two 3x3 convolutions in stages | global average | linear | output neuron.

    The first block of every stage but the first halves height and width. A block adds, by `shortcut`,

        membrane   cell conv norm cell conv norm + input: real numbers go past the neurons, which stand before the
                   weights (Hu et al. 2021, arXiv 2112.08954; pre-activation, He et al., ECCV 2016)
        sew        conv norm cell conv norm cell + input: spikes, of which 0, 1, 2, ... arrive at the next weights
                   (Fang et al., NeurIPS 2021, arXiv 2102.04159, g = ADD)
        current    conv norm cell conv norm + input, then a cell: spikes are added to the second current (He et al.,
                   CVPR 2016, with neurons for ReLU)

    Where a block changes the shape, its shortcut has a convolution of kernel 1, a normalisation, and cells as the main
    path has them.
    """

    kind: Literal["resnet"] = "resnet"
    channels: tuple[Size, ...] = Field(default=(16, 32, 64), min_length=1)
    """Channels of each stage; the stem has those of the first."""
    blocks: tuple[Size, ...] = (1,)
    """Blocks of each stage; one number holds for all."""
    stem_kernel: Size = 3
    """Kernel size of the first convolution (odd)."""
    stem_stride: Size = 1
    """Stride of the first convolution."""
    stem_pool: Size = 1
    """Window of a max pooling behind the stem; 1 is none."""
    shortcut: Shortcut = "membrane"
    """What a block adds, and where."""
    width: Width = 1.0
    """Multiplies channels (rounded, at least 1): one knob for the number of parameters."""
    cell: Cell = LIF(per="channel", learn=("beta",))
    """By default the membrane decay of each channel is learned."""
    init: Init = Uniform()
    """How all weights start."""
    output: Dynamics | Literal["none"] = LeakyIntegrator()
    """Neurons of the output layer; "none" leaves its linear layer bare."""
    dropout: Share = 0.0
    """Share of the last features that is silenced in training."""

    def model_post_init(self, context: object) -> None:
        """Check that stages and blocks belong together."""
        del context
        if len(self.blocks) not in (1, len(self.channels)):
            raise ConfigError(
                f"model.channels has {len(self.channels)} entries and model.blocks {len(self.blocks)}; "
                "give one number of blocks for each stage, or one for all."
            )
        if self.stem_kernel % 2 == 0:
            raise ConfigError(f"model.stem_kernel is odd, so that the map keeps its middle; got {self.stem_kernel}.")

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers for a number of classes."""
        channels = scaled(self.channels, self.width)
        counts = self.blocks * len(channels) if len(self.blocks) == 1 else self.blocks
        body: list[Layer] = []
        before = channels[0]
        for stage, (count, now) in enumerate(zip(counts, channels, strict=True)):
            for number in range(count):
                stride = 2 if stage and not number else 1
                body += self._block(before, now, stride)
                before = now
        end = [self._cell()] if self.shortcut == "membrane" else []
        drop: list[Layer] = [Dropout(p=self.dropout)] if self.dropout else []
        last = Linear(features=classes, init=self.init)
        return (*self._stem(channels[0]), *body, *end, GlobalAvgPool(), *drop, last, *output_of(self.output))

    def _stem(self, channels: int) -> list[Layer]:
        cell = [] if self.shortcut == "membrane" else [self._cell()]
        pool: list[Layer] = [MaxPool(size=self.stem_pool)] if self.stem_pool > 1 else []
        return [*self._convolution(channels, self.stem_kernel, self.stem_stride), *cell, *pool]

    def _block(self, before: int, now: int, stride: int) -> list[Layer]:
        changes = before != now or stride > 1
        first, second = self._convolution(now, 3, stride), self._convolution(now, 3, 1)
        past = self._convolution(now, 1, stride) if changes else []
        cell = self._cell()
        match self.shortcut:
            case "membrane":
                past = [cell, *past] if past else []
                return [Residual(main=(cell, *first, cell, *second), shortcut=tuple(past))]
            case "sew":
                past = [*past, cell] if past else []
                return [Residual(main=(*first, cell, *second, cell), shortcut=tuple(past))]
            case "current":
                return [Residual(main=(*first, cell, *second), shortcut=tuple(past)), cell]

    def _convolution(self, channels: int, kernel: int, stride: int) -> list[Layer]:
        convolution = Conv2d(
            channels=channels, kernel=kernel, stride=stride, padding=kernel // 2, bias=False, init=self.init
        )
        return [convolution, BatchNorm()]

    def _cell(self) -> Layer:
        return layer_of(self.cell)
