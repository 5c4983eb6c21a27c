"""How faithfully spikes stand for activations: equal counts where they must be equal, mean differences elsewhere."""

import copy
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from spikewise.conversion.networks import ConvertedNetwork
from spikewise.conversion.obstacles import hidden_activations
from spikewise.data import ImageSet
from spikewise.engine import RunOptions
from spikewise.evaluation.conversion import CountCheck, LayerError
from spikewise.evaluation.prediction import Batch, Selection, batches_of
from spikewise.graph import QCFS
from spikewise.network import Network

__all__ = ["ComparedImages", "check_counts", "layer_errors"]

Thresholds = Mapping[str, Float[Tensor, " C"]]


class ComparedImages(NamedTuple):
    """Some images of a set, and the seed of the network that sees them."""

    images: ImageSet
    index: Int64[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    seed: int


def check_counts(
    network: Network, converted: ConvertedNetwork, thresholds: Thresholds, sample: ComparedImages
) -> tuple[CountCheck, ...]:
    """Whether each neuron's spikes are as many as the level of the activation that it stands for says: whole numbers.

    Both networks run in float64, where sums in another order do not decide what is rounded up; and the converted one in
    float32, as it is kept, for how many counts such sums then change.

    Args:
        network: of quantised activations.
        converted: in as many steps as they have levels.
    """
    exact = copy.deepcopy(network).double().eval()
    totals = {at.name: [0, 0, 0] for at in hidden_activations(network.graph)}
    runs = zip(
        _activities(exact, converted, sample), _activities(exact, converted, sample, double=False), strict=True
    )  # fmt: skip
    for (wanted, spikes), (_, rounded) in runs:
        for at in hidden_activations(network.graph):
            assert isinstance(at.layer, QCFS)
            level = (wanted[at.name] / _over(thresholds[at.name], wanted[at.name]) * at.layer.levels).round()
            total = totals[at.name]
            total[0] += level.numel()
            for place, sent in enumerate((spikes, rounded), start=1):
                total[place] += int((sent[at.name].double() == level).sum())
    return tuple(
        CountCheck(
            layer=name, neurons=converted.neurons[name], images=len(sample.index), counts=counts, equal=equal,
            equal_float32=single,
        )
        for name, (counts, equal, single) in totals.items()
    )  # fmt: skip


def layer_errors(
    network: Network, converted: ConvertedNetwork, thresholds: Thresholds, steps: int, sample: ComparedImages
) -> tuple[LayerError, ...]:
    """For each layer the mean |rate x threshold - activation|, over the mean activation.

    Args:
        steps: in which a layer's spikes say its activations.
    """
    sums = {at.name: [0.0, 0.0, 0.0] for at in hidden_activations(network.graph)}
    for activations, spikes in _activities(network, converted, sample, double=False):
        for name, total in sums.items():
            wanted, worth = activations[name].double(), thresholds[name]
            shown = spikes[name].double() / steps * _over(worth, spikes[name])
            total[0] += float((shown - wanted).abs().sum())
            total[1] += float((wanted - wanted.minimum(_over(worth, wanted))).sum())
            total[2] += float(wanted.sum())
    return tuple(
        LayerError(
            layer=name,
            neurons=converted.neurons[name],
            error=apart / whole if whole else 0.0,
            clipped=cut / whole if whole else 0.0,
        )
        for name, (apart, cut, whole) in sums.items()
    )


def _activities(
    network: Network, converted: ConvertedNetwork, sample: ComparedImages, *, double: bool = True
) -> Iterator[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]:
    """Batch by batch: the conventional network's activations [B, *F], and the spikes for them, by activation."""
    spiking = converted.network(double=double)
    chosen = Selection.of(sample.images, sample.index)
    for batch in batches_of(spiking, chosen, sample.seed, record=tuple(converted.neurons.values()), copies=2):
        yield _activity(network, spiking, converted, batch)


@torch.no_grad()  # not around the loop: the caller's code runs between two batches
def _activity(
    network: Network, spiking: Network, converted: ConvertedNetwork, batch: Batch
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    wanted, sending = frozenset(converted.neurons), frozenset(converted.neurons.values())
    inputs = network.encode(batch.pixels, batch.draw).to(next(network.parameters()).dtype)
    activations = network.run(inputs, batch.draw, RunOptions(record=wanted)).result.traces
    currents = spiking.encode(batch.pixels, batch.draw).to(next(spiking.parameters()).dtype)
    sent = spiking.run(currents, batch.draw, RunOptions(record=sending)).result.traces
    return (
        {name: activations[name].output[0] for name in wanted},
        {name: _counted(sent[neurons].spikes) for name, neurons in converted.neurons.items()},
    )


def _counted(spikes: Tensor | None) -> Tensor:
    assert spikes is not None
    return spikes.sum(0)


def _over(worth: Float[Tensor, " K"], values: Float[Tensor, "B C *pixels"]) -> Tensor:
    """A value for each channel, shaped so that it meets that channel's values."""
    return worth.view(1, -1, *[1] * (values.ndim - 2))
