"""The sum of two paths, and normalisation that stands by itself."""

import torch
from torch import Tensor

from spikewise.engine.triton.job import DeviceSignal, Incoming, Job
from spikewise.engine.triton.kernels import norm
from spikewise.engine.triton.maps import EXACT_LEVELS
from spikewise.engine.triton.stages import TritonStage
from spikewise.graph import BatchNorm, NamedLayer

__all__ = ["Joined", "Normalised"]


class Joined(TritonStage):
    """The sum of two signals: currents, or spikes, of which several travel on."""

    finishes = True

    def __init__(self, at: NamedLayer) -> None:
        self.layers = (at,)

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Exact where both are spikes."""
        self.pair = (signal, job.signals[self.inputs[1]])
        first, second = (one.channels_last() for one in self.pair)
        quantum, most = min(first.quantum, second.quantum), first.most + second.most
        self.exact = first.exact and second.exact and first.scale == second.scale and most <= EXACT_LEVELS * quantum
        scales = (1.0, 1.0) if self.exact else (first.scale, second.scale)
        value = norm.joined(
            (first.value, second.value), (first.facts, second.facts), scales,
            job.operands.dtype if self.exact else torch.float32,
        )  # fmt: skip
        return DeviceSignal(
            value, first.steps, self.exact, first.learns or second.learns, first.scale if self.exact else 1.0,
            first.shape, quantum=quantum, most=most,
        )  # fmt: skip

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """The same gradient to both."""
        for name, signal in zip(self.inputs, self.pair, strict=True):
            if gradient.output is None or not signal.learns:
                continue
            g = signal.sum_steps(gradient.output)
            job.send_back(name, signal.like_mine(g if self.exact or signal.scale == 1.0 else g * signal.scale))
        return None


class Normalised(TritonStage):
    """Batch normalisation that is not behind a convolution; its scale and shift go along with the signal.

    Args:
        by_batch: by the batch, else by what was seen.
    """

    def __init__(self, at: NamedLayer, *, by_batch: bool) -> None:
        self.layers, self.by_batch = (at,), by_batch

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """The signal as it is, and what is to be done to it."""
        at, self.signal = self.layers[0], signal
        layer, mine = at.layer, signal.channels_last()
        assert isinstance(layer, BatchNorm)
        own = {key: value.detach() for key, value in job.own(at).items()}
        value = mine.value.float().contiguous()
        self.value = value if mine.scale == 1.0 else value * mine.scale
        repeats = signal.steps // len(value)
        # One value has no spread: a batch of a single flat frame is normalised by what was seen before.
        self.by_batch = self.by_batch and repeats * value.numel() > value.shape[-1]
        self.statistics = (
            norm.batch_affine(self.value, own, repeats=repeats, momentum=layer.momentum, epsilon=layer.epsilon)
            if self.by_batch
            else norm.affine(own, epsilon=layer.epsilon)
        )
        return DeviceSignal(
            self.value, signal.steps, exact=False, learns=signal.learns or job.teaches(at), shape=mine.shape,
            facts=self.statistics,
        )  # fmt: skip

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """By the batch, its statistics depend on the values, too."""
        at, g = self.layers[0], gradient.output
        if g is None:
            return None
        g = g.contiguous()
        sums = norm.gradient_sums(g, self.value, self.statistics)
        for key, found in (("bias", sums[0]), ("weight", sums[1])):
            if job.wants(at, key):
                job.add(at, key, found)
        if not self.signal.learns:
            return None
        back = norm.backward(g, self.value, self.statistics, sums, parts=0, dtype=torch.float32, by_batch=self.by_batch)
        return self.signal.like_mine(back if self.signal.scale == 1.0 else back * self.signal.scale)
