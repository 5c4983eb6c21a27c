"""Stages over maps: a convolution with its pooling and neurons in one kernel; pooling of spikes."""

import math
from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from spikewise.engine.triton.job import DeviceSignal, Incoming, Job, Trace
from spikewise.engine.triton.kernels import matmul
from spikewise.engine.triton.kernels.conv import input_gradient_kernel, walk_kernel, weight_gradient_kernel
from spikewise.engine.triton.neurons import Neurons, Spiking
from spikewise.engine.triton.population import Population
from spikewise.engine.triton.stages import Plain, TritonStage
from spikewise.graph import AvgPool, Conv2d, MaxPool, NamedLayer

__all__ = ["Convolved", "Pooled"]


class Convolved(Neurons):
    """A convolution of spikes, a pooling without overlap if there is one, and neurons.

    What enters as anything but spikes goes through the layers one by one.
    """

    def __init__(self, layers: tuple[NamedLayer, ...], position: int) -> None:
        self.layers, self.position = layers, position
        self.conv, self.pool = layers[0], layers[1] if len(layers) == 3 else None
        self.inner: list[TritonStage] = []

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """All steps of an image's pooled positions in one program."""
        if not signal.exact or len(signal.value) < signal.steps:
            return self._one_by_one(signal, job)
        at, self.signal = self.layers[-1], signal
        own = job.own(self.conv)
        self.population = population = Population(at, job.own(at), last=True)
        for tensor in population.own.values():
            matmul.check(tensor.detach(), job.flag(at.name))
        if "bias" in own:
            matmul.check(own["bias"].detach(), job.flag(self.conv.name))
        channels_last = own["weight"].detach().permute(2, 3, 1, 0)
        self.weight = job.split(channels_last, scale=signal.scale, name=self.conv.name)
        self.inputs = _channels_last(signal)
        self.learns = signal.learns or job.teaches(self.conv)
        self._walk_maps(own.get("bias"), job)
        return DeviceSignal(self.out, signal.steps, population.spikes, self.learns or job.teaches(at), shape=at.output)

    def _walk_maps(self, bias: Tensor | None, job: Job) -> None:
        population, at, inputs = self.population, self.layers[-1], self.inputs
        assert population is not None
        steps, batch = inputs.shape[:2]
        learns = self.learns or job.teaches(at)
        self.shown = at.name in job.options.record or at is job.last
        before = population.started((job.options.state or {}).get(at.name), last=True)
        after = population.rest(batch, inputs)
        kept = population.memory(steps, batch, inputs, job.operands.dtype, keep=learns)
        shape = (steps, batch, *population.shape)
        if learns or self.shown or not population.spikes:
            kept = kept._replace(membrane=torch.empty(shape, device=inputs.device))
        chooses = learns and isinstance(self.pool and self.pool.layer, MaxPool)
        self.choices = torch.empty(shape, dtype=torch.uint8, device=inputs.device) if chooses else None
        nowhere = after[0]
        values, kinds = population.parameters()
        facts, tile = self._facts(), _walk_tile(self.conv, at)
        grid = (batch, triton.cdiv(facts["HP"] * facts["WP"], tile["MP"]), triton.cdiv(facts["CO"], tile["NP"]))
        walk_kernel[grid](
            inputs, self.weight, self.weight.stride(0), nowhere if bias is None else bias.detach(),
            _or(kept.spikes, nowhere), _or(kept.membrane, nowhere), _or(self.choices, nowhere),
            _or(kept.adaptation, nowhere), *(before or after), *after, *values, steps, batch, **facts, **kinds,
            **population.facts, BIAS=bias is not None, STARTED=before is not None,
            KEEP_V=kept.membrane is not None, KEEP_A=kept.adaptation is not None, KEEP_CHOICE=chooses,
            PARTS=len(self.weight), **tile, enable_fp_fusion=False,
        )  # fmt: skip
        self.kept, self.state = kept, population.state(tuple(x.permute(0, 3, 1, 2) for x in after))
        out = kept.spikes if kept.spikes is not None else kept.membrane
        assert out is not None
        self.out = out
        self.spikes = None if kept.spikes is None else _graph_order(kept.spikes)
        if kept.membrane is not None:
            self.trace = Trace(self.spikes, _graph_order(kept.membrane))

    def _facts(self) -> dict[str, Any]:
        """Shapes that the kernels are compiled for."""
        layer, (channels, height, width) = self.conv.layer, self.conv.input
        assert isinstance(layer, Conv2d)
        pool = self.pool.layer if self.pool else None
        size = pool.window[0] if isinstance(pool, MaxPool | AvgPool) else 1
        out, tall, wide = self.layers[-1].output
        return {
            "H": height, "W": width, "CI": channels, "CO": out, "KERNEL": layer.window[0], "STRIDE": layer.strides[0],
            "PAD": layer.paddings[0], "POOL": size, "MEAN": isinstance(pool, AvgPool), "HP": tall, "WP": wide,
        }  # fmt: skip

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Through the neurons, then to the taps of the windows that the pool chose."""
        if self.inner:
            return self._back_one_by_one(gradient, job)
        mine = Incoming(gradient.output, *(_own_order(g) for g in gradient[1:]))
        g = self.currents_gradient(mine, job, in_parts=False)
        if not self.learns:
            return None
        if job.wants(self.conv, "weight"):
            self._weight_gradient(g, job)
        if "bias" in self.conv.parameters() and job.wants(self.conv, "bias"):
            job.add(self.conv, "bias", self.summed.sum((0, 1, 2)))
        return self._input_gradient(g) if self.signal.learns else None

    def _weight_gradient(self, g: Tensor, job: Job) -> None:
        facts = self._facts()
        frames, taps = math.prod(g.shape[:2]), facts["KERNEL"] ** 2 * facts["CI"]
        tile = _weight_tile(facts, taps)
        blocks = (triton.cdiv(facts["CO"], tile["NP"]), triton.cdiv(taps, tile["KC"]))
        share = max(1, triton.cdiv(frames * math.prod(blocks), _PROGRAMS))
        programs = triton.cdiv(frames, share)
        out = torch.empty(programs, facts["CO"], taps, device=g.device)
        weight_gradient_kernel[(programs, *blocks)](
            g, _or(self.choices, g), self.inputs, out, frames, share, **facts, PARTS=len(self.weight), **tile
        )
        found = out.sum(0).view(facts["CO"], facts["KERNEL"], facts["KERNEL"], facts["CI"]).permute(0, 3, 1, 2)
        found = found if self.signal.scale == 1.0 else found * self.signal.scale
        job.add(self.conv, "weight", found.contiguous())

    def _input_gradient(self, g: Tensor) -> Tensor:
        facts = self._facts()
        out = torch.empty(self.inputs.shape, device=g.device)
        tile = _input_tile(facts)
        frames = math.prod(g.shape[:2])
        grid = (triton.cdiv(frames * facts["H"] * facts["W"], tile["MP"]), triton.cdiv(facts["CI"], tile["NP"]))
        input_gradient_kernel[grid](
            g, _or(self.choices, g), self.weight, self.weight.stride(0), out, frames, **facts, PARTS=len(self.weight),
            **tile,
        )  # fmt: skip
        if self.signal.shape is not None:
            return out
        return out.permute(0, 1, 4, 2, 3).contiguous()

    def _one_by_one(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        *plain, neuron = self.layers
        before: list[TritonStage] = [Plain(at, self.position + i) for i, at in enumerate(plain)]
        self.inner = [*before, Spiking(neuron)]
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
    """A pooling without overlap over spikes: what comes out is exact, too."""

    def __init__(self, at: NamedLayer) -> None:
        self.layers = (at,)

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Largest or mean spike of each window."""
        del job
        layer, self.signal = self.layers[0].layer, signal
        frames = _channels_last(signal).flatten(0, 1).permute(0, 3, 1, 2)
        self.places: Tensor | None = None
        if isinstance(layer, MaxPool):
            out, self.places = F.max_pool2d(frames, layer.size, layer.stride, return_indices=True)
        else:
            assert isinstance(layer, AvgPool)
            out = F.avg_pool2d(frames, layer.size, layer.stride)
        self.area = frames.shape[-2:]
        out = out.permute(0, 2, 3, 1).contiguous()
        value = out.view(*signal.value.shape[:2], *out.shape[1:])
        # A mean over a number of places that is no power of two would be rounded.
        window = layer.window[0] ** 2
        exact = signal.exact and (self.places is not None or window & (window - 1) == 0)
        if not exact:
            value = value.float()
        self.trace = Trace(None, _graph_order(value).expand(signal.steps, *_graph_order(value).shape[1:]))
        return DeviceSignal(value, signal.steps, exact, signal.learns, signal.scale, self.layers[0].output)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """To the place that was largest, or to all."""
        del job
        layer = self.layers[0].layer
        assert isinstance(layer, MaxPool | AvgPool)
        if gradient.output is None or not self.signal.learns:
            return None
        g = gradient.output.flatten(0, 1).permute(0, 3, 1, 2)
        height, width = self.area
        out = torch.zeros(*g.shape[:2], height, width, device=g.device)
        if self.places is not None:
            out.flatten(2).scatter_(2, self.places.flatten(2), g.flatten(2))
        else:
            size, stride = layer.window[0], layer.strides[0]
            part = g / size**2
            for y in range(size):
                for x in range(size):
                    out[:, :, y::stride, x::stride][:, :, : g.shape[2], : g.shape[3]] = part
        out = out.view(*gradient.output.shape[:2], *out.shape[1:])
        return out.permute(0, 1, 3, 4, 2).contiguous() if self.signal.shape is not None else out


