"""One run: what its stages share. Signals travel forward, gradients back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from spikewise.engine.contract import RunOptions
from spikewise.engine.triton.kernels import matmul
from spikewise.graph import NamedLayer, Shape
from spikewise.types import Draw

__all__ = ["DeviceSignal", "Incoming", "Job", "Operands", "Trace"]

_WORD = 0xFFFFFFFF


class Operands(NamedTuple):
    """How products are computed: the type of their operands, and how many parts a float32 number is split into."""

    dtype: torch.dtype
    parts: int

    @classmethod
    def of(cls, precision: str) -> "Operands":
        """The operands of a precision: "float32" (three parts: exact), "bfloat16", or "plain" (no tensor cores)."""
        return {
            "float32": cls(torch.bfloat16, 3),
            "bfloat16": cls(torch.bfloat16, 1),
            "plain": cls(torch.float32, 1),
        }[precision]


class DeviceSignal(NamedTuple):
    """What travels between stages: `scale` times `value`."""

    value: Tensor
    """[T, B, *F], or [1, B, *F] where every step has the same. Of the operands' type if `exact`, else float32."""
    steps: int
    exact: bool
    """Whether the values are exact in the operands' type."""
    learns: bool = False
    """Whether its gradient is asked for."""
    scale: float = 1.0
    shape: Shape | None = None
    """(C, H, W) of a map that lies channels last: `value` is [T or 1, B, H, W, C], or the last three are one."""
    facts: Tensor | None = None
    """[4, C]: the last axis of `value` is still to be multiplied by the first row and shifted by the second."""
    quantum: float = 1.0
    """Exact values are multiples of this,"""
    most: float = 1.0
    """from 0 to this."""

    @property
    def constant(self) -> bool:
        """Whether one step stands for several."""
        return len(self.value) == 1 < self.steps

    def dense(self) -> Tensor:
        """The values in float32 and the graph's order, [T or 1, B, *F]."""
        value = self.graph_order(self.finished().value).float()
        return value if self.scale == 1.0 else value * self.scale

    def finished(self) -> "DeviceSignal":
        """The same signal with its values multiplied and shifted."""
        if self.facts is None:
            return self
        return self._replace(value=(self.value - self.facts[2]) * self.facts[0] + self.facts[1], facts=None)

    def channels_last(self) -> "DeviceSignal":
        """The same signal with the channels of a map last; flat features are in the graph's order."""
        if self.value.ndim == 5 and self.shape is None:
            value = self.value.permute(0, 1, 3, 4, 2).contiguous()
            return self._replace(value=value, shape=tuple(self.value.shape[2:]))
        if self.value.ndim == 3 and self.shape is not None:
            done = self.finished()
            return done._replace(value=done.graph_order(done.value), shape=None)
        return self

    def like_mine(self, gradient: Tensor) -> Tensor:
        """A gradient of `channels_last`, laid as this signal's own value."""
        if self.value.ndim == 5 and self.shape is None:
            return gradient.permute(0, 1, 4, 2, 3).contiguous()
        return self.own_order(gradient) if self.value.ndim == 3 and self.shape is not None else gradient

    def sum_steps(self, gradient: Tensor) -> Tensor:
        """The gradient of one step that stands for several is their sum."""
        return gradient.sum(0, keepdim=True) if len(self.value) == 1 < len(gradient) else gradient

    def graph_order(self, value: Tensor) -> Tensor:
        """A tensor that lies as the value does, in the graph's order."""
        if self.shape is None:
            return value
        channels, height, width = self.shape
        maps = value.view(*value.shape[:2], height, width, channels).permute(0, 1, 4, 2, 3)
        return maps if self.value.ndim == 5 else maps.flatten(2)

    def own_order(self, value: Tensor) -> Tensor:
        """A tensor [T or 1, B, *F] in the graph's order, laid as the value is."""
        if self.shape is None:
            return value
        maps = value.view(*value.shape[:2], *self.shape).permute(0, 1, 3, 4, 2)
        return maps.contiguous() if self.value.ndim == 5 else maps.flatten(2)


