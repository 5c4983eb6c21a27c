"""Convolutions without neurons, and the shapes and launches that all convolutions share."""

import math
from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from spikewise.engine.triton.folding import Folded
from spikewise.engine.triton.job import DeviceSignal, Incoming, Job
from spikewise.engine.triton.kernels import norm
from spikewise.engine.triton.kernels.conv_products import (
    currents_kernel,
    input_gradient_kernel,
    weight_gradient_kernel,
)
from spikewise.engine.triton.kernels.launch import launch
from spikewise.engine.triton.stages import TritonStage
from spikewise.graph import AvgPool, BatchNorm, Conv2d, MaxPool, NamedLayer

__all__ = ["ConvShape", "Convolution"]


class ConvShape:
    """Shapes of a convolution and of the pooling behind it, if there is one, and the launches of its products."""

    def __init__(self, conv: NamedLayer, pool: NamedLayer | None = None) -> None:
        layer, (channels, height, width) = conv.layer, conv.input
        assert isinstance(layer, Conv2d)
        self.name, self.taps = conv.name, layer.window[0] ** 2 * channels
        out, tall, wide = (pool or conv).output
        self.conv = {
            "H": height, "W": width, "CI": channels, "CO": out, "KERNEL": layer.window[0], "STRIDE": layer.strides[0],
            "PAD": layer.paddings[0], "HP": tall, "WP": wide,
        }  # fmt: skip
        found = pool.layer if pool else None
        size = found.window[0] if isinstance(found, MaxPool | AvgPool) else 1
        self.pooling = {"POOL": size, "MEAN": isinstance(found, AvgPool)}

    def pooled(self) -> dict[str, Any]:
        """What the kernels that know of the pooling are compiled for."""
        return {**self.conv, **self.pooling}

    def weight(self, weight: Tensor, job: Job, *, scale: float) -> Tensor:
        """Parts [parts, row, column, input, output] of a weight in the graph's order."""
        return job.split(weight.permute(2, 3, 1, 0), scale=scale, name=self.name)

    def places(self, parts: Tensor) -> Tensor:
        """Of parts of a weight, what `walk_kernel` reads: for a window of four, the kernel at each of its places."""
        if self.pooling["POOL"] != 2:
            return parts
        size, step = self.conv["KERNEL"], self.conv["STRIDE"]
        out = parts.new_zeros(len(parts), 4, size + step, size + step, *parts.shape[3:])
        for place, (down, right) in enumerate(_CORNERS):
            out[:, place, down * step : down * step + size, right * step : right * step + size] = parts
        return out

    def currents(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Currents [T, B, H, W, C] of maps [parts, T, B, H, W, C]."""
        shape = (*inputs.shape[1:3], self.conv["HP"], self.conv["WP"], self.conv["CO"])
        out = torch.empty(shape, device=inputs.device)
        rows, tile = out.numel() // shape[-1], _currents_tile(self.conv, self.taps, len(inputs) + len(weight))
        grid = (triton.cdiv(rows, tile["MP"]), triton.cdiv(shape[-1], tile["NP"]))
        launch(
            currents_kernel, grid,
            inputs, inputs.stride(0), weight, weight.stride(0), out if bias is None else bias, out, rows, **self.conv,
            BIAS=bias is not None, A_PARTS=len(inputs), PARTS=len(weight), **tile,
        )  # fmt: skip
        return out

    def weight_gradient(self, parts: Tensor, choices: Tensor | None, inputs: Tensor) -> Tensor:
        """Gradient of the weight in the graph's order; of gradients [parts, T, B, H, W, C] of pooled currents."""
        size, step, pool = self.conv["KERNEL"], self.conv["STRIDE"], self.pooling["POOL"]
        side, places = size + step * (pool - 1), 4 if choices is not None else 1
        out_channels, taps = self.conv["CO"], side**2 * self.conv["CI"]
        rows, tile = parts[0].numel() // out_channels, _weight_tile(self.conv, taps, pool)
        blocks = (triton.cdiv(out_channels, tile["NP"]), triton.cdiv(taps, tile["KC"]))
        share = triton.cdiv(triton.cdiv(rows * math.prod(blocks), _PROGRAMS), tile["MP"]) * tile["MP"]
        programs = triton.cdiv(rows, share)
        out = torch.empty(programs, places, side, side, self.conv["CI"], out_channels, device=parts.device)
        launch(
            weight_gradient_kernel, (programs, *blocks),
            parts, parts.stride(0), parts if choices is None else choices, inputs, inputs.stride(0), out, rows, share,
            **self.pooled(), A_PARTS=len(inputs), PARTS=len(parts), **tile,
        )  # fmt: skip
        found = out.sum(0)
        corners = _CORNERS if pool == 2 else _CORNERS[:1]
        shifted = [
            found[place % places, down * step : down * step + size, right * step : right * step + size]
            for place, (down, right) in enumerate(corners)
        ]
        total = sum(shifted[1:], shifted[0])
        total = total / pool**2 if choices is None and pool > 1 else total
        return total.permute(3, 2, 0, 1).contiguous()

    def input_gradient(self, parts: Tensor, choices: Tensor | None, weight: Tensor) -> Tensor:
        """Gradient of the maps, [T, B, H, W, C]."""
        channels, height, width = self.conv["CI"], self.conv["H"], self.conv["W"]
        out = torch.empty(*parts.shape[1:3], height, width, channels, device=parts.device)
        step, weight = self.conv["STRIDE"] * self.pooling["POOL"], self._blocks(weight)
        tall, wide = (-(-(side + self.conv["PAD"]) // step) for side in (height, width))
        rows, tile = math.prod(parts.shape[1:3]) * tall * wide, _input_tile(self.conv, self.pooling)
        grid = (triton.cdiv(rows, tile["MP"]), triton.cdiv(weight.shape[-1], tile["NP"]))
        launch(
            input_gradient_kernel, grid,
            parts, parts.stride(0), parts if choices is None else choices, weight, weight.stride(0), out, rows,
            **self.pooled(), PARTS=len(parts), **tile,
        )  # fmt: skip
        return out

    def _blocks(self, parts: Tensor) -> Tensor:
        """Of parts of a weight, what `input_gradient_kernel` reads.

        A pixel at `i` of block b is reached by window b - d through the tap at i + d STEP of the pixels that the window
        reaches, if there is one.
        """
        step = self.conv["STRIDE"] * self.pooling["POOL"]
        shifted = self.places(parts) if self.pooling["POOL"] == 2 else parts.unsqueeze(1)
        count, places, side, _, channels, out_channels = shifted.shape
        reach = -(-side // step)
        more = reach * step - side
        padded = F.pad(shifted, (0, 0, 0, 0, 0, more, 0, more))
        split = padded.view(count, places, reach, step, reach, step, channels, out_channels)
        blocks = split.permute(0, 2, 4, 1, 7, 3, 5, 6).contiguous()
        return blocks.view(count, -1, step**2 * channels)


class Convolution(TritonStage):
    """A convolution, and the normalisation behind it if there is one.

    Args:
        by_batch: whether that is by the batch; else it is folded into the weights.
    """

    def __init__(self, conv: NamedLayer, normalisation: NamedLayer | None, *, by_batch: bool) -> None:
        self.conv, self.norm = conv, normalisation
        self.layers = (conv,) if normalisation is None else (conv, normalisation)
        self.by_batch = by_batch and normalisation is not None

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Currents of all steps; by the batch their scale and shift go along."""
        self.signal, self.shape = signal, ConvShape(self.conv)
        mine = signal.channels_last()
        self.maps = job.operand(mine.value, exact=mine.exact)
        by_batch = self.by_batch and signal.steps * self.maps.shape[2] * math.prod(self.conv.output[1:]) > 1
        self.folded = Folded(self.conv, None if by_batch else self.norm, job)
        self.weight = self.shape.weight(self.folded.weight, job, scale=signal.scale)
        out = self.shape.currents(self.maps, self.weight, self.folded.bias)
        self.statistics: Tensor | None = None
        learns = signal.learns or self.folded.teaches(job)
        if by_batch:
            assert self.norm is not None
            assert isinstance(self.norm.layer, BatchNorm)
            learns = learns or job.teaches(self.norm)
            self.out, layer = out, self.norm.layer
            self.statistics = norm.batch_affine(
                out, job.own(self.norm), repeats=signal.steps // len(out), momentum=layer.momentum,
                epsilon=layer.epsilon,
            )  # fmt: skip
        return DeviceSignal(
            out, signal.steps, exact=False, learns=learns, shape=self.conv.output, facts=self.statistics
        )

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Through the normalisation, then to the taps of the windows."""
        g = gradient.output
        if g is None:
            return None
        parts, bias = self._parts(g.contiguous(), job)
        weight = None
        if self.folded.wants("weight"):
            weight = self.shape.weight_gradient(parts, None, self.maps)
            weight = weight if self.signal.scale == 1.0 else weight * self.signal.scale
        self.folded.teach(weight, bias, job)
        if not self.signal.learns:
            return None
        return self.signal.like_mine(self.shape.input_gradient(parts, None, self.weight))

    def _parts(self, g: Tensor, job: Job) -> tuple[Tensor, Tensor | None]:
        """Gradients of the currents in parts, and that of the bias."""
        wants_bias = self.folded.wants("bias")
        if self.statistics is None:
            return job.split(g), g.sum((0, 1, 2, 3)) if wants_bias else None
        assert self.norm is not None
        sums = norm.gradient_sums(g, self.out, self.statistics)
        for key, found in (("bias", sums[0]), ("weight", sums[1])):
            if job.wants(self.norm, key):
                job.add(self.norm, key, found)
        parts = norm.backward(
            g, self.out, self.statistics, sums, parts=job.operands.parts, dtype=job.operands.dtype, by_batch=True
        )
        # The batch's mean takes any bias away again.
        return parts, torch.zeros(g.shape[-1], device=g.device) if wants_bias else None


_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Places of a window of four, in the order in which `walk_kernel` numbers them."""
_PROGRAMS = 1024
"""About as many as keep a large device busy; each adds over its share of the rows."""


def _channels(count: int, most: int) -> int:
    return int(min(most, max(16, triton.next_power_of_2(count))))


def _taps(channels: int, taps: int, most: int) -> int:
    """As many taps at a time as divide the channels, where these are many enough; else some of several pixels."""
    divides = channels & -channels
    return min(most, divides) if divides >= 16 else _channels(taps, most)


def _currents_tile(conv: dict[str, int], taps: int, parts: int) -> dict[str, int]:
    wide = conv["CO"] > 32
    return {
        "KC": _taps(conv["CI"], taps, 64 if parts <= 4 else 32), "MP": 64 if wide else 128,
        "NP": _channels(conv["CO"], 64), "num_warps": 4, "num_stages": 2,
    }  # fmt: skip


def _weight_tile(conv: dict[str, int], taps: int, pool: int) -> dict[str, int]:
    narrow = pool > 1 or conv["CO"] <= 16
    return {
        "KC": _channels(taps, 64), "MP": 64, "NP": _channels(conv["CO"], 64), "num_warps": 4,
        "num_stages": 3 if narrow and taps > 64 else 2,
    }  # fmt: skip


_INPUT_TILES = {"pooled": (32, 64, 64, 4, 2), "strided": (32, 64, 64, 4, 2), "plain": (32, 128, 64, 4, 2)}
"""Output channels at a time, blocks, pixels x input channels, warps and stages at most; other tiles were not tried."""


def _input_tile(conv: dict[str, int], pooling: dict[str, Any]) -> dict[str, int]:
    step = conv["STRIDE"] * pooling["POOL"]
    kind = "pooled" if pooling["POOL"] > 1 else "strided" if step > 1 else "plain"
    taps, rows, columns, warps, stages = _INPUT_TILES[kind]
    return {
        "KC": _channels(conv["CO"], taps), "MP": rows, "NP": _channels(step**2 * conv["CI"], columns),
        "num_warps": warps, "num_stages": stages,
    }  # fmt: skip
