"""Stages of a network: each turns a signal into the next, and gradients back."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.engine import reference
from spikewise.engine.triton.job import DeviceSignal, Incoming, Job, Trace
from spikewise.engine.triton.kernels import encode
from spikewise.graph import QCFS, Activation, AvgPool, Conv2d, Dropout, GlobalAvgPool, MaxPool, NamedLayer, SumPool

__all__ = ["Drop", "Flat", "Means", "Plain", "TritonStage"]


class TritonStage(ABC):
    """Some layers that run together; a fresh one for every run."""

    layers: tuple[NamedLayer, ...]
    state: NeuronState | Tensor | None = None
    """Where the layer with a state ended."""
    trace: Trace | None = None
    """Steps of the layer that can be recorded, in the graph's order."""
    spikes: Tensor | None = None
    """Spikes of the last layer, [T, B, *F], in the graph's order."""
    finishes: bool = False
    """Whether it multiplies and shifts itself what arrives with `facts`."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the layers that it listens to."""
        return self.layers[0].inputs

    @property
    def name(self) -> str:
        """Of the layer whose output it sends."""
        return self.layers[-1].name

    @abstractmethod
    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """What comes out; keeps what backward needs if the job learns."""

    @abstractmethod
    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Gradient of the values that came in, in float32, where it was asked for; the job gets the parameters'."""


class Flat(TritonStage):
    """Channels, height and width as one axis."""

    def __init__(self, at: NamedLayer) -> None:
        self.layers = (at,)

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """A view."""
        del job
        self.shape = signal.value.shape
        return signal._replace(value=signal.value.flatten(2))

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """A view."""
        del job
        return None if gradient.output is None else gradient.output.reshape(-1, *self.shape[1:])


class Drop(TritonStage):
    """Dropout: the mask silences here, the factor goes along with the signal into the next weights."""

    def __init__(self, at: NamedLayer, stream: int) -> None:
        self.layers, self.stream = (at,), stream

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Silence what the keyed numbers say, the same at every step."""
        layer = self.layers[0].layer
        assert isinstance(layer, Dropout)
        self.mask: Tensor | None = None
        if not job.options.training:
            return signal
        value = signal.value
        mask = torch.empty(value.shape[1], *self.layers[0].output, dtype=value.dtype, device=value.device)
        index, epoch = job.place
        encode.kept(index, epoch, job.key(self.stream), layer.p, mask.flatten(1))
        self.mask = signal.own_order(mask.unsqueeze(0))
        return signal._replace(value=value * self.mask, scale=signal.scale / (1 - layer.p))

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Nothing comes back from what was silenced."""
        del job
        if gradient.output is None or self.mask is None:
            return gradient.output
        return gradient.output * self.mask


class Means(TritonStage):
    """The mean of each channel over its map."""

    def __init__(self, at: NamedLayer) -> None:
        self.layers = (at,)

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """One number a channel; sums of spikes are exact in float32."""
        del job
        self.signal = signal
        self.area = (3, 4) if signal.shape is None else (2, 3)
        value = signal.value.mean(dim=self.area, dtype=torch.float32)
        return DeviceSignal(value, signal.steps, exact=False, learns=signal.learns, scale=signal.scale)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """The same share to each place."""
        del job
        if gradient.output is None or not self.signal.learns:
            return None
        shape = self.signal.value.shape
        places = shape[self.area[0]] * shape[self.area[1]]
        share = gradient.output / places
        for axis in self.area:
            share = share.unsqueeze(axis)
        return share.expand(len(share), *shape[1:]).contiguous()


_TIMELESS = (Conv2d, MaxPool, AvgPool, SumPool, GlobalAvgPool, Activation, QCFS)
"""Layers whose output at a step is that of the step's input alone: an input that never changes is run through once."""


class Plain(TritonStage):
    """A layer that the reference runs, step by step, in PyTorch's operations on the same device."""

    finishes = True

    def __init__(self, at: NamedLayer, position: int) -> None:
        self.layers, self.position = (at,), position

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Run the layer; with gradients, in a graph of its own."""
        at = self.layers[0]
        own = {f"{at.name}.{key}": job.weights[f"{at.name}.{key}"] for key in at.parameters()}
        self.learning = job.learns and (signal.learns or job.teaches(at))
        self.signal = signal
        with torch.set_grad_enabled(self.learning):
            self.x = signal.dense()
            if not isinstance(at.layer, _TIMELESS):
                self.x = self.x.expand(signal.steps, *self.x.shape[1:])
            if self.learning:
                self.x = self.x.detach().requires_grad_(signal.learns)
                # Their own leaves: what reaches them is handed on, not added to the caller's.
                own = {k: v.detach().requires_grad_(v.requires_grad) for k, v in own.items()}
            self.own = own
            self.done = reference.run_layer(at, own, (self.x,), job.draw, (job.options, self.position))
            membrane = self.done.output if self.done.membrane is None else self.done.membrane
            self.spikes = self.done.spike_train()
            self.trace = Trace(self.spikes, membrane.expand(signal.steps, *membrane.shape[1:]))
        self.state = self.done.state
        exact = self.done.spikes is not None
        output = self.done.output.detach()
        value = output.to(job.operands.dtype) if exact else output
        return DeviceSignal(value.contiguous(), signal.steps, exact, self.learning)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """PyTorch's own gradients."""
        assert self.trace is not None
        given = [
            (tensor, g)
            for tensor, g in (
                (self.done.output, gradient.output), (self.trace.spikes, gradient.spikes),
                (self.trace.membrane, gradient.membrane),
            )
            if tensor is not None and g is not None and tensor.requires_grad
        ]  # fmt: skip
        wanted = {k: v for k, v in self.own.items() if v.requires_grad}
        inputs = [*wanted.values(), *([self.x] if self.x.requires_grad else [])]
        if not given or not inputs:
            return None
        found = torch.autograd.grad([t for t, _ in given], inputs, [g for _, g in given], allow_unused=True)
        for key, g in zip(wanted, found, strict=False):
            if g is not None:
                job.add(self.layers[0], key.removeprefix(f"{self.layers[0].name}."), g)
        back = found[-1] if self.x.requires_grad else None
        if back is None:
            return None
        back = back * self.signal.scale if self.signal.scale != 1.0 else back
        return self.signal.own_order(self.signal.sum_steps(back))
