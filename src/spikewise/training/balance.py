"""Balanced starts: weights are scaled on a batch of training images, so that no layer begins dead or saturated.

Drawn weights know nothing of the images: behind dark, coloured or few-valued ones a layer may never spike, or nearly
always, or each neuron alike for every image, and its gradient is then of no use. From the first weighted layer to the
last, each with what the balanced ones before it send:

    weight, bias <- g / s * weight, g / s * (bias - m)

with m and s the mean and standard deviation of each neuron's (of a convolution: each channel's) current over images,
steps and positions, so that every neuron reads above its mean as often as below. For an activation g is 1: unit
variance. For spiking neurons g is searched until they send `TARGET` spikes per neuron and step on average. A layer
without biases is scaled as a whole. Layers in front of a batch normalisation are left alone, for it does the same; and
the last weighted layer, without output spikes, is only made smaller where the logits' deviation would exceed 1.
Bright images as they are have most of their variance at the zeros around a padded convolution: standardise them too.

Sources: Mishkin and Matas, "All you need is a good init", ICLR 2016 (arXiv 1511.06422), algorithm 1: layer by layer to
unit variance; Krähenbühl et al., "Data-dependent initializations of convolutional neural networks", ICLR 2016
(arXiv 1511.06856), section 3.1: by channel, with its mean taken off. Firing rates in place of variances are ours.
"""

import hashlib
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from spikewise.data import batches
from spikewise.engine import RunOptions
from spikewise.engine.reference import run_layer
from spikewise.graph import QCFS, Activation, BatchNorm, Graph, NamedLayer, Neuron, Residual, SpikingActivation
from spikewise.network import Network
from spikewise.readouts import Trajectory
from spikewise.training.update import Task
from spikewise.types import Draw

__all__ = ["BAND", "TARGET", "Start", "balance", "start"]

TARGET: Final = 0.1
"""Spikes per neuron and step: enough to carry a gradient, few enough to be cheap."""
BAND: Final = (0.05, 0.25)
"""Where a layer's rate counts as reached."""
_VALUES: Final = 1 << 23
"""Numbers that the widest layer gives for the batch, at most."""
_FEWEST, _MOST = 16, 256
"""Images of the batch."""
_HALVINGS: Final = 12
_GAINS: Final = (1e-2, 1e2)
_LARGEST_SPREAD: Final = 1.0
"""Standard deviation of the logits at the start, at most; beyond, answers are sure before anything was learned."""
_OPEN: Final = 0.999
"""Share of the inputs of a quantised activation that its first threshold leaves unclipped."""
_TINY: Final = 1e-3
"""Of a layer's usual standard deviation: a neuron below that has hardly any input, which is not blown up."""


class Start(NamedTuple):
    """How a spiking layer starts."""

    layer: str
    rate: float
    """Spikes per neuron and step on the batch."""

    @property
    def reached(self) -> bool:
        """Whether the rate is in the band."""
        return BAND[0] <= self.rate <= BAND[1]


def start(network: Network, task: Task) -> tuple[str, ...]:
    """Bring a fresh network to where its training starts; what a person should know of that, in words."""
    drawn = task.train.initial == "drawn"
    if drawn and not any(isinstance(at.layer, QCFS) for at in network.graph.named):
        return ()
    index = _batch(network.graph, task)
    pixels = torch.from_numpy(np.ascontiguousarray(task.images.images[index]))
    draw = Draw(task.seed, 0, torch.from_numpy(index))
    missed = [one for one in _LATEST.start(network, pixels, draw, weights=not drawn) if not one.reached]
    return tuple(
        f"{task.name}: {one.layer} starts with {one.rate:.2g} spikes per neuron and step; no scale of its weights "
        f"brings it to {BAND[0]:g} to {BAND[1]:g}"
        for one in missed
    )


@torch.no_grad()
def balance(
    network: Network, images: UInt8[Tensor, "B C H W"], draw: Draw, *, weights: bool = True
) -> tuple[Start, ...]:
    """Scale the weights of a fresh network in place, on some of its training images.

    Thresholds of quantised activations begin at what 999 of 1,000 of their inputs do not exceed.

    Args:
        weights: False leaves the weights as they were drawn.
    Returns:
        The spiking layers whose weights were scaled, with the rates at which they now start.
    """
    walk = _Walk(network, images, draw)
    started = []
    for position, at in enumerate(network.graph.named):
        if isinstance(at.layer, QCFS):
            walk.open(position)
        if at.layer.weighted and weights:
            deciding = _deciding(network.graph, position)
            if deciding is None:
                walk.soften(position)
            elif not isinstance(network.graph.named[deciding].layer, BatchNorm):
                started += walk.balance(position, deciding)
        walk.goes_on(position)
    return tuple(started)


