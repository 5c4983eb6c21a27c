"""What a conventional network still knows with few bits: quantised after training, and measured.

    weights       q = clip(round(w / s), -L, L) s,  L = 2^(bits-1) - 1,  one scale for each tensor
    activations   q = clip(round(x / s), 0, 2^bits - 1) s   (from -L to L where the function has negative values)

The scale of a layer's activations is the one, of 40 up to the largest value seen, with the least mean squared error on
training images. Pixels have 8 bits already; sums, biases and the factors of batch normalisation keep theirs.
Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", arXiv 1806.08342, 2018, on
quantisation after training; Banner et al., "Post training 4-bit quantization of convolutional networks for
rapid-deployment", NeurIPS 2019, on clipping by squared error.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from spikewise.data import ImageSet
from spikewise.engine import RunOptions
from spikewise.engine.reference import run_layers
from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.evaluation.robustness.weights import quantised
from spikewise.graph import Activation, Graph, NamedLayer
from spikewise.network import Network
from spikewise.readouts import Trajectory
from spikewise.ties import without_ties
from spikewise.types import Draw

__all__ = ["Bits", "quantised_accuracy", "widths"]

_CALIBRATION: Final = 256
_SCALES: Final = 40
_MOST_SAMPLES: Final = 1 << 18
Quantiser = Callable[[Tensor], Tensor]


class Bits(NamedTuple):
    """Widths of a quantised network."""

    weights: int
    activations: int


def widths(carried: int) -> tuple[Bits, ...]:
    """What is measured: the bits that the spiking network's steps carry, with 8- and 4-bit weights, and 2 bits.

    Args:
        carried: bits of a spike count, see `cost.carried_bits`.
    """
    return tuple(dict.fromkeys((Bits(8, carried), Bits(4, carried), Bits(4, min(2, carried)))))


def quantised_accuracy(
    network: Network, images: ImageSet, parts: tuple[Int64[np.ndarray, " C"], Int64[np.ndarray, " N"]], bits: Bits
) -> float:
    """Share of right answers of a network without neurons, quantised after training.

    Args:
        parts: positions of the images that set the scales (at most 256 of them are used, evenly spread), and of those
            that are answered.
    """
    calibration, index = parts
    assert not any(at.layer.state_variables for at in network.graph.named)
    chosen = calibration[np.unique(np.linspace(0, len(calibration) - 1, _CALIBRATION).round().astype(np.int64))]
    narrow = quantised(network, bits.weights).eval()
    scales = _scales(narrow, images, chosen, bits.activations)
    quantisers = {name: _quantiser(scale, at) for (name, at), scale in scales.items()}
    right = [
        _forward(narrow, batch, draw, quantisers).argmax(1).cpu().numpy() == images.labels[index[part]]
        for part, batch, draw in batches_of(narrow, Selection.of(images, index), 0)
    ]
    return float(np.concatenate(right).mean())


class _Range(NamedTuple):
    """Of the whole numbers that an activation may be."""

    low: int
    high: int

    @classmethod
    def of(cls, values: Tensor, bits: int) -> "_Range":
        return cls(0, 2**bits - 1) if values.min() >= 0 else cls(1 - 2 ** (bits - 1), max(1, 2 ** (bits - 1) - 1))


def _scales(
    network: Network, images: ImageSet, index: Int64[np.ndarray, " C"], bits: int
) -> Mapping[tuple[str, _Range], float]:
    """Scale and range of each activation, layer by layer: each sees what the quantised ones before it send."""
    found: dict[tuple[str, _Range], float] = {}
    for name in (at.name for at in network.graph.named if isinstance(at.layer, Activation)):
        quantisers = {seen: _quantiser(scale, at) for (seen, at), scale in found.items()}
        seen: list[Tensor] = []
        for _, batch, draw in batches_of(network, Selection.of(images, index), 0):
            _forward(network, batch, draw, {**quantisers, name: _keeping(seen)})
        values = torch.cat(seen)
        values = values[:: max(1, len(values) // _MOST_SAMPLES)]
        at = _Range.of(values, bits)
        found[name, at] = _best_scale(values, at)
    return found


def _keeping(seen: list[Tensor]) -> Quantiser:
    def keep(x: Tensor) -> Tensor:
        seen.append(x.flatten())
        return x

    return keep


def _best_scale(values: Float[Tensor, " N"], at: _Range) -> float:
    """The scale with the least mean squared error."""
    largest = float(values.abs().max())
    if largest == 0:
        return 1.0
    candidates = [largest * k / _SCALES / at.high for k in range(1, _SCALES + 1)]
    errors = [float((_quantiser(scale, at)(values) - values).square().mean()) for scale in candidates]
    return candidates[int(np.argmin(errors))]


def _quantiser(scale: float, at: _Range) -> Quantiser:
    return lambda x: (x / scale).round().clamp(at.low, at.high) * scale


def _forward(network: Network, images: Tensor, draw: Draw, quantisers: Mapping[str, Quantiser]) -> Tensor:
    """Logits with ties broken, some layers' outputs changed on their way."""
    graph: Graph = network.graph

    def changed(at: NamedLayer, output: Tensor) -> Tensor:
        return quantisers.get(at.name, _same)(output)

    with torch.no_grad():
        x = encoded = network.encode(images, draw)
        for at, _, done in run_layers(graph, network.weights, encoded, draw, RunOptions(), changed):
            x = changed(at, done.output)
        return without_ties(graph.readout(Trajectory(None, x)).float(), x.float().mean(0), draw.index)


def _same(x: Tensor) -> Tensor:
    return x