_PROGRAMS = 1024
"""About as many as keep a large device busy; each adds over its share of the frames."""


def _walk_tile(conv: NamedLayer, at: NamedLayer) -> dict[str, int]:
    layer = conv.layer
    assert isinstance(layer, Conv2d)
    taps = layer.window[0] ** 2 * conv.input[0]
    channels, positions = max(16, triton.next_power_of_2(at.output[0])), math.prod(at.output[1:])
    return {
        "KC": min(64, max(16, triton.next_power_of_2(taps))),
        "MP": min(32, max(16, triton.next_power_of_2(positions))),
        "NP": min(64, channels),
        "num_warps": 4,
        "num_stages": 2,
    }


def _weight_tile(facts: dict[str, Any], taps: int) -> dict[str, int]:
    return {
        "KC": min(128, max(16, triton.next_power_of_2(taps))),
        "MP": min(64, max(16, triton.next_power_of_2(facts["HP"] * facts["WP"]))),
        "NP": min(64, max(16, triton.next_power_of_2(facts["CO"]))),
        "num_warps": 4,
        "num_stages": 2,
    }


def _input_tile(facts: dict[str, Any]) -> dict[str, int]:
    return {
        "KC": min(64, max(16, triton.next_power_of_2(facts["CO"]))),
        "MP": 64,
        "NP": min(64, max(16, triton.next_power_of_2(facts["CI"]))),
        "num_warps": 4,
        "num_stages": 2,
    }


def _channels_last(signal: DeviceSignal) -> Tensor:
    if signal.shape is not None:
        return signal.value
    return signal.value.permute(0, 1, 3, 4, 2).contiguous()


def _graph_order(value: Tensor) -> Tensor:
    return value.permute(0, 1, 4, 2, 3)


def _own_order(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.permute(0, 1, 3, 4, 2).contiguous()


def _or(value: Tensor | None, other: Tensor) -> Tensor:
    return other if value is None else value
