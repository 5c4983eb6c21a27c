"""Stages over maps: a convolution with its pooling and neurons in one kernel; pooling of spikes."""

import math
from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from spikewise.engine.triton.convolutions import Convolution, ConvShape
from spikewise.engine.triton.folding import Folded
from spikewise.engine.triton.job import DeviceSignal, Incoming, Job
from spikewise.engine.triton.kernels import matmul
from spikewise.engine.triton.kernels.conv import walk_kernel
from spikewise.engine.triton.kernels.launch import launch
from spikewise.engine.triton.neurons import Neurons, Spiking
from spikewise.engine.triton.population import Population
from spikewise.engine.triton.stages import TritonStage
from spikewise.graph import AvgPool, BatchNorm, MaxPool, NamedLayer, SumPool

__all__ = ["Convolved", "Pooled"]


class Convolved(Neurons):
    """A convolution of spikes, its normalisation by what was seen, a pooling without overlap, and neurons.

    The two between may be missing. What enters as anything but spikes goes through the layers one by one.
    """

    last = True

    def __init__(self, layers: tuple[NamedLayer, ...]) -> None:
        self.layers, self.conv = layers, layers[0]
        self.norm = next((at for at in layers if isinstance(at.layer, BatchNorm)), None)
        self.pool = next((at for at in layers if isinstance(at.layer, MaxPool | AvgPool)), None)
        self.inner: list[TritonStage] = []

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """All steps of an image's pooled positions in one program."""
        if not signal.exact or len(signal.value) < signal.steps:
            return self._one_by_one(signal, job)
        at, self.signal = self.layers[-1], signal
        self.population = population = Population(at, job.own(at), last=True)
        for tensor in population.own.values():
            matmul.check(tensor.detach(), job.flag(at.name))
        self.folded = Folded(self.conv, self.norm, job)
        self.shape = ConvShape(self.conv, self.pool)
        self.weight = self.shape.weight(self.folded.weight, job, scale=signal.scale)
        self.maps = signal.channels_last().value
        self.learns = signal.learns or self.folded.teaches(job)
        return self._walk_maps(self.folded.bias, job)

    def _walk_maps(self, bias: Tensor | None, job: Job) -> DeviceSignal:
        population, at, inputs = self.population, self.layers[-1], self.maps
        assert population is not None
        steps, batch = inputs.shape[:2]
        learns = self.learns or job.teaches(at)
        self.shown = at.name in job.options.record or at is job.last
        before = population.started((job.options.state or {}).get(at.name), batch, inputs, last=True)
        after = population.rest(batch, inputs)
        kept = population.memory(steps, batch, inputs, job.operands.dtype, keep=learns)
        shape = (steps, batch, *population.shape)
        if learns or self.shown or not population.spikes:
            kept = kept._replace(membrane=torch.empty(shape, device=inputs.device))
        chooses = learns and isinstance(self.pool and self.pool.layer, MaxPool)
        self.choices = torch.empty(shape, dtype=torch.uint8, device=inputs.device) if chooses else None
        nowhere = after[0]
        values, kinds = population.parameters()
        facts = self.shape.pooled()
        tile = _walk_tile(facts)
        weight = self.shape.places(self.weight)
        grid = (batch, triton.cdiv(facts["HP"] * facts["WP"], tile["MP"]), triton.cdiv(facts["CO"], tile["NP"]))
        launch(
            walk_kernel, grid,
            inputs, weight, weight.stride(0), nowhere if bias is None else bias.detach(),
            _or(kept.spikes, nowhere), _or(kept.membrane, nowhere), _or(self.choices, nowhere),
            _or(kept.third, nowhere), *(before or after), *after, *values, steps, batch, **facts, **kinds,
            **population.facts, BIAS=bias is not None, STARTED=before is not None,
            KEEP_V=kept.membrane is not None, KEEP_A=kept.third is not None, KEEP_CHOICE=chooses,
            PARTS=len(weight), **tile, enable_fp_fusion=False,
        )  # fmt: skip
        return self.walked(kept, after, steps, learns=learns)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Through the neurons, then to the taps of the windows that the pool chose."""
        if self.inner:
            return self._back_one_by_one(gradient, job)
        parts = self.currents_gradient(gradient, job, in_parts=True)
        if not self.learns:
            return None
        weight = bias = None
        if self.folded.wants("weight"):
            weight = self.shape.weight_gradient(parts, self.choices, self.maps.unsqueeze(0))
            weight = weight if self.signal.scale == 1.0 else weight * self.signal.scale
        if self.folded.wants("bias"):
            bias = self.summed.sum((0, 1, 2))
        self.folded.teach(weight, bias, job)
        if not self.signal.learns:
            return None
        return self.signal.like_mine(self.shape.input_gradient(parts, self.choices, self.weight))

    def _one_by_one(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        pool = [] if self.pool is None else [Pooled(self.pool)]
        self.inner = [Convolution(self.conv, self.norm, by_batch=False), *pool, Spiking(self.layers[-1])]
        for stage in self.inner:
            signal = stage.forward(signal, job)
        last = self.inner[-1]
        self.state, self.trace, self.spikes = last.state, last.trace, last.spikes
        return signal

    def _back_one_by_one(self, gradient: Incoming, job: Job) -> Tensor | None:
        back: Tensor | None = None
        for stage in reversed(self.inner):
            back = stage.backward(gradient, job)
            gradient = Incoming(back, None, None)
        return back


class Pooled(TritonStage):
    """A pooling without overlap over spikes: what comes out is exact, too, as long as it has eight bits."""

    def __init__(self, at: NamedLayer) -> None:
        self.layers = (at,)

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Largest value of each window, mean or sum."""
        del job
        layer, self.signal = self.layers[0].layer, signal
        mine = signal.channels_last()
        frames = mine.value.flatten(0, 1).permute(0, 3, 1, 2)
        self.places: Tensor | None = None
        quantum, most, places = signal.quantum, signal.most, math.prod(layer.window)  # type: ignore[union-attr]  # a pool
        match layer:
            case MaxPool():
                out, self.places = F.max_pool2d(frames, layer.window, layer.strides, return_indices=True)
            case SumPool():
                out = F.avg_pool2d(frames.float(), layer.window, layer.strides, divisor_override=1)
                most *= places
            case AvgPool():
                out = F.avg_pool2d(frames.float(), layer.window, layer.strides)
                quantum /= places
        self.area = frames.shape[-2:]
        exact = signal.exact and most <= EXACT_LEVELS * quantum and (quantum == signal.quantum or _halves(places))
        out = out.permute(0, 2, 3, 1).contiguous()
        value = out.view(*signal.value.shape[:2], *out.shape[1:]).to(signal.value.dtype if exact else torch.float32)
        return mine._replace(value=value, exact=exact, shape=self.layers[0].output, quantum=quantum, most=most)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """To the place that was largest, or to all."""
        del job
        layer = self.layers[0].layer
        assert isinstance(layer, MaxPool | AvgPool | SumPool)
        if gradient.output is None or not self.signal.learns:
            return None
        g = gradient.output.flatten(0, 1).permute(0, 3, 1, 2)
        height, width = self.area
        out = torch.zeros(*g.shape[:2], height, width, device=g.device)
        if self.places is not None:
            out.flatten(2).scatter_(2, self.places.flatten(2), g.flatten(2))
        else:
            (tall, wide), (down, right) = layer.window, layer.strides
            part = g if isinstance(layer, SumPool) else g / (tall * wide)
            for y in range(tall):
                for x in range(wide):
                    out[:, :, y::down, x::right][:, :, : g.shape[2], : g.shape[3]] = part
        out = out.permute(0, 2, 3, 1).contiguous()
        return self.signal.like_mine(out.view(*gradient.output.shape[:2], *out.shape[1:]))