class _Latest:
    """The last balanced start: trainings that differ in their learning rates alone, one after the other, share it."""

    def __init__(self) -> None:
        self._kept: tuple[str, dict[str, Tensor], tuple[Start, ...]] | None = None

    def start(
        self, network: Network, images: UInt8[Tensor, "B C H W"], draw: Draw, *, weights: bool
    ) -> tuple[Start, ...]:
        """`balance`, with its work done once for the same drawn weights and the same images."""
        key, there = f"{weights} {_key(network, images, draw)}", network.device
        if self._kept is None or self._kept[0] != key:
            started = balance(network, images.to(there), draw._replace(index=draw.index.to(there)), weights=weights)
            kept = {name: value.detach().to("cpu", copy=True) for name, value in network.weights.items()}
            self._kept = key, kept, started
            return started
        _, kept, started = self._kept
        with torch.no_grad():
            for name, value in network.weights.items():
                value.copy_(kept[name])
        return started


_LATEST: Final = _Latest()


def _key(network: Network, images: UInt8[Tensor, "B C H W"], draw: Draw) -> str:
    """A hash of everything that `balance` goes by."""
    digest = hashlib.sha256(repr((network.graph, network.device, draw.seed, draw.epoch)).encode())
    for tensor in (*network.weights.values(), images, draw.index):
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()