class Incoming(NamedTuple):
    """Gradients that reach a stage: of its output from the stage behind it, and what the caller gave for its trace."""

    output: Tensor | None
    spikes: Tensor | None
    membrane: Tensor | None


class Trace(NamedTuple):
    """What a stage shows of its steps, [T, B, *F]; the operands' type or float32."""

    spikes: Tensor | None
    membrane: Tensor


@dataclass
class Job:
    """What the stages of one run share."""

    draw: Draw
    options: RunOptions
    operands: Operands
    weights: Mapping[str, Tensor]
    """As given: buffers of batch normalisation among them."""
    parameters: Mapping[str, Tensor]
    """As the stages read them: within their bounds, masked."""
    learns: bool
    flags: Tensor
    """Int32, one a layer with weights: 1 if a value is not finite."""
    last: NamedLayer
    """The layer whose steps are the trajectory."""
    gradients: dict[str, Tensor] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)
    """Names of the layers that the flags belong to, in order."""
    signals: dict[str, DeviceSignal] = field(default_factory=dict)
    """What layers have sent, by their names, while somebody is still to read it; "" is the encoder."""
    pending: dict[str, Tensor] = field(default_factory=dict)
    """On the way back: gradients of what layers have sent, laid as that is."""

    @cached_property
    def place(self) -> tuple[Tensor, Tensor]:
        """Numbers of the images and of the epoch, in memory of the device: a captured graph reads them anew."""
        index = self.draw.index.to(device=self.flags.device, dtype=torch.int64).contiguous()
        epoch: int | Tensor = self.draw.epoch
        if not isinstance(epoch, Tensor):
            epoch = torch.full((), epoch, dtype=torch.int64, device=self.flags.device)
        return index, epoch

    def key(self, stream: int) -> tuple[int, int]:
        """Key of the random numbers of a stream; see `randomness.random_bytes`."""
        return self.draw.seed & _WORD, (self.draw.seed >> 32 ^ stream) & _WORD

    def own(self, at: NamedLayer) -> dict[str, Tensor]:
        """Parameters of a layer by their name within it."""
        return {key: self.parameters[f"{at.name}.{key}"] for key in at.parameters()}

    def flag(self, name: str) -> Tensor:
        """The flag of a layer."""
        if name not in self.checked:
            self.checked.append(name)
        return self.flags[self.checked.index(name) :]

    def wants(self, at: NamedLayer, key: str) -> bool:
        """Whether a parameter's gradient is asked for."""
        return self.learns and self.parameters[f"{at.name}.{key}"].requires_grad

    def teaches(self, at: NamedLayer) -> bool:
        """Whether any parameter of a layer asks for its gradient."""
        return any(self.wants(at, key) for key in at.parameters())

    def add(self, at: NamedLayer, key: str, gradient: Tensor) -> None:
        """Note a parameter's gradient."""
        name = f"{at.name}.{key}"
        shaped = gradient.view(self.parameters[name].shape)
        self.gradients[name] = self.gradients[name] + shaped if name in self.gradients else shaped

    def send_back(self, name: str, gradient: Tensor | None) -> None:
        """Note a gradient of what a layer has sent to one of its readers."""
        if gradient is not None:
            known = self.pending.get(name)
            self.pending[name] = gradient if known is None else known + gradient

    def split(self, value: Tensor, *, scale: float = 1.0, name: str | None = None) -> Tensor:
        """The parts of a float32 tensor, [parts, *shape]; with a layer's name, its flag says if it is not finite."""
        flag = None if name is None else self.flag(name)
        return matmul.split(value.detach(), self.operands.parts, self.operands.dtype, scale=scale, flag=flag)

    def rows(self, signal: DeviceSignal) -> Tensor:
        """A signal's values as an operand, [parts, T x B, features]."""
        flat = signal.value.reshape(-1, math.prod(signal.value.shape[2:]))
        return self.operand(flat, exact=signal.exact)

    def operand(self, value: Tensor, *, exact: bool) -> Tensor:
        """Values as an operand, [parts, *shape]."""
        return value.unsqueeze(0) if exact else self.split(value)