EXACT_LEVELS = 256
"""Whole numbers up to this are exact in bfloat16."""


def _halves(places: int) -> bool:
    """Whether a mean over so many places stays a binary fraction."""
    return places & (places - 1) == 0


_WALK_TILES = {"pooled": (64, 32, 64, 2, 2), "narrow": (32, 64, 64, 2, 2), "wide": (32, 64, 64, 4, 3)}
"""Taps, positions, channels, warps and stages at most; measured on an H100."""


def _walk_tile(facts: dict[str, Any]) -> dict[str, int]:
    kind = "pooled" if facts["POOL"] > 1 else "narrow" if facts["CO"] <= 16 else "wide"
    reached = (facts["KERNEL"] + facts["STRIDE"] * (facts["POOL"] - 1)) ** 2 * facts["CI"]
    taps, positions, channels, warps, stages = _WALK_TILES[kind]
    sizes = {"KC": (taps, reached), "MP": (positions, facts["HP"] * facts["WP"]), "NP": (channels, facts["CO"])}
    tile = {name: min(most, max(16, triton.next_power_of_2(count))) for name, (most, count) in sizes.items()}
    return {**tile, "num_warps": warps, "num_stages": stages}


def _or(value: Tensor | None, other: Tensor) -> Tensor:
    return other if value is None else value