def _batch(graph: Graph, task: Task) -> Int64[np.ndarray, " B"]:
    """The first images of the first epoch, as many as fit."""
    widest = max(int(np.prod(at.output)) for at in graph.named)
    count = min(max(_VALUES // (graph.steps * widest), _FEWEST), _MOST)
    return np.sort(next(iter(batches(task.split.train, count, seed=task.seed, epoch=1))))


def _deciding(graph: Graph, position: int) -> int | None:
    """Position of the layer that makes something of a weighted layer's currents; None behind the last of them."""
    for after, at in enumerate(graph.named[position + 1 :], start=position + 1):
        if isinstance(at.layer, Activation | QCFS | SpikingActivation | BatchNorm | Residual) or at.layer.spikes:
            return after
        if at.layer.weighted:
            # With none between, a weighted layer reads these currents: they are logits of nothing. Where it does not,
            # it begins the other path of a block, in whose sum these currents end.
            return None if at.inputs == (graph.named[after - 1].name,) else _sum_behind(graph, after)
    return None


def _sum_behind(graph: Graph, position: int) -> int:
    return next(after for after, at in enumerate(graph.named) if after > position and isinstance(at.layer, Residual))


class _Walk:
    """A network, layer by layer, over one batch."""

    def __init__(self, network: Network, images: UInt8[Tensor, "B C H W"], draw: Draw) -> None:
        self.network, self.draw = network, draw
        self.named, self.weights = network.graph.named, network.weights
        self.outputs = {"": network.encode(images, draw)}
        """What each layer gave whose weights are settled."""

    def through(self, first: int, end: int, x: Tensor | None = None) -> Tensor:
        """What the layers from `first` to before `end` make of what arrives at the first, or of `x` [T, B, *F]."""
        fresh: dict[str, Tensor] = {}
        for position in range(first, end):
            at = self.named[position]
            if position == first and x is not None:
                arrived: tuple[Tensor, ...] = (x,)
            else:
                arrived = tuple(fresh[name] if name in fresh else self.outputs[name] for name in at.inputs)
            done = run_layer(at, self.weights, arrived, self.draw, (RunOptions(), position))
            fresh[at.name] = done.output
        return fresh[self.named[end - 1].name]

    def goes_on(self, position: int) -> None:
        """Run a layer whose weights are settled, and forget what no later one listens to."""
        at, last = self.named[position], self.network.graph.last_reads
        self.outputs[at.name] = self.through(position, position + 1)
        for name in at.inputs:
            if last[name] == at.name:
                self.outputs.pop(name, None)

    def open(self, position: int) -> None:
        """Set the thresholds of a quantised activation to its inputs."""
        at = self.named[position]
        assert isinstance(at.layer, QCFS)
        x = self.outputs[at.inputs[0]].flatten(0, 1).movedim(1, 0)
        rows = x.reshape(1, -1) if at.layer.per == "layer" else x.flatten(1)
        high = rows.quantile(_OPEN, dim=1).nan_to_num()
        threshold = self.weights[f"{at.name}.threshold"]
        threshold.copy_(torch.where(high > 0, high, torch.ones_like(high)).view_as(threshold))

    def balance(self, position: int, deciding: int) -> list[Start]:
        """Give a layer's currents mean 0 and variance 1, and neurons behind it their rate."""
        at = self.named[position]
        current = self._current(position)
        mean, spread = _moments(current, by_unit=self._bias(at) is not None)
        if not torch.isfinite(spread).all():
            return []  # training says which weights are no numbers
        self._scale(at, 1 / spread, mean)
        if not isinstance(self.named[deciding].layer, Neuron):
            return []
        unit = (current - _over_units(mean, current)) / _over_units(spread, current)
        gain, rate = self._gain(position, deciding, unit.expand(self.network.graph.steps, *unit.shape[1:]))
        self._scale(at, torch.full_like(spread, gain), torch.zeros_like(mean))
        return [Start(self.named[deciding].name, rate)]

    def soften(self, position: int) -> None:
        """Make the last layer smaller where the logits would spread too far."""
        logits = self._logits(position)
        spread = float((logits - logits.mean(1, keepdim=True)).double().square().mean().sqrt())
        if spread > _LARGEST_SPREAD and np.isfinite(spread):
            at = self.named[position]
            self._scale(at, self._weight(at).new_full((1,), _LARGEST_SPREAD / spread), self._weight(at).new_zeros(1))

    def _logits(self, position: int) -> Float[Tensor, "B K"]:
        membrane = self.through(position, len(self.named))
        logits: Tensor = self.network.graph.readout(Trajectory(None, membrane))
        return logits

    def _current(self, position: int) -> Tensor:
        """What a weighted layer gives; once where its input is the same at every step."""
        x = self.outputs[self.named[position].inputs[0]]
        constant = len(x) > 1 and x.stride(0) == 0
        return self.through(position, position + 1, x[:1] if constant else x)

    def _gain(self, position: int, deciding: int, unit: Tensor) -> tuple[float, float]:
        """Factor of currents of unit variance at which the neurons send `TARGET`, and the rate that they then send.

        The rate rises with the factor, so that halving the interval of its logarithm finds it.
        """
        low, high = np.log(_GAINS)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._rate(position, deciding, unit, middle) < TARGET else (low, middle)
        best = (low + high) / 2
        return float(np.exp(best)), self._rate(position, deciding, unit, best)

    def _rate(self, position: int, deciding: int, unit: Tensor, log_gain: float) -> float:
        spikes = self.through(position + 1, deciding + 1, unit * float(np.exp(log_gain)))
        return float(spikes.mean())

    def _scale(self, at: NamedLayer, factor: Float[Tensor, " K"], mean: Float[Tensor, " K"]) -> None:
        """weight <- factor weight, bias <- factor (bias - mean), for each unit or for all alike."""
        weight, bias = self._weight(at), self._bias(at)
        weight.mul_(factor.view(-1, *[1] * (weight.ndim - 1)))
        if bias is not None:
            bias.sub_(mean).mul_(factor)

    def _weight(self, at: NamedLayer) -> Tensor:
        return self.weights[f"{at.name}.weight"]

    def _bias(self, at: NamedLayer) -> Tensor | None:
        return self.weights.get(f"{at.name}.bias")


def _moments(current: Float[Tensor, "T B *F"], *, by_unit: bool) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"]]:
    """Mean and standard deviation of each unit's current; of all together, about 0, where they cannot be shifted."""
    if not by_unit:
        spread = current.double().square().mean().sqrt().float().clamp(min=torch.finfo(torch.float32).tiny)
        return torch.zeros_like(spread).view(1), spread.view(1)
    rows = current.flatten(0, 1).movedim(1, 0).flatten(1).double()
    mean, spread = rows.mean(1), rows.std(1, correction=0)
    typical = float(spread.median())
    spread = torch.where(spread > _TINY * typical, spread, torch.full_like(spread, typical or 1.0))
    return mean.float(), spread.float()


def _over_units(values: Float[Tensor, " K"], current: Float[Tensor, "T B *F"]) -> Tensor:
    """Shaped so that each value meets its unit: a neuron, or a channel with all its positions."""
    return values.view(1, 1, -1, *[1] * (current.ndim - 3))
